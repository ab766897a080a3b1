//! Requests that are alike and there at the same time: they may share an answer, and nobody must notice.

use std::collections::HashSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Api, Hub, Trial, api, orders, trials};
use tokio::task::JoinSet;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        no_answer_is_older_than_its_request,
        each_sees_what_its_own_token_may_see,
        each_is_logged_with_its_own_name,
    ]
}

/// Requests at the same time.
const AT_ONCE: usize = 24;
/// Changes that are looked at while others ask.
const CHANGES: u32 = 150;

/// Asks for the same again and again.
fn ask_on(api: &Api, path: &'static str) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        let api = api.clone();
        asking.spawn(async move {
            loop {
                assert_eq!(api.get(path).await.status, 200);
            }
        });
    }
    asking
}

async fn no_answer_is_older_than_its_request() {
    const OURS: &str = "/api/v1/probes?limit=10";
    const OLD: &str = "/probes";
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let probe = ana.probe("p").await;
    let path = format!("/api/v1/probes/{}", probe.id);
    let _ours = ask_on(&ana.api, OURS);
    let _old = ask_on(&ana.api, OLD);
    for number in 0..CHANGES {
        let (name, longitude) = (format!("name {number}"), f64::from(number));
        let change = json!({"name": name, "location": {"longitude": longitude, "latitude": 0.0}});
        assert_eq!(ana.api.patch(&path, &change).await.status, 200);
        let seen = ana.api.get(OURS).await.expect(200);
        assert_eq!(seen["items"][0]["name"], name);
        let seen = ana.api.get(OLD).await.expect(200);
        assert_eq!(seen[0]["location"]["longitude"], longitude);
    }
}

async fn each_sees_what_its_own_token_may_see() {
    let hub = Hub::start().await;
    let (ana, bo) = (hub.user("ana", 100).await, hub.user("bo", 100).await);
    let probe = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    let path = format!("/api/v1/operations/{operation}");
    let nobody = hub.api();
    let (path, results) = (&path, &format!("{path}/results"));
    let answers = join_all((0..AT_ONCE).map(async |_| {
        let answers = [
            ana.api.get(path),
            bo.api.get(path),
            nobody.get(path),
            ana.api.get(results),
            bo.api.get(results),
            nobody.get(results),
        ];
        join_all(answers)
            .await
            .into_iter()
            .map(|answer| answer.status)
            .collect()
    }));
    for statuses in answers.await {
        let statuses: Vec<u16> = statuses;
        assert_eq!(statuses, [200, 403, 401, 200, 403, 401]);
    }
    let lists = join_all((0..AT_ONCE).map(async |_| {
        let mine = ana.api.get("/api/v1/operations").await.expect(200);
        (mine, bo.api.get("/api/v1/operations").await.expect(200))
    }));
    for (mine, theirs) in lists.await {
        assert_eq!(mine["items"][0]["id"], json!(operation));
        assert_eq!(theirs["items"], json!([]));
    }
}

async fn each_is_logged_with_its_own_name() {
    let mut hub = Hub::start_with(&[("LOG_FORMAT", "json"), ("LOG_LEVEL", "debug")]).await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    let path = format!("/api/v1/operations/{operation}");
    let names: HashSet<String> = (0..AT_ONCE)
        .map(|number| format!("name-{number}"))
        .collect();
    let asked = names.iter().map(async |name| {
        let request = ana
            .api
            .request(Method::GET, &path)
            .header("x-request-id", name);
        let answer = api::must(request).await;
        assert_eq!(
            (answer.status, &answer.headers["x-request-id"]),
            (200, &name.parse().expect("a header"))
        );
    });
    join_all(asked).await;
    hub.terminate().await;
    let mut seen = HashSet::new();
    for line in hub.process().log().lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let of = &line["span"];
        let name = of["request.id"].as_str().unwrap_or_default();
        if line["message"] == "request answered" && names.contains(name) {
            assert_eq!(of["user.id"], json!(ana.id), "{line}");
            assert_eq!(of["operation.id"], json!(operation), "{line}");
            assert!(seen.insert(name.to_owned()), "logged twice: {line}");
        }
    }
    assert_eq!(seen, names);
}

//! Probes: registering, showing, tokens that end at once.

use std::time::{Duration, Instant};

use probe_protocol::{Close, ProbeFrame};
use serde_json::{Value, json};
use tests::{
    FakeProbe, Heard, Hub, ProbeSocket, TestUser, Trial, eventually, orders,
    probe::{Refused, hello},
    trials,
    wait::SOON,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_probe_is_registered_shown_and_changed,
        a_repeated_registration_makes_one_probe,
        lists_have_filters_and_pages,
        rotating_a_token_ends_the_session_within_a_second,
        deleting_a_probe_ends_its_session_and_its_work,
        availability_follows_what_is_assigned,
    ]
}

/// Longest a revoked token may still serve.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

async fn a_probe_is_registered_shown_and_changed() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let body = json!({"name": "lab", "location": {"longitude": -58.37, "latitude": -34.6}});
    let made = ana.api.post("/api/v1/probes", &body).await.expect(201);
    let probe = &made["probe"];
    assert_eq!(
        (&probe["name"], &probe["location"], &probe["connected"]),
        (&body["name"], &body["location"], &json!(false))
    );
    assert_eq!(
        (&probe["agent"], &probe["last_seen"], &probe["owner"]),
        (&Value::Null, &Value::Null, &json!(ana.id))
    );
    let path = format!("/api/v1/probes/{}", probe["id"].as_str().expect("an id"));
    assert_eq!(&ana.api.get(&path).await.expect(200), probe);
    let token = made["token"].as_str().expect("a token");
    let fake = FakeProbe::connect(&hub, token).await;
    assert_eq!(json!(fake.welcome.probe), probe["id"]);
    let shown = ana.api.get(&path).await.expect(200);
    assert_eq!(
        (&shown["connected"], &shown["availability"]),
        (&json!(true), &json!(1.0))
    );
    let agent = json!({"name": "fake", "version": "1", "capabilities": ["ping", "traceroute", "dns"], "total_credits": 100_000});
    assert_eq!(shown["agent"], agent);
    let changed = ana
        .api
        .patch(&path, &json!({"name": "attic"}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["location"]),
        (&json!("attic"), &body["location"])
    );
    drop(fake);
    let gone = async || (ana.api.get(&path).await.expect(200)["connected"] == false).then_some(());
    eventually(SOON, "a probe that is gone", gone).await;
    ana.api
        .get("/api/v1/probes/nonsense")
        .await
        .expect_problem(404, "not_found");
    ana.api
        .get("/api/v1/probes/000000000000000000000000")
        .await
        .expect_problem(404, "not_found");
}

async fn a_repeated_registration_makes_one_probe() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let register = async |name: &str| {
        let body = json!({"name": name, "location": {"longitude": 0, "latitude": 0}});
        let request = ana.api.request(reqwest::Method::POST, "/api/v1/probes");
        tests::api::must(request.header("idempotency-key", "first").json(&body)).await
    };
    let (one, two) = (
        register("a").await.expect(201),
        register("a").await.expect(201),
    );
    assert_eq!(one["probe"]["id"], two["probe"]["id"]);
    register("b")
        .await
        .expect_problem(409, "idempotency_key_reused");
    // Both tokens are the probe's.
    FakeProbe::connect(&hub, two["token"].as_str().expect("a token")).await;
}

async fn lists_have_filters_and_pages() {
    let hub = Hub::start().await;
    let (ana, ben) = (hub.user("ana", 0).await, hub.user("ben", 0).await);
    let mut of_ana = Vec::new();
    for number in 0..5 {
        of_ana.push(ana.probe(&number.to_string()).await);
    }
    let of_ben = ben.probe("b").await;
    let _sessions = [
        FakeProbe::connect(&hub, &of_ana[1].token).await,
        FakeProbe::connect(&hub, &of_ben.token).await,
    ];
    let ids = async |query: &str| {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = ana
                .api
                .get(&format!("/api/v1/probes?limit=2{query}{cursor}"))
                .await
                .expect(200);
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= 2);
            ids.extend(
                items
                    .iter()
                    .map(|probe| probe["id"].as_str().expect("an id").to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    };
    let newest_first = |ids: &[&tests::TestProbe]| {
        ids.iter()
            .rev()
            .map(|probe| probe.id.to_string())
            .collect::<Vec<_>>()
    };
    let mine: Vec<_> = of_ana.iter().collect();
    let mut all = mine.clone();
    all.push(&of_ben);
    assert_eq!(ids("").await, newest_first(&all));
    assert_eq!(ids("&mine=true").await, newest_first(&mine));
    assert_eq!(
        ids("&connected=true").await,
        newest_first(&[&of_ana[1], &of_ben])
    );
    assert_eq!(
        ids("&connected=true&mine=true").await,
        newest_first(&[&of_ana[1]])
    );
}

/// The status that a token is refused with.
async fn refused(hub: &Hub, token: &str) -> u16 {
    match ProbeSocket::open(&hub.url(), token).await {
        Err(Refused::Status(status, _)) => status,
        other => panic!("not refused: {other:?}"),
    }
}

async fn rotate(user: &TestUser, probe: &tests::TestProbe) -> String {
    let made = user
        .api
        .post(&format!("/api/v1/probes/{}/token", probe.id), &json!({}))
        .await
        .expect(201);
    made["token"].as_str().expect("a token").to_owned()
}

async fn rotating_a_token_ends_the_session_within_a_second() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let (registered, other) = (ana.probe("p").await, ana.probe("other").await);
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let mut bystander = FakeProbe::connect(&hub, &other.token).await;
    let token = rotate(&ana, &registered).await;
    let rotated = Instant::now();
    assert_eq!(probe.closed().await, Close::Revoked.code());
    assert!(
        rotated.elapsed() < REVOKED_WITHIN,
        "{:?}",
        rotated.elapsed()
    );
    assert_eq!(refused(&hub, &registered.token).await, 401);
    FakeProbe::connect(&hub, &token).await;
    // The old one stays dead.
    hub.kill9().await;
    assert_eq!(bystander.closed().await, 1006);
    hub.restart().await;
    assert_eq!(refused(&hub, &registered.token).await, 401);
    FakeProbe::connect(&hub, &token).await;
    // A user's token, none and rubbish are no better.
    for wrong in [ana.api.token().expect("a token"), "", "rubbish"] {
        assert_eq!(refused(&hub, wrong).await, 401, "{wrong}");
    }
}

async fn deleting_a_probe_ends_its_session_and_its_work() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana
        .launch(&orders::endless(orders::ping(&[registered.id])))
        .await;
    assert_eq!(probe.assigned().await.operation, operation);
    let path = format!("/api/v1/probes/{}", registered.id);
    assert_eq!(ana.api.delete(&path).await.status, 204);
    let deleted = Instant::now();
    assert_eq!(probe.closed().await, Close::Revoked.code());
    assert!(
        deleted.elapsed() < REVOKED_WITHIN,
        "{:?}",
        deleted.elapsed()
    );
    assert_eq!(refused(&hub, &registered.token).await, 401);
    assert_eq!(ana.states(operation).await, ["cancelled"]);
    assert_eq!(ana.credits().await, 1_000_000);
    ana.api.get(&path).await.expect_problem(404, "not_found");
    ana.api.delete(&path).await.expect_problem(404, "not_found");
    let again = ana
        .order(&orders::queued(orders::ping(&[registered.id])))
        .await;
    assert_eq!(
        again.expect_problem(422, "no_available_probe")["left_out"][0]["reason"],
        "unknown"
    );
    hub.check().await;
}

async fn availability_follows_what_is_assigned() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut small = hello(Vec::new());
    small.total_credits = 20;
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, small).await;
    let available = async || {
        let shown = ana
            .api
            .get(&format!("/api/v1/probes/{}", registered.id))
            .await
            .expect(200);
        shown["availability"].as_f64().expect("a share")
    };
    assert!((available().await - 1.0).abs() < f64::EPSILON);
    let operation = ana
        .launch(&orders::endless(orders::ping(&[registered.id])))
        .await;
    assert!((available().await - 0.95).abs() < f64::EPSILON);
    // What the probe says of itself counts where it is more.
    probe.accept().await;
    probe
        .say(&ProbeFrame::Status {
            in_use_credits: 10,
            running: 0,
            spooled: 0,
            dropped: 0,
        })
        .await;
    eventually(SOON, "half", async || {
        ((available().await - 0.5).abs() < f64::EPSILON).then_some(())
    })
    .await;
    probe
        .say(&ProbeFrame::Status {
            in_use_credits: 1,
            running: 0,
            spooled: 0,
            dropped: 0,
        })
        .await;
    ana.cancel(operation).await;
    let free = async || ((available().await - 0.95).abs() < f64::EPSILON).then_some(());
    eventually(SOON, "what the probe still says", free).await;
    probe.finish(operation).await;
    assert!(matches!(
        probe.journal.last(),
        Some(probe_protocol::HubFrame::Closed { .. })
    ));
    drop(probe);
    assert!(matches!(
        ProbeSocket::open(&hub.url(), &registered.token)
            .await
            .map(|_| Heard::Broken),
        Ok(Heard::Broken)
    ));
}

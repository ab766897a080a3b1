//! Who may do what: nobody more than they should, and nobody as often as they like.

use probe_protocol::Rejection;
use reqwest::{Client, Method};
use serde_json::json;
use tests::{
    Ack, Answer, FakeProbe, Hub, OldApi,
    api::must,
    hub::{ADMIN, PASSWORD},
    old_api::NO_AUTHORIZATION,
};

use super::agents;
use crate::old_http::bench::{RICH, id_of, order};

pub(super) async fn s3_nobody_deletes_everything_in_production() {
    let key = ["5e"; 32].concat();
    let hub = Hub::start_with(&[("ENVIRONMENT", "production"), ("SECRET_KEY", &key)]).await;
    let admin = hub.admin().await;
    for old in [OldApi::new(&hub), OldApi::of(&hub, &admin)] {
        let answer = old.delete("/delete_all").await;
        assert_eq!((answer.status, answer.body.len()), (404, 0));
    }
    assert_eq!(admin.api.get("/api/v1/users/me").await.status, 200);
    // Where it exists, what keeps addresses apart stays.
    let mut hub = Hub::start().await;
    let old = OldApi::new(&hub);
    assert_eq!(old.delete("/delete_all").await.status, 204);
    let _ = old.register(ADMIN, PASSWORD).await.expect_old(201);
    old.register(ADMIN, PASSWORD).await.expect_refusal(400);
    assert_eq!(hub.terminate().await, 0);
    hub.restart().await;
    let _ = old.log_in(ADMIN, PASSWORD).await.expect_old(200);
    hub.check().await;
}

pub(super) async fn s5_only_assigned_probes_are_heard_and_paid() {
    let hub = Hub::start().await;
    let (ana, mallory) = (hub.user("ana", RICH).await, hub.user("mallory", 0).await);
    let (card, stranger) = (ana.probe("p").await, mallory.probe("stranger").await);
    let mut probe = FakeProbe::connect(&hub, &card.token).await;
    let mut stranger = FakeProbe::connect(&hub, &stranger.token).await;
    let old = OldApi::of(&hub, &ana);
    let made = old
        .post("/ping", &order("ping", &[&card]))
        .await
        .expect_old(201);
    let operation = probe.accept().await;
    for number in 0..5 {
        let ack = stranger.deliver(operation, &number.to_string()).await;
        assert_eq!(ack, Ack::Rejected(Rejection::NotAssigned));
    }
    let path = format!("/operation?id={}", id_of(&made));
    let results = async || old.get(&path).await.expect_old(200)["results"].clone();
    assert_eq!(results().await, json!([]));
    assert_eq!(mallory.credits().await, 0);
    // The same codes are the probe's own.
    let before = ana.credits().await;
    assert_eq!(probe.deliver(operation, "0").await, Ack::Stored);
    assert_eq!(results().await[0]["probe"], json!(card.id));
    assert_eq!(ana.credits().await, before + 10);
    hub.check().await;
    agents::old_agents_earn_nothing_unasked().await;
}

pub(super) async fn s6_what_is_one_s_own_stays_one_s_own() {
    for (setting, status) in [("true", 200), ("false", 401)] {
        let hub = Hub::start_with(&[("PUBLIC_OPERATIONS", setting)]).await;
        let (ana, ben) = (hub.user("ana", RICH).await, hub.user("ben", 0).await);
        let card = ana.probe("p").await;
        let _probe = FakeProbe::connect(&hub, &card.token).await;
        let (old, of_ben) = (OldApi::of(&hub, &ana), OldApi::of(&hub, &ben));
        let made = old
            .post("/ping", &order("ping", &[&card]))
            .await
            .expect_old(201);
        let path = format!("/operation?id={}", id_of(&made));
        let nobody = OldApi::new(&hub).get(&path).await;
        assert_eq!(nobody.status, status, "{setting}: {}", nobody.text());
        // Whoever is logged in finds no list of what others ask for.
        for path in ["/operations", "/operations/me", "/probes/me"] {
            assert_eq!(of_ben.get(path).await.text(), "[]\n", "{path}");
        }
        assert_eq!(OldApi::new(&hub).get("/operations").await.status, 401);
        // Nobody's address is on the map.
        let map = OldApi::new(&hub).get("/probes").await.text();
        assert!(!map.contains('@') && !map.contains("token"), "{map}");
    }
}

/// Attempts a minute in the tests of the limit.
const LIMIT: usize = 5;

/// Attempts until one is refused, which must come soon after the limit: how many were taken.
async fn until_refused(mut attempt: impl AsyncFnMut(usize) -> Answer) -> usize {
    for taken in 0..=2 * LIMIT {
        let answer = attempt(taken).await;
        if answer.status == 429 {
            answer.expect_refusal(429);
            let wait: u64 = answer
                .header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .expect("seconds to wait");
            assert!((1..=60).contains(&wait), "{wait}");
            return taken;
        }
        assert!(
            [200, 201, 404].contains(&answer.status),
            "{}",
            answer.text()
        );
    }
    panic!("nobody stopped me");
}

pub(super) async fn s10_guessing_is_slow() {
    let limit = LIMIT.to_string();
    addresses_are_told_apart(&limit).await;
    only_trusted_proxies_are_believed(&limit).await;
    accounts_are_guarded_too(&limit).await;
}

async fn addresses_are_told_apart(limit: &str) {
    let hub = Hub::start_with(&[("RATE_LIMITS", "on"), ("LOGINS_PER_MINUTE", limit)]).await;
    let old = OldApi::new(&hub);
    let taken = until_refused(async |number| {
        // To register is as good as to log in.
        let email = format!("guess{number}@example.org");
        if number % 2 == 0 {
            old.log_in(&email, PASSWORD).await
        } else {
            old.register(&email, PASSWORD).await
        }
    })
    .await;
    assert!(taken >= LIMIT, "{taken} attempts were taken");
    // A name that nobody vouches for changes nothing, and both faces count together.
    let spoofed = old
        .request(Method::POST, "/login")
        .header("x-forwarded-for", "203.0.113.7")
        .header("forwarded", "for=203.0.113.7")
        .header("x-real-ip", "203.0.113.7");
    let body = json!({"email": ADMIN, "password": PASSWORD});
    assert_eq!(must(spoofed.json(&body)).await.status, 429);
    let new = hub.api().post("/api/v1/sessions", &body).await;
    assert_eq!(new.status, 429, "{}", new.text());
    // Everything else goes on, and so does everyone else.
    assert_eq!(old.get("/probes").await.status, 200);
    let neighbour = Client::builder()
        .no_proxy()
        .local_address("127.0.0.2".parse::<std::net::IpAddr>().expect("an address"))
        .build()
        .expect("a client");
    let request = neighbour.post(format!("{}/login", hub.url())).json(&body);
    assert_eq!(must(request).await.status, 200);
}

async fn only_trusted_proxies_are_believed(limit: &str) {
    let settings = [
        ("RATE_LIMITS", "on"),
        ("LOGINS_PER_MINUTE", limit),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let hub = Hub::start_with(&settings).await;
    let old = OldApi::new(&hub);
    let log_in = async |number: usize, forwarded: String| {
        let email = format!("guess{number}@example.org");
        let request = old
            .request(Method::POST, "/login")
            .header("x-forwarded-for", forwarded)
            .json(&json!({"email": email, "password": PASSWORD}));
        must(request).await
    };
    let taken = until_refused(async |number| log_in(number, "203.0.113.1".into()).await).await;
    assert!(taken >= LIMIT, "{taken} attempts were taken");
    for number in 2..4 * LIMIT {
        let answer = log_in(number, format!("203.0.113.{number}")).await;
        assert_eq!(answer.status, 404, "somebody else waits: {}", answer.text());
    }
    // What a client writes into the header before the proxy adds to it is not believed.
    let taken = until_refused(async |number| {
        log_in(number, format!("198.51.100.{number}, 203.0.113.99")).await
    })
    .await;
    assert!(taken >= LIMIT, "{taken} attempts were taken");
}

async fn accounts_are_guarded_too(limit: &str) {
    let settings = [
        ("RATE_LIMITS", "on"),
        ("LOGINS_PER_MINUTE", limit),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let hub = Hub::start_with(&settings).await;
    let old = OldApi::new(&hub);
    let guess = async |email: &str, number: usize| {
        let request = old
            .request(Method::POST, "/login")
            .header("x-forwarded-for", format!("192.0.2.{number}"))
            .json(&json!({"email": email, "password": "Wrong-horse-1"}));
        must(request).await
    };
    let taken = until_refused(async |number| guess("ana@example.org", number).await).await;
    assert!(taken >= LIMIT, "{taken} attempts were taken");
    assert_eq!(guess("ben@example.org", 100).await.status, 404);
    assert_eq!(
        old.get("/users/me").await.text(),
        format!("{{\"Error\":\"{NO_AUTHORIZATION}\"}}\n")
    );
}

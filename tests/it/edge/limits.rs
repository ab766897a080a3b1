//! Rate limits, and that hashing passwords stops nobody else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Answer, Api, FakeProbe, Hub, OldApi, TestUser, Trial, hub::PASSWORD, orders, trials};
use tokio::{task::JoinSet, time::sleep};

use crate::old_http::bench::order;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        nothing_is_limited_where_nobody_asked_for_it,
        what_one_user_creates_is_limited,
        every_answer_to_a_login_tells_the_limits,
        a_flood_of_logins_stops_nobody_else,
    ]
}

fn place() -> Value {
    json!({"location": {"longitude": 1, "latitude": 2}})
}

fn login(name: &str, password: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "password": password})
}

/// The headers of limits: what they are, what is left.
fn told(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (
        answer.header("ratelimit-policy"),
        answer.header("ratelimit"),
    )
}

async fn nothing_is_limited_where_nobody_asked_for_it() {
    for switched_off in ["", "off"] {
        let settings = [
            ("RATE_LIMITS", switched_off),
            ("LOGINS_PER_MINUTE", "1"),
            ("OPERATIONS_PER_MINUTE", "1"),
        ];
        let hub = Hub::start_with(&settings).await;
        let ana = hub.user("ana", 0).await;
        for _ in 0..4 {
            let answer = hub
                .api()
                .post("/api/v1/sessions", &login("ana", PASSWORD))
                .await;
            let _ = answer.expect(201);
            assert_eq!(told(&answer), (None, None));
            let answer = ana.api.post("/api/v1/probes", &place()).await;
            let _ = answer.expect(201);
            assert_eq!(told(&answer), (None, None));
        }
    }
}

async fn what_one_user_creates_is_limited() {
    let hub = Hub::start_with(&[("RATE_LIMITS", "on"), ("OPERATIONS_PER_MINUTE", "4")]).await;
    let (ana, ben) = (hub.user("ana", 1000).await, hub.user("ben", 0).await);
    let old = OldApi::of(&hub, &ana);
    let card = ana.probe("p").await;
    let _probe = FakeProbe::connect(&hub, &card.token).await;
    // Both faces, operations and probes, count together, and what is wrong counts too.
    let answer = ana.order(&orders::ping(&[card.id])).await;
    let _ = answer.expect(201);
    assert_eq!(
        told(&answer),
        (Some("\"user\";q=4;w=60"), Some("\"user\";r=2;t=30"))
    );
    let _ = old
        .post("/ping", &order("ping", &[&card]))
        .await
        .expect_old(201);
    let _ = old.post("/probes", &json!({})).await.expect_refusal(400);
    let problem = ana.order(&orders::ping(&[card.id])).await;
    problem.expect_problem(429, "too_many_attempts");
    let wait = problem.header("retry-after").expect("when to come back");
    assert_eq!(
        told(&problem),
        (
            Some("\"user\";q=4;w=60"),
            Some(&*format!("\"user\";r=0;t={wait}"))
        )
    );
    let wait: u64 = wait.parse().expect("seconds");
    assert!((1..=15).contains(&wait), "{wait}");
    for (path, body) in [("/ping", order("ping", &[&card])), ("/probes", place())] {
        old.post(path, &body).await.expect_refusal(429);
    }
    let answer = ana.api.post("/api/v1/probes", &place()).await;
    answer.expect_problem(429, "too_many_attempts");
    // Everything else goes on, and so does everyone else.
    let answer = ana.api.get("/api/v1/operations").await;
    assert_eq!(told(&answer), (None, None));
    assert_eq!(
        answer.expect(200)["items"].as_array().map(Vec::len),
        Some(2)
    );
    let _ = ben.api.post("/api/v1/probes", &place()).await.expect(201);
    sleep(Duration::from_secs(wait)).await;
    // On a new connection: the hub may be closing the one that was idle for so long.
    let api = Api::new(&hub.url()).with_token(ana.api.token().expect("a token"));
    let ana = TestUser { api, ..ana };
    let _ = ana.order(&orders::ping(&[card.id])).await.expect(201);
}

async fn every_answer_to_a_login_tells_the_limits() {
    let hub = Hub::start_with(&[("RATE_LIMITS", "on"), ("LOGINS_PER_MINUTE", "5")]).await;
    let old = OldApi::new(&hub);
    let policy = Some("\"address\";q=5;w=60, \"account\";q=5;w=60");
    let answer = hub
        .api()
        .post("/api/v1/sessions", &login("ana", PASSWORD))
        .await;
    answer.expect_problem(401, "wrong_credentials");
    let left = Some("\"address\";r=4;t=12, \"account\";r=4;t=12");
    assert_eq!(told(&answer), (policy, left));
    let answer = old.log_in("ben@example.org", PASSWORD).await;
    let left = Some("\"address\";r=3;t=24, \"account\";r=4;t=12");
    assert_eq!((answer.status, told(&answer)), (404, (policy, left)));
    let answer = hub
        .api()
        .post("/api/v1/users", &login("ana", PASSWORD))
        .await;
    let _ = answer.expect(201);
    assert_eq!(
        told(&answer),
        (Some("\"address\";q=5;w=60"), Some("\"address\";r=2;t=36"))
    );
}

/// Logins at the same time: more than may wait.
const FLOOD: usize = 400;
/// Longest that others may wait meanwhile, on a machine that is busy.
const QUICK: Duration = Duration::from_secs(3);

async fn a_flood_of_logins_stops_nobody_else() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let mut flood = JoinSet::new();
    for number in 0..FLOOD {
        let api = hub.api().clone();
        flood.spawn(async move {
            let body = login(&format!("nobody{number}"), PASSWORD);
            api.post("/api/v1/sessions", &body).await
        });
    }
    let (mut slowest, mut asked) = (Duration::ZERO, 0);
    let (mut tried, mut refused) = (0, 0);
    while !flood.is_empty() {
        let began = Instant::now();
        let _ = ana.api.get("/api/v1/users/me").await.expect(200);
        slowest = slowest.max(began.elapsed());
        asked += 1;
        while let Some(answer) = flood.try_join_next() {
            let answer = answer.expect("an answer");
            if answer.status == 503 {
                answer.expect_problem(503, "busy");
                let wait = answer.header("retry-after");
                assert_eq!(wait, Some("5"));
                refused += 1;
            } else {
                answer.expect_problem(401, "wrong_credentials");
                tried += 1;
            }
        }
    }
    assert!(slowest < QUICK, "others waited {slowest:?}");
    assert!(asked > 1, "the flood was over at once");
    // Some were told at once that they are too many, the others had their turn.
    assert!(refused > 0 && tried > 0, "{tried} tried, {refused} refused");
    let _ = hub
        .api()
        .post("/api/v1/sessions", &login("ana", PASSWORD))
        .await
        .expect(201);
}

//! Rate limits that all hubs of a platform share.

use serde_json::json;
use tests::{Platform, Trial, api::Answer, hub::PASSWORD};

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        attempts_count_together,
        what_a_user_creates_counts_together,
        without_redis_each_hub_counts_alone,
    ]
}

/// So many attempts a minute.
const LIMIT: usize = 8;

/// Tries to log in at one hub after the other until it is refused; how often it was let in.
async fn let_in(platform: &Platform, most: usize) -> usize {
    for attempt in 0..most {
        let hub = &platform.hubs[attempt % platform.hubs.len()];
        let body = json!({"email": "nobody@example.org", "password": PASSWORD});
        let answer = hub.api().post("/api/v1/sessions", &body).await;
        if answer.status == 429 {
            let after = answer
                .headers
                .get("retry-after")
                .expect("when to come back");
            let after: usize = after
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .expect("seconds");
            assert!((1..=60 / LIMIT + 1).contains(&after), "{after}");
            return attempt;
        }
        answer.expect_problem(401, "wrong_credentials");
    }
    most
}

async fn attempts_count_together() {
    let limit = LIMIT.to_string();
    let platform =
        Platform::start_with(3, &[("RATE_LIMITS", "on"), ("LOGINS_PER_MINUTE", &limit)]).await;
    let let_in = let_in(&platform, LIMIT * 3).await;
    // One comes back every seven seconds, so a slow machine lets one or two more in.
    assert!((LIMIT..LIMIT + 3).contains(&let_in), "{let_in}");
    // At every hub.
    for hub in &platform.hubs {
        let body = json!({"email": "somebody@example.org", "password": PASSWORD});
        let answer = hub.api().post("/api/v1/users", &body).await;
        assert_eq!(answer.status, 429);
    }
}

async fn what_a_user_creates_counts_together() {
    let limit = LIMIT.to_string();
    let settings = [
        ("RATE_LIMITS", "on"),
        ("OPERATIONS_PER_MINUTE", limit.as_str()),
    ];
    let platform = Platform::start_with(2, &settings).await;
    let ana = platform.hubs[0].user("ana", 0).await;
    let place = json!({"location": {"longitude": 1, "latitude": 2}});
    let left = |answer: &Answer| answer.header("ratelimit").map(str::to_owned);
    let mut told = Vec::new();
    for attempt in 0..LIMIT * 2 {
        let at = ana.at(&platform.hubs[attempt % 2]);
        let answer = at.api.post("/api/v1/probes", &place).await;
        let said = left(&answer).expect("what is left");
        if answer.status == 429 {
            assert!(said.starts_with("\"user\";r=0;t="), "{said}");
            break;
        }
        let _ = answer.expect(201);
        told.push(said);
    }
    // One comes back every seven seconds, so a slow machine lets one or two more in.
    assert!((LIMIT..LIMIT + 3).contains(&told.len()), "{told:?}");
    assert_eq!(told[0], format!("\"user\";r={};t=8", LIMIT - 1));
}

async fn without_redis_each_hub_counts_alone() {
    let limit = LIMIT.to_string();
    let mut platform =
        Platform::start_with(2, &[("RATE_LIMITS", "on"), ("LOGINS_PER_MINUTE", &limit)]).await;
    platform.redis.kill9().await;
    let let_in = let_in(&platform, LIMIT * 4).await;
    assert!((LIMIT * 2 - 1..LIMIT * 2 + 5).contains(&let_in), "{let_in}");
}

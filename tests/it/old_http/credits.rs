//! Granting credits at the old path.

use serde_json::{Value, json};
use tests::{Hub, OldApi, Trial, old_api::NO_AUTHORIZATION, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_grant_adds,
        wrong_grants_change_nothing,
        only_superusers_grant
    ]
}

const INVALID: &str = "Invalid data provided";
const NOBODY: &str = "User doesn't exist";
const UNKNOWN: &str = "0123456789abcdef01234567";

async fn a_grant_adds() {
    let hub = Hub::start().await;
    let (ana, admin) = (hub.user("ana", 0).await, hub.admin().await);
    let old = OldApi::of(&hub, &admin);
    for (credits, sum) in [
        (json!(5), 5),
        (json!(5.0), 10),
        (json!(1), 11),
        (json!(1e3), 1011),
    ] {
        let grant = json!({"id": ana.id, "credits": credits});
        let answer = old.post("/credits", &grant).await;
        let user = answer.expect_old(200);
        let whole = format!(
            r#"{{"_id":"{}","credits":{sum},"email":"{}","is_superuser":false}}"#,
            ana.id, ana.email
        );
        assert_eq!(answer.text(), whole + "\n", "{user}");
    }
    assert_eq!(ana.credits().await, 1011);
    // To themselves too.
    let grant = json!({"id": admin.id, "credits": 3});
    let user = old.post("/credits", &grant).await.expect_old(200);
    assert_eq!(
        (&user["credits"], &user["is_superuser"]),
        (&json!(3), &json!(true))
    );
    hub.check().await;
}

async fn wrong_grants_change_nothing() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 7).await;
    let old = OldApi::of(&hub, &hub.admin().await);
    for body in [
        json!({}),
        json!({"id": ana.id}),
        json!({"credits": 5}),
        json!({"id": "", "credits": 5}),
        json!({"id": ana.id, "credits": ""}),
        json!({"id": ana.id, "credits": 0}),
        json!({"id": ana.id, "credits": 0.0}),
        json!({"id": ana.id, "credits": -5}),
        json!({"id": ana.id, "credits": -0.5}),
        json!({"id": ana.id, "credits": 0.5}),
        json!({"id": ana.id, "credits": 5.5}),
        json!({"id": ana.id, "credits": "5"}),
        json!({"id": ana.id, "credits": [5]}),
        json!({"id": ana.id, "credits": {"$gt": 0}}),
        json!({"id": ana.id, "credits": 1e300}),
        json!({"id": ana.id, "credits": Value::Null}),
        json!({"id": Value::Null, "credits": 5}),
        // The credits are looked at before the user.
        json!({"id": UNKNOWN, "credits": 0}),
        json!({"id": "x", "credits": -1}),
    ] {
        let answer = old.post("/credits", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
    for id in [UNKNOWN, "x", "ana@example.org", "0123456789abcdef0123456"] {
        let answer = old.post("/credits", &json!({"id": id, "credits": 5})).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text());
        answer.expect_error(404, NOBODY);
    }
    for number in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let body = format!("{{\"id\":\"{}\",\"credits\":{number}}}", ana.id);
        old.post_text("/credits", body).await.expect_refusal(400);
    }
    assert_eq!(ana.credits().await, 7);
    hub.check().await;
}

async fn only_superusers_grant() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let grant = json!({"id": ana.id, "credits": 5});
    // Whoever may not is told nothing else.
    for body in [grant, json!({}), json!({"id": UNKNOWN, "credits": 5})] {
        for old in [OldApi::of(&hub, &ana), OldApi::new(&hub)] {
            let answer = old.post("/credits", &body).await;
            answer.expect_error(401, NO_AUTHORIZATION);
        }
    }
    assert_eq!(ana.credits().await, 0);
}

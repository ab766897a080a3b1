//! Users: registering, logging in, balances.

use serde_json::{Value, json};
use tests::{
    Hub, TestUser, Trial, database,
    hub::{ADMIN, PASSWORD},
    orders, trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_user_registers_and_logs_in,
        wrong_credentials_say_nothing_more,
        an_address_is_taken_once,
        only_superusers_grant,
        a_grant_is_repeated_by_its_key,
        a_hash_of_the_old_system_logs_in_and_is_replaced,
        the_ledger_pages_add_up_to_the_balance,
        others_see_nothing,
    ]
}

async fn a_user_registers_and_logs_in() {
    let hub = Hub::start().await;
    let body = json!({"email": "ana@example.org", "password": PASSWORD});
    let made = hub.api().post("/api/v1/users", &body).await.expect(201);
    assert_eq!(
        (&made["email"], &made["credits"], &made["is_superuser"]),
        (&json!("ana@example.org"), &json!(0), &json!(false))
    );
    assert!(!made.to_string().contains("password"), "{made}");
    let ana = TestUser::log_in(hub.api(), "ana@example.org", PASSWORD).await;
    let me = ana.api.get("/api/v1/users/me").await.expect(200);
    assert_eq!(me, made);
    // The spelling of the system that Pladmed replaces.
    let request = hub.api().request(reqwest::Method::GET, "/api/v1/users/me");
    let old = request.header("access_token", ana.api.token().expect("a token"));
    assert_eq!(tests::api::must(old).await.expect(200)["id"], made["id"]);
    hub.check().await;
}

async fn wrong_credentials_say_nothing_more() {
    let hub = Hub::start().await;
    let log_in = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        hub.api().post("/api/v1/sessions", &body).await
    };
    let wrong = log_in(ADMIN, "Wrong-horse-1").await;
    let nobody = log_in("nobody@example.org", PASSWORD).await;
    wrong.expect_problem(401, "wrong_credentials");
    nobody.expect_problem(401, "wrong_credentials");
    assert_eq!(
        wrong.body, nobody.body,
        "an answer tells which addresses exist"
    );
    for token in ["", "x", "a.b.c"] {
        hub.api()
            .with_token(token)
            .get("/api/v1/users/me")
            .await
            .expect_problem(401, "unauthorized");
    }
    hub.api()
        .get("/api/v1/users/me")
        .await
        .expect_problem(401, "unauthorized");
    // A probe's token is no user's token.
    let probe = hub.user("ana", 0).await.probe("p").await;
    hub.api()
        .with_token(&probe.token)
        .get("/api/v1/users/me")
        .await
        .expect_problem(401, "unauthorized");
}

async fn an_address_is_taken_once() {
    let hub = Hub::start().await;
    let body = json!({"email": "ana@example.org", "password": PASSWORD});
    let both = tokio::join!(
        hub.api().post("/api/v1/users", &body),
        hub.api().post("/api/v1/users", &body)
    );
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    hub.api()
        .post("/api/v1/users", &body)
        .await
        .expect_problem(409, "email_taken");
}

async fn only_superusers_grant() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let path = format!("/api/v1/users/{}/credits", ana.id);
    ana.api
        .post(&path, &json!({"credits": 5}))
        .await
        .expect_problem(403, "forbidden");
    hub.api()
        .post(&path, &json!({"credits": 5}))
        .await
        .expect_problem(401, "unauthorized");
    let admin = hub.admin().await;
    let nobody = "/api/v1/users/000000000000000000000000/credits";
    admin
        .api
        .post(nobody, &json!({"credits": 5}))
        .await
        .expect_problem(404, "not_found");
    for wrong in [
        json!(0),
        json!(-5),
        json!("5"),
        json!(1.5),
        json!(1_000_000_000_001_i64),
        Value::Null,
    ] {
        let answer = admin.api.post(&path, &json!({"credits": wrong})).await;
        assert_eq!(answer.wrong_fields(), ["/credits"]);
    }
    assert_eq!(ana.credits().await, 0);
    admin.grant(&ana, 7).await;
    assert_eq!(ana.credits().await, 7);
    hub.check().await;
}

async fn a_grant_is_repeated_by_its_key() {
    let hub = Hub::start().await;
    let (ana, admin) = (hub.user("ana", 0).await, hub.admin().await);
    let grant = async |credits: i64| {
        let request = admin.api.request(
            reqwest::Method::POST,
            &format!("/api/v1/users/{}/credits", ana.id),
        );
        tests::api::must(
            request
                .header("idempotency-key", "march")
                .json(&json!({"credits": credits})),
        )
        .await
    };
    let (first, second) = tokio::join!(grant(40), grant(40));
    let _ = (first.expect(201), second.expect(201));
    grant(41)
        .await
        .expect_problem(409, "idempotency_key_reused");
    assert_eq!(ana.credits().await, 40);
    hub.check().await;
}

/// [`PASSWORD`] as passlib's `pbkdf2_sha256` keeps it: 29,000 rounds, salt `0123456789abcdef`.
const OLD_HASH: &str =
    "$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$GS0nAEw1XQ6BDMa6wW8dqbqULAPkoVrliqHrMNFR5e4";

async fn a_hash_of_the_old_system_logs_in_and_is_replaced() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    assert_eq!(hub.terminate().await, 0);
    database::change(
        &hub.data_dir(),
        "update users set password_hash = ?1 where id = ?2",
        [OLD_HASH, &ana.id],
    );
    hub.restart().await;
    let wrong = json!({"email": ana.email, "password": "Wrong-horse-1"});
    hub.api()
        .post("/api/v1/sessions", &wrong)
        .await
        .expect_problem(401, "wrong_credentials");
    let stored = || {
        let connection = database::open(&hub.data_dir());
        let query = "select password_hash from users where id = ?1";
        connection
            .query_row(query, [&ana.id], |row| row.get::<_, String>(0))
            .expect("a hash")
    };
    assert_eq!(stored(), OLD_HASH);
    TestUser::log_in(hub.api(), &ana.email, PASSWORD).await;
    assert!(stored().starts_with("$argon2id$"), "{}", stored());
    TestUser::log_in(hub.api(), &ana.email, PASSWORD).await;
}

async fn the_ledger_pages_add_up_to_the_balance() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1000).await;
    let probe = ana.probe("p").await;
    for _ in 0..12 {
        let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
        ana.cancel(operation).await;
    }
    ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    let mut entries: Vec<Value> = Vec::new();
    let mut path = "/api/v1/users/me/credits?limit=5".to_owned();
    loop {
        let page = ana.api.get(&path).await.expect(200);
        let items = page["items"].as_array().expect("items");
        assert!((1..=5).contains(&items.len()), "a page of {}", items.len());
        entries.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/users/me/credits?limit=5&cursor={next}");
    }
    // One grant, thirteen charges, twelve refunds.
    assert_eq!(entries.len(), 26);
    let ids: Vec<i64> = entries
        .iter()
        .map(|entry| entry["id"].as_i64().expect("an id"))
        .collect();
    assert!(
        ids.is_sorted_by(|a, b| a > b),
        "newest first, none twice: {ids:?}"
    );
    let sum: i64 = entries
        .iter()
        .map(|entry| entry["amount"].as_i64().expect("an amount"))
        .sum();
    assert_eq!((sum, entries[0]["balance"].as_i64()), (999, Some(999)));
    assert_eq!(ana.credits().await, 999);
    let wrong = ana
        .api
        .get("/api/v1/users/me/credits?limit=0&cursor=%21&colour=red")
        .await;
    assert_eq!(wrong.wrong_fields(), ["?colour", "?cursor", "?limit"]);
    hub.check().await;
}

async fn others_see_nothing() {
    let hub = Hub::start().await;
    let (ana, ben) = (hub.user("ana", 10).await, hub.user("ben", 10).await);
    let probe = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    for path in ["", "/results", "/events", "/results/1/raw"] {
        let path = format!("/api/v1/operations/{operation}{path}");
        ben.api.get(&path).await.expect_problem(403, "forbidden");
        hub.api()
            .get(&path)
            .await
            .expect_problem(401, "unauthorized");
    }
    ben.api
        .delete(&format!("/api/v1/operations/{operation}"))
        .await
        .expect_problem(403, "forbidden");
    ben.api
        .delete(&format!("/api/v1/probes/{}", probe.id))
        .await
        .expect_problem(403, "forbidden");
    ben.api
        .post(&format!("/api/v1/probes/{}/token", probe.id), &json!({}))
        .await
        .expect_problem(403, "forbidden");
    ben.api
        .get("/api/v1/operations?all=true")
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(
        ben.api.get("/api/v1/operations").await.expect(200)["items"],
        json!([])
    );
    // A superuser sees everything.
    let admin = hub.admin().await;
    assert_eq!(
        admin.operation(operation).await["id"],
        operation.to_string()
    );
    let all = admin
        .api
        .get("/api/v1/operations?all=true")
        .await
        .expect(200);
    assert_eq!(all["items"][0]["id"], operation.to_string());
}

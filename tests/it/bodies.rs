//! Bad bodies and paths: a clear error, nothing stored, nobody harmed.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Hub, TestUser, Trial, api, hub::PASSWORD, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        every_wrong_field_of_a_user_is_named,
        every_wrong_field_of_a_probe_is_named,
        what_is_no_json_is_malformed,
        long_and_deep_bodies_are_refused,
        unknown_paths_and_methods_are_problems,
    ]
}

/// An order without mistakes, for a probe that does not exist.
const ORDER: &str = r#"{"kind": "ping", "targets": ["192.0.2.1"], "probes": ["0123456789abcdef01234567"], "offline": "queue"}"#;
const OPERATIONS: &str = "/api/v1/operations";

/// No addresses of e-mail.
const WRONG_EMAILS: &[&str] = &[
    "",
    "ana",
    "ana@",
    "@example.org",
    "a b@example.org",
    "ana@example",
    "ana@-x.org",
    "ana@exa mple.org",
    "ana\n@example.org",
];

async fn every_wrong_field_of_a_user_is_named() {
    let hub = Hub::start().await;
    let register = async |email: Value, password: Value| {
        let body = json!({"email": email, "password": password});
        hub.api().post("/api/v1/users", &body).await
    };
    for email in WRONG_EMAILS {
        assert_eq!(
            register(json!(email), json!(PASSWORD)).await.wrong_fields(),
            ["/email"],
            "{email}"
        );
    }
    let long = format!("Aa1!{}", "x".repeat(1025));
    for password in [
        "",
        "Short-1",
        "correct-horse-1",
        "CORRECT-HORSE-1",
        "Correct-horse",
        "Correcthorse1",
        &long,
    ] {
        let answer = register(json!("ben@example.org"), json!(password)).await;
        assert_eq!(answer.wrong_fields(), ["/password"], "{password}");
        assert!(
            password.is_empty() || !answer.text().contains(password),
            "the answer repeats a password"
        );
    }
    assert_eq!(
        register(json!(5), Value::Null).await.wrong_fields(),
        ["/email", "/password"]
    );
    let answer = hub
        .api()
        .post(
            "/api/v1/users",
            &json!({"email": "x", "password": "y", "is_superuser": true}),
        )
        .await;
    assert_eq!(
        answer.wrong_fields(),
        ["/email", "/is_superuser", "/password"]
    );
}

async fn every_wrong_field_of_a_probe_is_named() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let probe = async |body: Value| ana.api.post("/api/v1/probes", &body).await.wrong_fields();
    assert_eq!(probe(json!({})).await, ["/location"]);
    assert_eq!(
        probe(json!({"location": {}})).await,
        ["/location/latitude", "/location/longitude"]
    );
    let location = json!({"longitude": 180.1, "latitude": "5"});
    assert_eq!(
        probe(json!({"name": "", "location": location})).await,
        ["/location/latitude", "/location/longitude", "/name"]
    );
    let fine = json!({"longitude": 180, "latitude": -90});
    assert_eq!(
        probe(json!({"name": "a\u{7}b", "location": fine, "token": "x"})).await,
        ["/name", "/token"]
    );
    assert_eq!(
        probe(json!({"name": "x".repeat(101), "location": fine})).await,
        ["/name"]
    );
}

async fn post_raw(user: &TestUser, body: impl Into<reqwest::Body>) -> Answer {
    let request = user
        .api
        .request(Method::POST, OPERATIONS)
        .header("content-type", "application/json");
    api::must(request.body(body)).await
}

async fn what_is_no_json_is_malformed() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    for body in [
        "",
        "{",
        "nonsense",
        "{\"kind\":}",
        "{} {}",
        "\u{feff}{}",
        "{'kind': 'ping'}",
        "NaN",
        "{\"a\":1,}",
    ] {
        post_raw(&ana, body)
            .await
            .expect_problem(400, "malformed_body");
    }
    post_raw(&ana, b"{\"kind\": \"\xff\"}".to_vec())
        .await
        .expect_problem(400, "malformed_body");
}

async fn long_and_deep_bodies_are_refused() {
    const MOST: usize = 1024 * 1024;
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let padded = |length: usize| format!("{ORDER}{}", " ".repeat(length - ORDER.len()));
    post_raw(&ana, padded(MOST))
        .await
        .expect_problem(422, "no_available_probe");
    post_raw(&ana, padded(MOST + 1))
        .await
        .expect_problem(413, "body_too_large");
    for depth in [200, 200_000] {
        post_raw(&ana, "[".repeat(depth))
            .await
            .expect_problem(400, "malformed_body");
        post_raw(&ana, "{\"a\":".repeat(depth))
            .await
            .expect_problem(400, "malformed_body");
    }
    // Deep, but not too deep to be read: the fields are wrong, nothing more.
    let nested = format!("{{\"params\":{}{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(
        post_raw(&ana, nested).await.wrong_fields(),
        ["/kind", "/probes", "/targets"]
    );
    // A flood of unknown fields does not come back as long as it was.
    let flood = (0..20_000)
        .map(|number| format!("\"field{number}\":0"))
        .collect::<Vec<_>>()
        .join(",");
    let answer = post_raw(&ana, format!("{{{flood}}}")).await;
    assert_eq!((answer.status, answer.body.len() < 10_000), (400, true));
    assert_eq!(hub.api().get("/healthz").await.status, 200);
}

async fn unknown_paths_and_methods_are_problems() {
    let hub = Hub::start().await;
    for path in [
        "/nothing",
        "/api/v1/nothing",
        "/api/v2/users",
        "/api/v1/operations/x/y/z",
    ] {
        hub.api().get(path).await.expect_problem(404, "not_found");
    }
    for (method, path) in [
        (Method::PUT, "/api/v1/users"),
        (Method::DELETE, "/api/v1/sessions"),
        (Method::POST, "/healthz"),
    ] {
        let answer = api::must(hub.api().request(method, path)).await;
        answer.expect_problem(405, "method_not_allowed");
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json"] {
        assert_eq!(hub.api().get(path).await.status, 200, "{path}");
    }
    let openapi = hub.api().get("/api/openapi.json").await.json();
    assert!(
        openapi["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{}",
        openapi["openapi"]
    );
}

//! Bodies at the old paths: JSON whatever their type says; what is wrong with them is 400, never 401 as it once was,
//! which logs the frontend out.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Hub, OldApi, Trial, api::must, hub::PASSWORD, trials};

use super::bench::{Bench, with_params, without_param};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        bodies_are_json_whatever_their_type,
        what_is_no_json_object_is_400,
        deep_and_long_bodies_are_refused,
        what_once_was_401_is_400,
    ]
}

const POSTS: &[&str] = &[
    "/register",
    "/login",
    "/credits",
    "/probes",
    "/traceroute",
    "/ping",
    "/dns",
];

async fn bodies_are_json_whatever_their_type() {
    let bench = Bench::new().await;
    let credentials = json!({"email": bench.user.email, "password": PASSWORD}).to_string();
    let order = bench.order("ping").to_string();
    let place = json!({"location": {"longitude": 1, "latitude": 2}}).to_string();
    for (path, body, status) in [
        ("/login", &credentials, 200),
        ("/ping", &order, 201),
        ("/probes", &place, 201),
    ] {
        for kind in [
            None,
            Some("text/plain"),
            Some("text/plain;charset=UTF-8"),
            Some("application/json; charset=utf-8"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data"),
            Some("nonsense"),
        ] {
            let mut request = bench.old.request(Method::POST, path).body(body.clone());
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let answer = must(request).await;
            assert_eq!(answer.status, status, "{path} {kind:?}: {}", answer.text());
        }
    }
}

async fn what_is_no_json_object_is_400() {
    let hub = Hub::start().await;
    // The superuser may use every path.
    let admin = hub.admin().await;
    let old = OldApi::of(&hub, &admin);
    for path in POSTS {
        for body in [
            "",
            " ",
            "{",
            "[]",
            "[1]",
            "{}",
            "null",
            "true",
            "5",
            "\"text\"",
            "nonsense",
            "{\"email\":\"a@example.org\"",
            "{'email': 'a@example.org'}",
            "{} {}",
            "\u{feff}{}",
            "NaN",
        ] {
            let answer = old.post_text(path, body).await;
            assert_eq!(answer.status, 400, "{path} {body:?}: {}", answer.text());
            answer.expect_refusal(400);
        }
        let answer = old.post_text(path, vec![0xff, 0xfe, 0x00]).await;
        answer.expect_refusal(400);
    }
    hub.check().await;
}

async fn deep_and_long_bodies_are_refused() {
    let hub = Hub::start().await;
    let old = OldApi::of(&hub, &hub.admin().await);
    for path in POSTS {
        for depth in [10_000, 400_000] {
            let opened = "[".repeat(depth);
            let answer = old.post_text(path, opened.clone()).await;
            answer.expect_refusal(400);
            let closed = "]".repeat(depth);
            let body = format!("{{\"params\":{opened}{closed}}}");
            let answer = old.post_text(path, body).await;
            answer.expect_refusal(400);
        }
        let long = " ".repeat(1024 * 1024 + 1);
        old.post_text(path, long).await.expect_refusal(413);
    }
    assert_eq!(hub.api().get("/healthz").await.status, 200);
}

/// Requests of someone with a good token, each with one mistake that the replaced system answered with 401.
async fn what_once_was_401_is_400() {
    let bench = Bench::new().await;
    let balance = bench.balance().await;
    let admin = OldApi::of(&bench.hub, &bench.hub.admin().await);
    let orders: &[(&str, Value)] = &[
        ("ping", json!({"timeout": "abc"})),
        ("ping", json!({"timeout": null})),
        ("ping", json!({"timeout": [1]})),
        ("traceroute", json!({"maxttl": {}})),
        ("dns", json!({"cron": 5})),
        ("dns", json!({"stop_time": 5})),
        ("ping", json!({"ips": 5})),
        ("ping", json!({"fqdns": 5})),
        ("ping", json!({"cron": "0 0 30 2 *"})),
    ];
    for (kind, change) in orders {
        let answer = bench.ask(kind, change).await;
        assert_eq!(answer.status, 400, "{kind} {change}: {}", answer.text());
        answer.expect_error(400, "Invalid data provided");
    }
    let mut order = bench.order("traceroute");
    order
        .as_object_mut()
        .expect("an order")
        .remove("result_format");
    let answer = bench.post("traceroute", &order).await;
    answer.expect_error(400, "Invalid data provided");
    for name in ["cron", "stop_time", "times_per_minute", "ips"] {
        let order = without_param(bench.order("ping"), name);
        let answer = bench.post("ping", &order).await;
        answer.expect_error(400, "Invalid data provided");
    }
    for credits in [json!("5"), Value::Null] {
        let grant = json!({"id": bench.user.id, "credits": credits});
        let answer = admin.post("/credits", &grant).await;
        answer.expect_error(400, "Invalid data provided");
    }
    // The order itself was not the mistake.
    assert_eq!(bench.balance().await, balance);
    let order = with_params(bench.order("ping"), &json!({"timeout": 1}));
    let _ = bench.post("ping", &order).await.expect_old(201);
    bench.hub.check().await;
}

//! What a browser needs to let a page of another origin speak to the hub: an answer to its question beforehand, and a
//! header on every answer, errors too. Without it a page cannot even read the status.

use reqwest::Method;
use serde_json::json;
use tests::{Answer, Hub, OldApi, Trial, api::must, trials};

use super::bench::{Bench, ROUTES, id_of};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_preflight_is_answered_with_what_it_asked,
        every_answer_may_be_read_by_the_page_that_asked,
        too_many_logins_may_be_read_too,
    ]
}

const ORIGIN: &str = "https://console.example.net:8443";
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// The items of a list in a header, in lower case and order.
fn items(list: &str) -> Vec<String> {
    let mut items: Vec<String> = list
        .split(',')
        .map(|item| item.trim().to_lowercase())
        .collect();
    items.sort();
    items
}

async fn a_preflight_is_answered_with_what_it_asked() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for (method, path, _) in ROUTES {
        for before in ["", "/", "/api"] {
            let path = format!("{before}{path}");
            for headers in [
                "access_token",
                "access_token,content-type",
                "x-some, Content-Type",
            ] {
                let request = anyone
                    .request(Method::OPTIONS, &path)
                    .header("origin", ORIGIN)
                    .header("access-control-request-method", method.as_str())
                    .header("access-control-request-headers", headers);
                let answer = must(request).await;
                assert_eq!(answer.status, 200, "{path}");
                readable_by(&answer, ORIGIN, &path);
                let allowed = answer.header("access-control-allow-headers");
                assert_eq!(
                    allowed.map(items),
                    Some(items(headers)),
                    "{path}: {headers}"
                );
                assert_eq!(
                    answer.header("access-control-allow-methods"),
                    Some(METHODS),
                    "{path}"
                );
            }
        }
    }
}

/// Holds an answer to what a page of this origin needs to read it.
#[track_caller]
fn readable_by(answer: &Answer, origin: &str, what: &str) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(origin),
        "{what}: {}",
        answer.text()
    );
    let vary = answer.headers.get_all("vary").iter();
    let vary: Vec<String> = vary
        .filter_map(|value| value.to_str().ok())
        .flat_map(items)
        .collect();
    assert!(vary.contains(&"origin".to_owned()), "{what}: {vary:?}");
    not_with_credentials(answer, what);
}

#[track_caller]
fn not_with_credentials(answer: &Answer, what: &str) {
    let header = answer.headers.get("access-control-allow-credentials");
    assert_eq!(header, None, "{what}");
}

async fn every_answer_may_be_read_by_the_page_that_asked() {
    let bench = Bench::new().await;
    let made = bench
        .post("ping", &bench.order("ping"))
        .await
        .expect_old(201);
    let operation = format!("/operation?id={}", id_of(&made));
    let (ana, anyone) = (&bench.old, OldApi::new(&bench.hub));
    let huge = " ".repeat(1024 * 1024 + 1);
    let order = bench.order("dns").to_string();
    let weak = json!({"email": "ben@example.org", "password": "weak"}).to_string();
    let stranger = json!({"email": "ben@example.org", "password": "Unknown-1"}).to_string();
    let requests: &[(&OldApi, Method, &str, &str, u16)] = &[
        (ana, Method::GET, "/users/me", "", 200),
        (ana, Method::HEAD, "/users/me", "", 200),
        (&anyone, Method::GET, "/probes", "", 200),
        (ana, Method::GET, "/probes/me", "", 200),
        (ana, Method::GET, "/operations/me", "", 200),
        (ana, Method::GET, "/operations", "", 200),
        (&anyone, Method::GET, &operation, "", 200),
        (ana, Method::POST, "/dns", &order, 201),
        (ana, Method::POST, "/dns", "{", 400),
        (&anyone, Method::POST, "/login", "{", 400),
        (&anyone, Method::POST, "/register", &weak, 400),
        (ana, Method::POST, "/probes", "{}", 400),
        (&anyone, Method::POST, "/dns", &order, 401),
        (&anyone, Method::GET, "/users/me", "", 401),
        (&anyone, Method::POST, "/login", &stranger, 404),
        (&anyone, Method::GET, "/operation?id=x", "", 404),
        (&anyone, Method::GET, "/login", "", 405),
        (ana, Method::POST, "/dns", &huge, 413),
    ];
    for (speaker, method, path, body, status) in requests {
        for before in ["", "/api"] {
            let what = format!("{method} {before}{path} {status}");
            let request = || {
                let request = speaker.request(method.clone(), &format!("{before}{path}"));
                request.body((*body).to_owned())
            };
            for origin in [ORIGIN, "null"] {
                let answer = must(request().header("origin", origin)).await;
                assert_eq!(answer.status, *status, "{what}: {}", answer.text());
                readable_by(&answer, origin, &what);
            }
            let answer = must(request()).await;
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, Some("*"), "{what} without an origin");
            not_with_credentials(&answer, &what);
        }
    }
}

async fn too_many_logins_may_be_read_too() {
    const LIMIT: usize = 5;
    let hub = Hub::start_with(&[
        ("RATE_LIMITS", "on"),
        ("LOGINS_PER_MINUTE", &LIMIT.to_string()),
    ])
    .await;
    let anyone = OldApi::new(&hub);
    let body = json!({"email": "ana@example.org", "password": "Unknown-1"}).to_string();
    for _ in 0..=2 * LIMIT {
        let request = anyone
            .request(Method::POST, "/login")
            .header("origin", ORIGIN);
        let answer = must(request.body(body.clone())).await;
        readable_by(&answer, ORIGIN, "POST /login");
        if answer.status == 429 {
            answer.expect_refusal(429);
            return;
        }
    }
    panic!("nobody stopped me");
}

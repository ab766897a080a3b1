//! What answers say to browsers: how to treat them, and whose pages may read them.

use reqwest::Method;
use serde_json::json;
use tests::{Answer, Hub, OldApi, Trial, api::must, hub::PASSWORD, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        every_answer_is_safe_in_a_browser,
        what_holds_a_token_is_kept_nowhere,
        pages_of_all_origins_may_use_version_1,
        only_named_origins_may_read,
    ]
}

async fn every_answer_is_safe_in_a_browser() {
    let hub = Hub::start().await;
    let (api, old) = (hub.api(), OldApi::new(&hub));
    let url = format!("/{}", "x".repeat(9000));
    for (answer, status) in [
        (api.get("/healthz").await, 200),
        (api.get("/api/v1/users/me").await, 401),
        (api.get("/nowhere").await, 404),
        (api.delete("/healthz").await, 405),
        (api.get(&url).await, 414),
        (api.get("/api/openapi.json").await, 200),
        (api.get("/documentation/").await, 200),
        (api.get("/documentation/swagger-ui.css").await, 200),
        (old.get("/probes").await, 200),
        (old.get("/users/me").await, 401),
        (old.delete("/login").await, 405),
        (old.post_text("/login", "{").await, 400),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text());
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{status}");
        }
        let policy = answer.header("content-security-policy");
        let policy = policy.expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script-src 'unsafe"), "{policy}");
    }
    // Nobody who says that TLS was there is believed: browsers would never come back without.
    let request = api.request(Method::GET, "/healthz");
    let answer = must(request.header("x-forwarded-proto", "https")).await;
    assert_eq!(answer.header("strict-transport-security"), None);
}

async fn what_holds_a_token_is_kept_nowhere() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let old = OldApi::of(&hub, &ana);
    let login = json!({"email": ana.email, "password": PASSWORD});
    let place = json!({"location": {"longitude": 1, "latitude": 2}});
    let made = ana.api.post("/api/v1/probes", &place).await;
    let path = format!(
        "/api/v1/probes/{}/token",
        made.json()["probe"]["id"].as_str().expect("an id")
    );
    for answer in [
        made,
        ana.api.post(&path, &json!({})).await,
        hub.api().post("/api/v1/sessions", &login).await,
        old.log_in(&ana.email, PASSWORD).await,
        old.post("/probes", &place).await,
        old.get("/probes/me").await,
    ] {
        assert!(answer.text().contains("eyJ"), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

const ORIGIN: &str = "https://console.example.net:8443";
const OTHER: &str = "https://console.example.net";

/// A browser's question whether a page may ask this.
async fn preflight(hub: &Hub, origin: &str, path: &str) -> Answer {
    let request = hub
        .api()
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    must(request).await
}

/// What an answer says to browsers: whose page may read it, with which methods and headers it may ask.
fn says(answer: &Answer) -> [Option<&str>; 3] {
    ["origin", "methods", "headers"]
        .map(|what| answer.header(&format!("access-control-allow-{what}")))
}

const METHODS: Option<&str> = Some("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
const HEADERS: Option<&str> = Some("authorization,content-type");

async fn pages_of_all_origins_may_use_version_1() {
    let hub = Hub::start().await;
    for path in ["/api/v1/sessions", "/api/v1/operations", "/login"] {
        let answer = preflight(&hub, ORIGIN, path).await;
        assert!([200, 204].contains(&answer.status), "{}", answer.status);
        assert_eq!(says(&answer), [Some(ORIGIN), METHODS, HEADERS], "{path}");
    }
    for (path, status) in [
        ("/api/v1/operations", 401),
        ("/api/v1/nothing", 404),
        ("/healthz", 200),
    ] {
        let request = hub
            .api()
            .request(Method::GET, path)
            .header("origin", ORIGIN);
        let answer = must(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(says(&answer), [Some(ORIGIN), None, None], "{path}");
        let readable = answer.header("access-control-expose-headers");
        assert!(
            readable
                .is_some_and(|names| names.contains("RateLimit, RateLimit-Policy, Retry-After"))
        );
        assert_eq!(answer.header("vary"), Some("Origin"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    // Who is no browser asks for a method like any other.
    let answer = must(hub.api().request(Method::OPTIONS, "/api/v1/operations")).await;
    answer.expect_problem(405, "method_not_allowed");
    let nowhere = preflight(&hub, ORIGIN, "/api/v1/nothing").await;
    nowhere.expect_problem(404, "not_found");
}

async fn only_named_origins_may_read() {
    let origins = format!("http://127.0.0.1:3000, {ORIGIN}");
    let hub = Hub::start_with(&[("CORS_ORIGINS", &origins)]).await;
    for path in ["/api/v1/sessions", "/login"] {
        let answer = preflight(&hub, ORIGIN, path).await;
        assert_eq!(says(&answer), [Some(ORIGIN), METHODS, HEADERS], "{path}");
        for stranger in [
            OTHER,
            "null",
            "https://console.example.net:8443.example.com",
        ] {
            let answer = preflight(&hub, stranger, path).await;
            assert_eq!(says(&answer), [None; 3], "{stranger} {path}");
        }
    }
    for path in ["/probes", "/healthz"] {
        for (origin, allowed) in [
            (Some(ORIGIN), Some(ORIGIN)),
            (Some(OTHER), None),
            (None, None),
        ] {
            let mut request = hub.api().request(Method::GET, path);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = must(request).await;
            assert_eq!((answer.status, says(&answer)[0]), (200, allowed));
            // A cache must not give one origin's answer to another.
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
}

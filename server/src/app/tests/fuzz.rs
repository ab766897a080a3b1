//! Requests to the whole router, in process: paths, query strings, headers and bodies of anybody who is logged in. No
//! request may make the hub say that it is at fault.

use std::{collections::HashMap, str::FromStr as _};

use ::fuzz::Target;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::util::ServiceExt as _;

use super::*;

const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "PATCH ",
    "DELETE ",
    "OPTIONS ",
    "/api/v1/",
    "/api/",
    "operations",
    "probes",
    "results",
    "events",
    "users/me/credits",
    "{operation}",
    "{probe}",
    "{user}",
    "?limit=",
    "&limit=1",
    "&cursor=",
    "&after=",
    "&id=",
    "&wait=",
    "&state=",
    "&owner=me",
    "&connected=true",
    "%00",
    "%e2%80%a8",
    "%C3",
    "+",
    "\nlast-event-id: 1",
    "\nidempotency-key: a",
    "\nx-forwarded-for: 192.0.2.1",
    "\nauthorization: Bearer x",
    "\naccess_token: x",
    "\norigin: https://a.example",
    "\naccept: text/event-stream",
    "\nupgrade: websocket",
    "\n\n{",
    "NDIwMDAwMDA=",
];

/// Methods that are worth telling apart.
const METHODS: &[Method] = &[
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::POST,
    Method::PATCH,
    Method::DELETE,
];
/// Longest answer that is looked at, bytes.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// Longest that an answer's first byte may take: longer than the hub itself allows.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// A hub with somebody in it.
struct World {
    router: Router,
    token: String,
    /// Words that stand for identifiers, which nobody can write into a file in advance.
    ids: HashMap<&'static str, String>,
    _data: tempfile::TempDir,
    _keeps_ingest: (Inbox, Ingest, Http),
}

impl World {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().to_string_lossy().into_owned();
        let variables = [
            ("DATA_DIR", path.as_str()),
            ("ENVIRONMENT", "development"),
            ("RATE_LIMITS", "off"),
            ("TRUSTED_PROXIES", "127.0.0.0/8"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::from_vars(variables).unwrap();
        let _ = metrics::install();
        let store = stores::open(&config, Use::Hub).await.unwrap();
        let key = SecretKey("k".into());
        let me = InstanceId::new();
        let platform = platform::join(&config, &*store, me).await.unwrap();
        let (bus, stop) = (platform.bus.clone(), CancellationToken::new());
        let (inbox, ingest) = ingest::start(store.clone(), bus, stop.clone());
        let shared = share(&config, &key, store.clone(), &platform, &inbox, stop).unwrap();
        let user = store
            .create_user(NewUser {
                email: "ana@example.com".into(),
                password_hash: "none".into(),
                is_superuser: true,
                created_at: chrono::Utc::now(),
            })
            .await
            .unwrap();
        let token = shared
            .tokens
            .for_user(user.id, "ana@example.com", chrono::Utc::now());
        let mut world = Self {
            router: http::router(shared.clone()),
            token: token.unwrap().0,
            ids: HashMap::from([("{user}", user.id.to_string())]),
            _data: data,
            _keeps_ingest: (inbox, ingest, shared),
        };
        world.furnish().await;
        world
    }

    /// A probe, credits and an operation, asked for as a user does.
    async fn furnish(&mut self) {
        let place = json!({ "location": { "longitude": 1.5, "latitude": 2.5 } });
        let probe = self.created("/api/v1/probes", &place).await;
        let credits = json!({ "credits": 100_000 });
        let path = format!("/api/v1/users/{}/credits", self.ids["{user}"]);
        self.created(&path, &credits).await;
        let probe = probe["probe"]["id"]
            .as_str()
            .or(probe["id"].as_str())
            .unwrap()
            .to_owned();
        let order = json!({ "kind": "ping", "targets": ["192.0.2.1"], "probes": [probe], "offline": "queue" });
        let operation = self.created("/api/v1/operations", &order).await;
        let id = &operation["operation"]["id"];
        let id = id.as_str().or(operation["id"].as_str()).unwrap().to_owned();
        self.ids.extend([("{probe}", probe), ("{operation}", id)]);
    }

    async fn created(&self, path: &str, body: &Value) -> Value {
        let text = format!("POST {path}\n\n{body}");
        let request = self.request(text.as_bytes()).unwrap();
        let (status, _, body) = self.answer(request).await;
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap()
    }

    /// A request written as in HTTP, but without a version; `None` for what a server would never let through.
    fn request(&self, input: &[u8]) -> Option<Request<Body>> {
        let end = input.windows(2).position(|two| two == b"\n\n");
        let (head, body) = input.split_at(end.unwrap_or(input.len()));
        let mut head = str::from_utf8(head).ok()?.to_owned();
        for (word, id) in &self.ids {
            head = head.replace(word, id);
        }
        let mut lines = head.split('\n');
        let (method, url) = lines.next()?.split_once(' ')?;
        let uri = Uri::from_str(url)
            .ok()
            .filter(|uri| uri.path().starts_with('/'))?;
        let mut request = Request::new(Body::from(body.get(2..).unwrap_or_default().to_vec()));
        *request.method_mut() = Method::from_str(method).ok()?;
        *request.uri_mut() = uri;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_str(name).ok()?;
            let value = HeaderValue::from_str(value.trim()).ok()?;
            request.headers_mut().append(name, value);
        }
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap();
        let headers = request.headers_mut();
        headers.entry(header::AUTHORIZATION).or_insert(bearer);
        let peer: SocketAddr = "127.0.0.1:5".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        Some(request)
    }

    /// Status, content type, and as much as there is of the body; of a stream nothing.
    async fn answer(&self, request: Request<Body>) -> (StatusCode, String, Vec<u8>) {
        let answer = timeout(ANSWERED_WITHIN, self.router.clone().oneshot(request));
        let answer = answer.await.expect("an answer in time").unwrap();
        let sort = answer.headers().get(header::CONTENT_TYPE);
        let sort = sort.map_or("", |sort| sort.to_str().unwrap()).to_owned();
        let status = answer.status();
        if sort.starts_with("text/event-stream") {
            return (status, sort, Vec::new());
        }
        let body = to_bytes(answer.into_body(), LONGEST_ANSWER).await;
        (status, sort, body.expect("a whole answer").to_vec())
    }
}

#[test]
fn requests() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    // Most of the work is done by other threads, whose memory is not counted.
    let target = Target::new("requests")
        .words(WORDS)
        .heap(16 * 1024 * 1024, 4096)
        .time(Duration::from_secs(3));
    target.run(|input| {
        let request = world.request(input)?;
        let known = METHODS.iter().find(|known| *known == request.method());
        let method = known.map(Method::to_string);
        // Everything, the user too, would be gone.
        if request.uri().path().contains("delete_all") {
            return None;
        }
        let (status, sort, body) = runtime.block_on(world.answer(request));
        let text = String::from_utf8_lossy(&body);
        assert!(!status.is_server_error(), "{status} {text}");
        let mut code = String::new();
        if sort.contains("json") && !body.is_empty() {
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            let errors = answer["errors"].as_array().into_iter().flatten();
            code = answer["code"].as_str().unwrap_or_default().to_owned();
            code.extend(errors.take(2).filter_map(|error| error["detail"].as_str()));
        }
        Some((method, status.as_u16(), sort, ::fuzz::sort_of(&code)))
    });
}

//! The old frontend's calls from a real browser: a page of one origin speaks to a hub of another, so what is tested is
//! also what a browser lets a page read.

use std::{path::Path, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::Html,
    routing::{get, post},
};
use serde_json::{Value, json};
use tests::{
    FakeProbe, Hub, TestProbe, TestUser, Trial, browser, hub::PASSWORD, process::Process,
    wait::within,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
};

/// Longest the whole test may take: a browser starts slowly on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(150);
/// Longest the page may take to report.
const REPORT_WITHIN: Duration = Duration::from_secs(120);

/// What the page needs from the test and tells it.
struct Desk {
    setup: Value,
    admin: TestUser,
    probe: Mutex<FakeProbe>,
    reports: mpsc::Sender<Value>,
}

type Shared = State<std::sync::Arc<Desk>>;

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(LIMIT).unless(browser::missing());
        a_page_of_another_origin_can_do_everything
    ]
}

async fn a_page_of_another_origin_can_do_everything() {
    let hub = Hub::start().await;
    let host = hub.user("host", 0).await;
    let card = host.probe("measures").await;
    let away = host.probe("away").await;
    let (sender, mut reports) = mpsc::channel(1);
    let desk = Desk {
        setup: json!({"hub": hub.url(), "email": "page@example.org", "password": PASSWORD}),
        admin: hub.admin().await,
        probe: Mutex::new(FakeProbe::connect(&hub, &card.token).await),
        reports: sender,
    };
    let page = serve(desk).await;
    let folder = tempfile::tempdir().expect("a folder");
    let browser = browse(&page, folder.path());
    let report = within(REPORT_WITHIN, "the page's report", reports.recv()).await;
    drop(browser);
    let report = report.expect("a report");
    let calls = Calls(report.as_array().expect("a list of calls"));
    for (name, status) in STATUSES {
        calls.of(name, *status);
    }
    assert_eq!(calls.0.len(), STATUSES.len(), "{report}");
    account_screens(&calls);
    map_screens(&calls, &card, &away);
    operation_screens(&calls, &card);
}

/// Every call of the page and the status it must have been able to read.
const STATUSES: &[(&str, u64)] = &[
    ("home map", 200),
    ("weak password", 400),
    ("register", 201),
    ("register twice", 400),
    ("wrong password", 404),
    ("login", 200),
    ("bad token", 401),
    ("account", 200),
    ("no probes", 200),
    ("bad probe", 400),
    ("new probe", 201),
    ("my probes", 200),
    ("all probes", 200),
    ("poor", 400),
    ("rich", 200),
    ("operations map", 200),
    ("no operations", 200),
    ("bad operation", 400),
    ("traceroute", 201),
    ("dns", 201),
    ("ping", 201),
    ("my operations", 200),
    ("one operation", 200),
    ("unknown operation", 404),
];

/// What the page says of its calls.
struct Calls<'a>(&'a [Value]);

impl Calls<'_> {
    /// The body of a call that must have had this status.
    #[track_caller]
    fn of(&self, name: &str, status: u64) -> &Value {
        let mut calls = self.0.iter().filter(|call| call["name"] == name);
        let call = calls
            .next()
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.0));
        assert_eq!(call["status"], status, "{call}");
        assert_eq!(call["type"], "application/json", "{call}");
        if status >= 400 {
            assert!(call["body"]["Error"].is_string(), "{call}");
        }
        &call["body"]
    }
}

fn account_screens(calls: &Calls<'_>) {
    assert!(calls.of("login", 200)["access_token"].is_string());
    let me = calls.of("account", 200);
    assert_eq!(
        (&me["email"], &me["credits"]),
        (&json!("page@example.org"), &json!(0))
    );
    assert!(me["_id"].is_string());
    assert_eq!(calls.of("rich", 200)["credits"], 1000);
    assert_eq!(calls.of("no probes", 200), &json!([]));
    let mine = calls.of("my probes", 200).as_array().expect("a list");
    assert_eq!(mine.len(), 1);
    assert_eq!(
        mine[0]["location"],
        json!({"longitude": -58.37, "latitude": -34.6})
    );
    assert_eq!(mine[0]["connected"], false);
    assert!(mine[0]["token"].is_string() && mine[0]["identifier"].is_string());
}

fn map_screens(calls: &Calls<'_>, card: &TestProbe, away: &TestProbe) {
    for name in ["home map", "all probes", "operations map"] {
        let probes = calls.of(name, 200).as_array().expect("a list");
        let find = |probe: &TestProbe| {
            let id = json!(probe.id);
            probes
                .iter()
                .find(|shown| shown["identifier"] == id)
                .expect("the probe")
        };
        let (here, away) = (find(card), find(away));
        assert_eq!(
            (&here["connected"], &away["connected"]),
            (&json!(true), &json!(false))
        );
        assert!(here["availability"].is_number() && away.get("availability").is_none());
        for probe in probes {
            let location = &probe["location"];
            assert!(location["latitude"].is_number() && location["longitude"].is_number());
        }
    }
}

fn operation_screens(calls: &Calls<'_>, card: &TestProbe) {
    assert_eq!(calls.of("no operations", 200), &json!([]));
    let mine = calls.of("my operations", 200).as_array().expect("a list");
    assert_eq!(mine.len(), 3);
    for (operation, kind) in mine.iter().zip(["traceroute", "dns", "ping"]) {
        assert_eq!(operation["_id"], calls.of(kind, 201)["_id"]);
        assert!(operation["credits"].is_number() && operation["params"].is_object());
    }
    let shown = calls.of("one operation", 200);
    assert_eq!(shown["_id"], mine[2]["_id"]);
    let results = shown["results"].as_array().expect("results");
    assert_eq!(results.len(), 1, "{shown}");
    assert_eq!(results[0]["probe"], json!(card.id));
    assert!(results[0]["results"].is_array());
}

/// Serves the page and what it asks of the test; its URL. It ends with the test's runtime.
async fn serve(desk: Desk) -> String {
    let router = Router::new()
        .route("/", get(Html(include_str!("browser/page.html"))))
        .route("/setup", get(async |desk: Shared| Json(desk.setup.clone())))
        .route("/grant", post(grant))
        .route("/measure", post(measure))
        .route("/report", post(report))
        .with_state(desk.into());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON of the page")
}

/// The page's user gets credits, which no page can give.
async fn grant(State(desk): Shared, body: String) {
    let path = format!(
        "/api/v1/users/{}/credits",
        parse(&body)["id"].as_str().expect("an id")
    );
    let grant = desk.admin.api.post(&path, &json!({"credits": 1000})).await;
    let _ = grant.expect(201);
}

/// The probe takes on what it was offered and delivers one result of the last operation.
async fn measure(State(desk): Shared) {
    let mut probe = desk.probe.lock().await;
    let mut last = probe.accept().await;
    for _ in 0..2 {
        last = probe.accept().await;
    }
    probe.deliver(last, "1").await;
}

async fn report(State(desk): Shared, body: String) {
    // Nobody waits any more when there is no room: the test has failed.
    let _ = desk.reports.try_send(parse(&body));
}

/// A browser that opens the page, and that speaks to nobody but this machine.
fn browse(page: &str, folder: &Path) -> Process {
    let mut command = browser::command(folder);
    command.arg("--remote-debugging-port=0").arg(page);
    Process::start("chromium", command, folder.join("browser.log"))
}

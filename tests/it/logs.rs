//! What a hub logs: which lines, in which shape, where to, what they say of a request, and what they never say.

use std::{fs, path::Path};

use probe_protocol::OperationId;
use reqwest::Method;
use serde_json::Value;
use services::{Mongod, Redis, mongod, redis};
use tests::{Answer, Api, FakeProbe, Hub, Trial, api, hub::PASSWORD, orders, trials};

use crate::holes::secrets;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        levels_are_kept_per_module,
        lines_have_the_shape_that_was_asked_for,
        a_file_gets_the_same_lines_and_keeps_them,
        a_request_is_logged_once_with_its_names,
        a_harmful_request_id_is_replaced,
        no_secret_reaches_log_or_file,
    ]
}

async fn levels_are_kept_per_module() {
    let mut hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    hub.terminate().await;
    let log = hub.process().log();
    assert!(log.contains(" INFO "), "{log}");
    assert!(!log.contains(" DEBUG "), "{log}");
    hub.set("LOG_LEVEL", "error,pladmed=info,pladmed::http=debug");
    hub.restart().await;
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    hub.terminate().await;
    let log = hub.process().log();
    let debug: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" DEBUG "))
        .collect();
    assert!(!debug.is_empty(), "{log}");
    let elsewhere = debug.iter().find(|line| !line.contains("pladmed::http"));
    assert_eq!(elsewhere, None);
    for wrong in ["loud", "info,pladmed=loud", "wran,pladmed=debug"] {
        let (code, said) = Hub::refused(&[("LOG_LEVEL", wrong)]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("LOG_LEVEL"), "{said}");
    }
}

/// The line that says that a hub is ready.
fn ready(log: &str) -> &str {
    let mut lines = log.lines();
    lines
        .find(|line| line.contains("the hub is ready"))
        .expect("a hub that is ready")
}

async fn lines_have_the_shape_that_was_asked_for() {
    let mut hub = Hub::start_with(&[("LOG_FORMAT", "full")]).await;
    let full = hub.process().log();
    let words: Vec<&str> = ready(&full).split_whitespace().collect();
    assert!(words[0].parse::<chrono::DateTime<chrono::Utc>>().is_ok());
    assert_eq!(words[1], "INFO");
    assert!(words[2].starts_with("pladmed::"), "{full}");
    let mut hub = Hub::start_with(&[("LOG_FORMAT", "brief")]).await;
    let brief = hub.process().log();
    assert!(
        ready(&brief)
            .trim_start()
            .starts_with("INFO the hub is ready"),
        "{brief}"
    );
    let mut hub = Hub::start_with(&[("LOG_FORMAT", "json")]).await;
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    hub.terminate().await;
    for line in hub.process().log().lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
}

async fn a_file_gets_the_same_lines_and_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.log");
    let mut hub = Hub::start_with(&[("LOG_FILE", text(&path)), ("LOG_FORMAT", "brief")]).await;
    hub.terminate().await;
    let (log, file) = (hub.process().log(), read(&path));
    assert_eq!(log, file);
    hub.restart().await;
    hub.terminate().await;
    let both = read(&path);
    assert!(both.starts_with(&file) && both.len() > file.len());
    let missing = folder.path().join("missing/hub.log");
    let (code, said) = Hub::refused(&[("LOG_FILE", text(&missing))]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("LOG_FILE"), "{said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain text")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the log file")
}

/// Asks with a name for the request.
async fn asked(api: &Api, path: &str, id: &str) -> Answer {
    api::must(api.request(Method::GET, path).header("x-request-id", id)).await
}

fn request_id(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().expect("text")
}

/// Lines of a log of JSON.
fn lines(hub: &mut Hub) -> Vec<Value> {
    let log = hub.process().log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

async fn a_request_is_logged_once_with_its_names() {
    const NAME: &str = "00-4bf92f.a:b_c";
    let mut hub = Hub::start_with(&[("LOG_FORMAT", "json")]).await;
    let ana = hub.user("ana", 100).await;
    let card = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &card.token).await;
    let made = ana.order(&orders::ping(&[card.id])).await;
    let of_order = request_id(&made).to_owned();
    let operation: OperationId =
        serde_json::from_value(made.expect(201)["id"].clone()).expect("an id");
    assert_eq!(probe.accept().await, operation);
    let path = format!("/api/v1/operations/{operation}?token=hidden");
    // A parameter that is not known: it is refused, and what was in the query is nowhere.
    let answer = asked(&ana.api, &path, NAME).await;
    assert_eq!(request_id(&answer), NAME);
    let probed = asked(&ana.api, &format!("/api/v1/probes/{}", card.id), "probed").await;
    assert_eq!(probed.status, 200);
    drop(probe);
    assert_eq!(hub.terminate().await, 0);
    let log = lines(&mut hub);
    assert!(
        !hub.process().log().contains("hidden"),
        "the query was logged"
    );
    let of = |name: &str| -> Vec<&Value> {
        let lines = log.iter();
        lines
            .filter(|line| line["span"]["request.id"] == *name)
            .collect()
    };
    let answered: Vec<&Value> = of(NAME);
    assert_eq!(answered.len(), 1, "{answered:?}");
    let line = answered[0];
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["status"], answer.status);
    assert!(
        line["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{line}"
    );
    assert_eq!(line["span"]["method"], "GET");
    assert_eq!(
        line["span"]["path"],
        format!("/api/v1/operations/{operation}")
    );
    assert_eq!(line["span"]["operation.id"], operation.to_string());
    assert_eq!(line["span"]["user.id"], *ana.id);
    assert_eq!(of("probed")[0]["span"]["probe.id"], card.id.to_string());
    let created: Vec<&Value> = of(&of_order);
    assert_eq!(created.len(), 2, "{created:?}");
    assert_eq!(created[0]["operation.id"], operation.to_string());
    assert_eq!(created[0]["user.id"], *ana.id);
    assert_eq!(created[1]["span"]["operation.id"], operation.to_string());
    let of_probe = log
        .iter()
        .filter(|line| line["probe.id"] == card.id.to_string());
    assert!(of_probe.count() >= 2, "its session begins and ends");
}

async fn a_harmful_request_id_is_replaced() {
    let hub = Hub::start().await;
    let long = "a".repeat(65);
    for harmful in ["", " ", "a b", "<b>", "a\"b", "a;b", "a\\b", long.as_str()] {
        let answer = asked(hub.api(), "/healthz", harmful).await;
        let made = request_id(&answer);
        assert_eq!(made.len(), 32, "{harmful:?} became {made}");
        assert!(made.bytes().all(|c| c.is_ascii_hexdigit()), "{made}");
    }
    let longest = "b".repeat(64);
    for path in ["/healthz", "/nowhere", "/operations", "/documentation/"] {
        assert_eq!(request_id(&asked(hub.api(), path, &longest).await), longest);
    }
    let (one, two) = (
        hub.api().get("/healthz").await,
        hub.api().get("/healthz").await,
    );
    assert_ne!(request_id(&one), request_id(&two));
}

const KEY: &str = "0d5f6f9d2b3c4c7f8a1e6b9570c3d2e4";
const MONGO_PASSWORD: &str = "Mongo/horse@7";
const REDIS_PASSWORD: &str = "Redis:horse#8";

/// A whole life, with everything logged; on MongoDB and Redis where they are there.
async fn no_secret_reaches_log_or_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.log");
    let settings = [
        ("SECRET_KEY", KEY),
        ("LOG_LEVEL", "trace"),
        ("LOG_FILE", text(&path)),
    ];
    let (mut hub, _servers) = start(&settings).await;
    let mut tokens = secrets::use_accounts(&hub).await;
    tokens.extend(secrets::use_probe(&hub, &tokens[0]).await);
    let _ = asked(
        hub.api(),
        &format!("/metrics?access_token={}", tokens[0]),
        &tokens[1],
    )
    .await;
    assert_eq!(hub.terminate().await, 0);
    let signature = |token: &String| token.rsplit('.').next().map(str::to_owned);
    let signatures: Vec<String> = tokens.iter().filter_map(signature).collect();
    let escaped = [MONGO_PASSWORD, REDIS_PASSWORD].map(services::escaped);
    let others = [KEY, MONGO_PASSWORD, REDIS_PASSWORD, PASSWORD, "$argon2id$"];
    let others = others
        .iter()
        .chain(secrets::PASSWORDS)
        .map(|&secret| secret.to_owned());
    let secrets: Vec<String> = others.chain(escaped).chain(signatures).collect();
    assert!(
        secrets.len() > 10 && secrets.iter().all(|secret| secret.len() > 5),
        "{secrets:?}"
    );
    for (place, log) in [("the log", hub.process().log()), ("the file", read(&path))] {
        // What must be there: these are the right texts, and everything was logged.
        for shown in [
            "TRACE",
            "the hub is ready",
            "/login",
            "/socket.io/",
            "probe connected",
            "stopped",
        ] {
            assert!(log.contains(shown), "{shown} is not in {place}");
        }
        for secret in &secrets {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{secret} is in {place}");
        }
    }
}

/// A hub on what this machine has, behind passwords.
async fn start(settings: &[(&str, &str)]) -> (Hub, Option<(Mongod, Option<Redis>)>) {
    if mongod::missing().is_some() {
        eprintln!("skipped: the passwords of MongoDB and Redis");
        return (Hub::start_with(settings).await, None);
    }
    let mongod = Mongod::with().auth("hub", MONGO_PASSWORD).start().await;
    let redis = match redis::missing() {
        None => Some(Redis::with().password(REDIS_PASSWORD).start().await),
        Some(_) => None,
    };
    let url = redis.as_ref().map(Redis::url);
    let mut settings = settings.to_vec();
    settings.extend(url.as_deref().map(|url| ("REDIS_URL", url)));
    let hub = Hub::on_mongo(&mongod.uri(), &settings).await;
    (hub, Some((mongod, redis)))
}

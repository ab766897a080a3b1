//! How many answers a second a hub gives to what frontends ask most, beside a bare axum route that returns the same bytes.
//!
//! A hub gets its users, probes and results; then [`wrk`] asks it for one thing after the other, and [`bare`] for the very bytes
//! that the hub had answered.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use probe_protocol::{OperationId, ProbeId};
use reqwest::Method;
use services::Mongod;
use tests::{FakeProbe, Hub, OldApi, TestProbe, TestUser, api, orders};

use crate::{
    figure::{Figure, Section, Target},
    population,
};

mod bare;
mod wrk;

use wrk::Load;
pub(crate) use wrk::missing;

/// Probes that are registered.
const PROBES: usize = 10_000;
/// Of them, those that the operation runs on.
const MEASURING: usize = 100;
/// Results that each of them sends.
const RESULTS: usize = 10;
/// Probes that send at a time.
const AT_ONCE: usize = 32;
/// What the hub stands beside.
const ROUTE: &str = "bare route";
/// The share of what a bare route answers that a hub has to answer.
const SHARE: f64 = 0.5;

/// On SQLite.
pub(crate) async fn on_sqlite(time: Duration) -> Section {
    const TITLE: &str = "HTTP on SQLite";
    if let Some(why) = missing() {
        return Section::skipped(TITLE, why);
    }
    let hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
    section(TITLE, hub, time).await
}

/// On MongoDB.
pub(crate) async fn on_mongo(time: Duration) -> Section {
    const TITLE: &str = "HTTP on MongoDB";
    if let Some(why) = missing().or_else(services::mongod::missing) {
        return Section::skipped(TITLE, why);
    }
    let mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[("LOG_LEVEL", "info")]).await;
    section(TITLE, hub, time).await
}

async fn section(title: &'static str, hub: Hub, time: Duration) -> Section {
    eprintln!(
        "{title}: {PROBES} probes and {} results",
        MEASURING * RESULTS
    );
    let (user, operation) = fill(&hub).await;
    let mut figures = Vec::new();
    for Question {
        what,
        path,
        other,
        header,
    } in questions(operation, &user)
    {
        let answer = answer(&hub, &path, &header).await;
        let kib = answer.len() / 1024;
        eprintln!("{title}: {what}, {kib} KiB");
        let url = format!("{}{path}", hub.url());
        let asked = wrk::ask(&url, None, &header, time).await;
        let bare = bare::serve(answer).await;
        let limit = wrk::ask(&bare.url(), None, &header, time).await;
        figures.extend(pair(&format!("{what} ({kib} KiB)"), &asked, &limit));
        if let Some(other) = other {
            let asked = wrk::ask(&url, Some(other), &header, time).await;
            figures.push(
                Figure::new(
                    format!("{what} that nobody else asks for: answers"),
                    "/s",
                    asked.per_second,
                )
                .beside(ROUTE, limit.per_second),
            );
        }
    }
    Section {
        title,
        how: format!(
            "`wrk` with {} connections asks a hub with {PROBES} probes and {} results for {} s each, and then a bare axum route that \
             returns the bytes that the hub had answered. All connections ask for the same, as pages do that many people look \
             at, but where it says that nobody else does: there each asks for something else.",
            wrk::CONNECTIONS,
            MEASURING * RESULTS,
            time.as_secs()
        ),
        figures,
        more: String::new(),
        skipped: None,
    }
}

fn pair(what: &str, asked: &Load, limit: &Load) -> [Figure; 2] {
    [
        Figure::new(format!("{what}: answers"), "/s", asked.per_second)
            .beside(ROUTE, limit.per_second)
            .target(Target::AtLeast(SHARE)),
        Figure::new(format!("{what}: wait, 99 % below"), "ms", asked.p99_ms)
            .beside(ROUTE, limit.p99_ms),
    ]
}

/// What is asked.
struct Question {
    what: &'static str,
    path: String,
    /// What makes another question of it, which is as much work: see [`wrk::ask`].
    other: Option<&'static str>,
    header: (&'static str, String),
}

fn questions(operation: OperationId, user: &TestUser) -> [Question; 4] {
    let token = user.api.token().expect("a token");
    let bearer = ("authorization", format!("Bearer {token}"));
    let api = format!("/api/v1/operations/{operation}");
    [
        Question {
            what: "an operation",
            path: api.clone(),
            // Nobody reads it, and the hub does not know that.
            other: Some("?{}"),
            header: bearer.clone(),
        },
        Question {
            what: "a page of results",
            path: format!("{api}/results?limit=100"),
            other: Some("&after={}"),
            header: bearer.clone(),
        },
        Question {
            what: "a page of probes",
            path: "/api/v1/probes?limit=1000".to_owned(),
            other: None,
            header: bearer,
        },
        Question {
            what: "all probes at the old path",
            path: "/probes".to_owned(),
            other: None,
            header: ("access_token", token.to_owned()),
        },
    ]
}

async fn answer(hub: &Hub, path: &str, (name, value): &(&str, String)) -> Bytes {
    let request = hub.api().request(Method::GET, path).header(*name, value);
    let answer = api::must(request).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.body
}

/// A user with many probes, some of which have measured.
async fn fill(hub: &Hub) -> (TestUser, OperationId) {
    let (user, probes) = population::register(hub, PROBES).await;
    let measuring = &probes[..MEASURING];
    let ids: Vec<ProbeId> = measuring.iter().map(|probe| probe.id).collect();
    let order = orders::endless(orders::queued(orders::ping(&ids)));
    let operation = user.launch(&order).await;
    let sent = stream::iter(measuring).map(|probe| send(hub, probe, operation));
    sent.buffer_unordered(AT_ONCE).collect::<()>().await;
    let shown = OldApi::of(hub, &user).get("/probes").await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    (user, operation)
}

async fn send(hub: &Hub, probe: &TestProbe, operation: OperationId) {
    let mut probe = FakeProbe::connect(hub, &probe.token).await;
    assert_eq!(probe.accept().await, operation);
    for number in 0..RESULTS {
        let _ = probe.deliver(operation, &format!("r{number}")).await;
    }
}

//! Many customers who watch one operation: each must see every result, and soon after it is durable; beside a bare axum route
//! that sends the same lines to as many clients.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use probe_protocol::OperationId;
use services::Mongod;
use tests::{Ack, Api, EventStream, FakeProbe, Hub, TestUser, orders, wait::within};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    figure::{Figure, Section, percentile},
    population::RICH,
};

mod bare;

/// Customers who watch, and with `--quick`.
const CLIENTS: [usize; 2] = [1000, 50];
/// Probes that send, each one result at a time.
const PROBES: usize = 4;
/// A probe sends so often: all of them a hundred results a second.
const EVERY: Duration = Duration::from_millis(40);
/// Results of each, and with `--quick`.
const RESULTS: [usize; 2] = [200, 25];
/// Longest until all customers have seen everything, on a machine that is busy.
const ALL_WITHIN: Duration = Duration::from_secs(120);

/// On SQLite.
pub(crate) async fn on_sqlite(quick: bool) -> Section {
    let hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
    section("Streams of a hub on SQLite", hub, usize::from(quick)).await
}

/// On MongoDB.
pub(crate) async fn on_mongo(quick: bool) -> Section {
    const TITLE: &str = "Streams of a hub on MongoDB";
    if let Some(why) = services::mongod::missing() {
        return Section::skipped(TITLE, why);
    }
    let mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[("LOG_LEVEL", "info")]).await;
    section(TITLE, hub, usize::from(quick)).await
}

/// When each result was told to be durable, by its number on the stream or its code.
type Told = Arc<Mutex<HashMap<String, Instant>>>;

async fn section(title: &'static str, hub: Hub, size: usize) -> Section {
    let (clients, results) = (CLIENTS[size], RESULTS[size] * PROBES);
    eprintln!("{title}: {clients} clients, {results} results");
    let user = hub.user("watches", RICH).await;
    let (operation, probes) = launch(&hub, &user).await;
    let watching = watch(&user.api, operation, clients, results).await;
    let told = Told::default();
    let mut sending = JoinSet::new();
    for (number, probe) in probes.into_iter().enumerate() {
        sending.spawn(send(probe, operation, number, RESULTS[size], told.clone()));
    }
    sending.join_all().await;
    let waits = waits(watching, &told).await;

    let lines = event_lines(&user, operation).await;
    let bare = bare::Bare::serve().await;
    let watching = watch(&Api::new(&bare.url()), operation, clients, results).await;
    let told = Told::default();
    let mut ticks = interval(EVERY / u32::try_from(PROBES).unwrap_or(1));
    for (code, line) in lines {
        ticks.tick().await;
        bare.send(&line);
        told.lock().expect("a list").insert(code, Instant::now());
    }
    let limit = self::waits(watching, &told).await;
    let figure = |what: &str, percent| {
        Figure::new(what, "ms", percentile(&waits, percent))
            .beside("bare route", percentile(&limit, percent))
    };
    Section {
        title,
        how: format!(
            "{clients} clients watch one operation while {PROBES} probes send {} results a second, {results} in all. Every client \
             must see every result. A wait is from when the probe hears that its result is durable until a client has it; none \
             where the client has it first. The bare route sends the same lines at the same pace.",
            1000 / EVERY.as_millis() * PROBES as u128
        ),
        figures: vec![
            figure("wait of a client, half below", 50),
            figure("wait of a client, 99 % below", 99),
        ],
        more: String::new(),
        skipped: None,
    }
}

async fn launch(hub: &Hub, user: &TestUser) -> (OperationId, Vec<FakeProbe>) {
    let (mut ids, mut probes) = (Vec::new(), Vec::new());
    for number in 0..PROBES {
        let card = user.probe(&format!("probe {number}")).await;
        ids.push(card.id);
        probes.push(FakeProbe::connect(hub, &card.token).await);
    }
    let order = orders::endless(orders::ping(&ids));
    let operation = user.launch(&order).await;
    for probe in &mut probes {
        assert_eq!(probe.accept().await, operation);
    }
    (operation, probes)
}

/// Clients that watch, each until it has seen so many results; when it had which.
async fn watch(
    api: &Api,
    operation: OperationId,
    clients: usize,
    results: usize,
) -> JoinSet<Vec<(String, Instant)>> {
    let mut watching = JoinSet::new();
    for _ in 0..clients {
        // A connection of its own for each, as browsers of different people have.
        let mut stream = EventStream::open(api, operation, None)
            .await
            .expect("a stream");
        watching.spawn(async move {
            let mut seen = Vec::with_capacity(results);
            while seen.len() < results {
                let event = stream.next().await.expect("an event");
                if event.name == "result" {
                    seen.push((event.data, Instant::now()));
                }
            }
            seen
        });
    }
    watching
}

async fn send(
    mut probe: FakeProbe,
    operation: OperationId,
    number: usize,
    results: usize,
    told: Told,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for result in 0..results {
        ticks.tick().await;
        let code = format!("r{number}-{result}");
        assert_eq!(probe.deliver(operation, &code).await, Ack::Stored);
        told.lock().expect("a list").insert(code, Instant::now());
    }
}

/// How long every client waited for every result, sorted.
async fn waits(watching: JoinSet<Vec<(String, Instant)>>, told: &Told) -> Vec<Duration> {
    let seen = within(
        ALL_WITHIN,
        "all results at all clients",
        watching.join_all(),
    )
    .await;
    let told = told.lock().expect("a list");
    let mut waits = Vec::new();
    for (data, at) in seen.into_iter().flatten() {
        let result: serde_json::Value = serde_json::from_str(&data).expect("a result");
        let code = result["code"].as_str().expect("a code");
        let told = told.get(code).expect("a result that was sent");
        waits.push(at.saturating_duration_since(*told));
    }
    waits.sort_unstable();
    waits
}

/// The lines of a stream that a hub sends for each result, with the result's code.
async fn event_lines(user: &TestUser, operation: OperationId) -> Vec<(String, String)> {
    let results = user.results(operation).await;
    results
        .into_iter()
        .map(|result| {
            let code = result["code"].as_str().expect("a code").to_owned();
            let lines = format!("id: {}\nevent: result\ndata: {result}\n\n", result["seq"]);
            (code, lines)
        })
        .collect()
}

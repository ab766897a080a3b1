//! A copy of a busy hub's data, killed on its way again and again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_protocol::OperationId;
use serde_json::Value;
use tests::{
    Ack, Case, FakeProbe, Fleet, Hub, TestUser, Trial, database, eventually, hub::PASSWORD, orders,
    probe::hello, wait::within,
};

use super::bench::{copied, hub_refused, is_marked, number, rows, start};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::copying::whole::a_copy_survives_kill_9_and_is_whole")
            .within(LIMIT)
            .run(a_copy_survives_kill_9_and_is_whole),
    ]
}

/// Longest the whole test may take.
const LIMIT: Duration = Duration::from_secs(240);

const PROBES: usize = 4;
/// Some pages of results, and of entries of the ledger.
const RESULTS_EACH: usize = 600;
/// Longest all deliveries may take, and a copy.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// How far a copy is when it is killed: a query of the target that tells.
const POINTS: [&str; 5] = [
    "select count(*) from moves",
    "select count(*) from assignments",
    "select count(*) from results",
    "select count(*) > 1200 from results",
    "select count(*) from ledger",
];

/// A hub that has done something of everything, stopped; a user of it, the fleet, and an operation to go on with.
async fn busy() -> (Hub, Fleet, OperationId) {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let fleet = Fleet::new(&hub, PROBES, 2).await;
    let mut couriers = fleet.deliver(&hub.url(), RESULTS_EACH, None);
    within(DONE_WITHIN, "all deliveries", async {
        while let Some(courier) = couriers.join_next().await {
            courier.expect("a courier that did not panic");
        }
    })
    .await;
    let owner = &fleet.owner;
    let ids: Vec<_> = fleet.probes.iter().map(|probe| probe.id).collect();
    let queued = orders::queued(orders::ping(&ids));
    let cancelled = owner.launch(&orders::endless(queued.clone())).await;
    let _ = owner.cancel(cancelled).await;
    let _ = owner.order_as("key", &queued).await.expect(201);
    let gone = owner.probe("gone").await;
    let _ = owner
        .launch(&orders::queued(orders::ping(&[gone.id])))
        .await;
    let path = format!("/api/v1/probes/{}", gone.id);
    assert_eq!(owner.api.delete(&path).await.status, 204);
    let waiting = owner.launch(&orders::endless(queued)).await;
    hub.check().await;
    assert_eq!(hub.terminate().await, 0);
    (hub, fleet, waiting)
}

/// Everything that the owner and the superuser can read.
async fn answers(hub: &Hub, owner: &TestUser) -> Vec<Value> {
    let admin = hub.admin().await;
    let mut read = Vec::new();
    for user in [owner, &admin] {
        let lists = ["probes", "operations", "users/me/credits"];
        for list in lists {
            read.extend(pages(user, &format!("/api/v1/{list}?limit=1000")).await);
        }
        read.push(user.api.get("/api/v1/users/me").await.expect(200));
    }
    for operation in pages(owner, "/api/v1/operations?limit=1000").await {
        let id = operation["id"].as_str().and_then(|id| id.parse().ok());
        let id: OperationId = id.expect("an id");
        read.push(owner.operation(id).await);
        let results = owner.results(id).await;
        for result in results.iter().step_by(100) {
            let path = format!("/api/v1/operations/{id}/results/{}/raw", result["seq"]);
            let raw = owner.api.get(&path).await;
            assert_eq!(raw.status, 200);
            read.push(raw.text().into());
        }
        read.extend(results);
    }
    read
}

/// The items of all pages of a list.
async fn pages(user: &TestUser, list: &str) -> Vec<Value> {
    let (mut items, mut path) = (Vec::new(), list.to_owned());
    loop {
        let page = user.api.get(&path).await.expect(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next"].as_str() {
            Some(next) => path = format!("{list}&cursor={next}"),
            None => return items,
        }
    }
}

/// Starts copies and kills each when it is so far; how many were not complete then. One that was is made to look so: a
/// machine that is busy may look too late.
async fn kill_often(from: &Path, to: &Path, log: PathBuf) -> usize {
    let mut killed = 0;
    for point in POINTS {
        let mut copy = start(from, to, log.clone());
        let so_far = || number(to, point).is_some_and(|number| number > 0);
        copy.until(DONE_WITHIN, point, so_far).await;
        copy.kill9().await;
        if is_marked(to) {
            killed += 1;
        } else {
            database::change(to, "update moves set finished_at_ms = null", []);
        }
    }
    killed
}

async fn a_copy_survives_kill_9_and_is_whole() {
    let (mut hub, fleet, waiting) = busy().await;
    hub.restart().await;
    let before = answers(&hub, &fleet.owner).await;
    assert!(before.len() > PROBES * RESULTS_EACH, "{}", before.len());
    assert_eq!(hub.terminate().await, 0);
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (hub.data_dir(), folder.path().join("new/data"));
    let kept = rows(&from);
    let killed = kill_often(&from, &to, folder.path().join("copy.log")).await;
    assert!(
        killed >= POINTS.len() - 2,
        "{killed} were killed on their way"
    );
    let why = hub_refused(&to).await;
    assert!(
        why.contains("has not ended") && why.contains("sqlite:/"),
        "{why}"
    );
    let (table, said) = copied(&from, &to).await;
    assert!(
        said.contains("it goes on") && said.contains("secret_key"),
        "{said}"
    );
    check_table(&table, &to);
    assert!(!is_marked(&to));
    database::snapshot(&to).check();
    assert_eq!(rows(&from), kept);
    assert!(rows(&to) == kept, "the copy is not what the source is");
    // A hub goes on with it.
    fs::copy(from.join("secret_key"), to.join("secret_key")).expect("the key");
    fs::rename(&from, folder.path().join("old")).expect("the old folder is put away");
    fs::rename(&to, &from).expect("the new one takes its place");
    hub.restart().await;
    assert_eq!(answers(&hub, &fleet.owner).await, before);
    goes_on(&hub, &fleet, waiting).await;
}

/// The table says what was done: a row for each part, whose numbers fit what is there.
fn check_table(table: &str, to: &Path) {
    let parts = [
        ("users", "users"),
        ("probes", "probes"),
        ("operations", "operations"),
        ("assignments", "assignments"),
        ("results", "results"),
        ("ledger entries", "ledger"),
        ("idempotency keys", "idempotency_keys"),
    ];
    for (part, name) in parts {
        let row = table.lines().find_map(|line| line.strip_prefix(part));
        let row = row.unwrap_or_else(|| panic!("no {part} in {table}"));
        let numbers: Vec<i64> = row
            .split_whitespace()
            .map(|number| number.parse().expect("a number"))
            .collect();
        let count = database::snapshot(to).number(&format!("select count(*) from {name}"));
        let [read, new, there] = numbers[..] else {
            panic!("{row}")
        };
        assert_eq!((read, new + there), (count, count), "{part}: {row}");
        // Each was killed when something of it was there.
        let was_there = !matches!(part, "idempotency keys");
        assert_eq!(there > 0, was_there, "{part}: {row}");
    }
}

async fn goes_on(hub: &Hub, fleet: &Fleet, waiting: OperationId) {
    // Old tokens and passwords are good.
    let owner = &fleet.owner;
    let again = TestUser::log_in(hub.api(), &owner.email, PASSWORD).await;
    assert_eq!(again.id, owner.id);
    let credits = owner.credits().await;
    let running = fleet.operations[0];
    let registered = &fleet.probes[0];
    let held = hello(vec![running]);
    let mut probe = FakeProbe::connect_as(hub, &registered.token, held).await;
    assert_eq!(probe.deliver(running, "run-0").await, Ack::Stored);
    assert_eq!(owner.credits().await, credits, "a repeat earns nothing");
    let last = owner.operation(running).await["results"].clone();
    assert_eq!(probe.deliver(running, "new").await, Ack::Stored);
    assert_eq!(owner.credits().await, credits + 10);
    let newest = owner.results(running).await.pop().expect("a result");
    assert_eq!(newest["seq"].as_u64(), last.as_u64().map(|last| last + 1));
    // What waited for the probe still does.
    let offered = async || {
        let states = owner.states(waiting).await;
        states.iter().any(|state| state != "pending").then_some(())
    };
    eventually(tests::wait::SOON, "an offer of what waited", offered).await;
    // And a key stands for what it made.
    let ids: Vec<_> = fleet.probes.iter().map(|probe| probe.id).collect();
    let operations = hub.number("select count(*) from operations").await;
    let order = orders::queued(orders::ping(&ids));
    let known = owner.order_as("key", &order).await;
    assert!(known.status < 300, "{}", known.text());
    assert_eq!(
        hub.number("select count(*) from operations").await,
        operations
    );
    hub.check().await;
}

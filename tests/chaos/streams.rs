//! Streams that are cut anywhere, also by the hub's own end.

use std::time::Duration;

use probe_protocol::OperationId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tests::{
    Api, Case, EventStream, Fleet, Hub, Trial, database, eventually, random, wait::within,
};
use tokio::{task::JoinSet, time::sleep};

const CLIENTS: usize = 10;
/// Cuts of each client: a hundred in all.
const CUTS: usize = 10;
const PROBES: usize = 10;
const RESULTS_EACH: usize = 100;
const RESULTS: usize = PROBES * RESULTS_EACH;
/// So that results arrive while clients are cut and come back.
const PACE: Duration = Duration::from_millis(30);
/// Bytes after which a stream is cut: from before its first event to after many.
const CUT_AFTER: std::ops::Range<usize> = 0..60_000;
/// Longest everything may take.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("chaos::streams::a_hundred_cuts_leave_no_hole_and_no_repeat")
            .within(LIMIT)
            .run(a_hundred_cuts_leave_no_hole_and_no_repeat),
    ]
}

async fn a_hundred_cuts_leave_no_hole_and_no_repeat() {
    let mut random = random::seeded("streams");
    let mut hub = Hub::start().await;
    let fleet = Fleet::new(&hub, PROBES, 1).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let client = watch(
            fleet.owner.api.clone(),
            fleet.operations[0],
            StdRng::seed_from_u64(random.random()),
        );
        clients.spawn(client);
    }
    let mut couriers = fleet.deliver(&hub.url(), RESULTS_EACH, Some(PACE));
    let half = async || (fleet.tally.stored() > RESULTS / 2).then_some(());
    eventually(LIMIT, "half of the results", half).await;
    hub.kill9().await;
    hub.restart().await;
    while let Some(courier) = couriers.join_next().await {
        courier.expect("a courier that did not panic");
    }
    let mut cuts = 0;
    while let Some(client) = clients.join_next().await {
        cuts += client.expect("a client that saw what it should");
    }
    eprintln!(
        "streams: {RESULTS} results to each of {CLIENTS} clients through {cuts} cuts and a kill of the hub"
    );
    assert!(cuts >= CLIENTS * CUTS, "only {cuts} cuts");
    fleet.check(&hub, RESULTS_EACH);
    database::check(&hub.data_dir());
}

/// Sees every result once and in order; how often its stream was cut.
async fn watch(api: Api, operation: OperationId, mut random: StdRng) -> usize {
    let mut seen: Vec<Value> = Vec::new();
    let mut cuts = 0;
    while seen.len() < RESULTS {
        // The first event is the operation itself: a stream may be cut in the middle of that too.
        let opened = EventStream::open(
            &api,
            operation,
            (!seen.is_empty()).then_some(seen.len() as u64),
        )
        .await;
        let Ok(mut stream) = opened else {
            sleep(PACE).await;
            continue;
        };
        if cuts < CUTS {
            stream = stream.cut_after(random.random_range(CUT_AFTER));
        }
        read(&mut stream, &mut seen).await;
        cuts += 1;
    }
    let mut codes: Vec<String> = seen
        .iter()
        .map(|result| format!("{} {}", result["probe"], result["code"]))
        .collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), RESULTS, "a result came twice");
    cuts
}

async fn read(stream: &mut EventStream, seen: &mut Vec<Value>) {
    while seen.len() < RESULTS {
        let Some(event) = within(LIMIT, "an event", stream.next()).await else {
            return;
        };
        if event.name != "result" {
            continue;
        }
        let (expected, result) = (seen.len() as u64 + 1, event.json());
        assert_eq!(
            (event.id, result["seq"].as_u64()),
            (Some(expected), Some(expected)),
            "a hole or a repeat"
        );
        seen.push(result);
    }
}

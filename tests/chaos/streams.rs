//! Streams that are cut anywhere, also by the hub's own end.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tests::{Case, Fleet, Hub, Trial, eventually, random};
use tokio::task::JoinSet;

use crate::watcher::Watcher;

const CLIENTS: usize = 10;
/// Cuts of each client: a hundred in all.
const CUTS: usize = 10;
const PROBES: usize = 10;
const RESULTS_EACH: usize = 100;
const RESULTS: usize = PROBES * RESULTS_EACH;
/// So that results arrive while clients are cut and come back.
const PACE: Duration = Duration::from_millis(30);
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
        let client = Watcher {
            apis: vec![fleet.owner.api.clone()],
            operation: fleet.operations[0],
            results: RESULTS,
            cuts: CUTS,
            random: StdRng::seed_from_u64(random.random()),
        };
        clients.spawn(client.watch());
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
    fleet.check_codes(&hub.snapshot().await.result_codes(), RESULTS_EACH);
    hub.check().await;
}

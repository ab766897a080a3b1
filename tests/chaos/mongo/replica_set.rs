//! A set of three that loses its primary under load: told to step down, then killed.

use std::time::Duration;

use services::ReplicaSet;
use tests::{Hub, Trial};

use crate::load::{Load, Size};

/// After this share of all results the primary is told to step down, after the next it is killed, and after the last
/// the killed one comes back.
const STEPS_DOWN_AT: f64 = 0.2;
const KILLED_AT: f64 = 0.5;
const BACK_AT: f64 = 0.8;
const MEMBERS: usize = 3;
const SIZE: Size = Size {
    customers: 1,
    readers: 1,
    probes: 20,
    operations: 2,
    results_each: 200,
    // So that it outlasts the elections.
    pause: Some(Duration::from_millis(40)),
    limit: Duration::from_secs(90),
    hub_dies: false,
};

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(SIZE.limit * 2).unless(services::mongod::missing());
        elections_lose_nothing
    ]
}

async fn elections_lose_nothing() {
    let mut set = ReplicaSet::start(MEMBERS).await;
    let hub = Hub::on_mongo(&set.uri(), &[]).await;
    let load = Load::start(&hub, "replica set", SIZE).await;
    load.reach(STEPS_DOWN_AT).await;
    set.step_down().await;
    holds_what_was_acknowledged(&hub, load.fleet.tally.stored()).await;
    load.reach(KILLED_AT).await;
    let primary = set.primary().await;
    set.kill9(primary).await;
    let acknowledged = load.fleet.tally.stored();
    set.primary().await;
    holds_what_was_acknowledged(&hub, acknowledged).await;
    load.reach(BACK_AT).await;
    set.restart(primary).await;
    set.wait_until_whole().await;
    load.finish(&hub, "replica set").await;
}

async fn holds_what_was_acknowledged(hub: &Hub, acknowledged: usize) {
    let there = hub.number("select count(*) from results").await;
    assert!(
        there >= acknowledged as i64,
        "{acknowledged} results were acknowledged and {there} are there"
    );
}

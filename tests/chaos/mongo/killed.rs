//! kill -9 of MongoDB under load.

use std::time::Duration;

use services::Mongod;
use tests::{Hub, Trial};

use crate::load::{Load, Size};

/// After these shares of all results.
const KILLED_AT: [f64; 3] = [0.2, 0.5, 0.8];
const SIZE: Size = Size {
    customers: 1,
    readers: 1,
    probes: 20,
    operations: 2,
    results_each: 200,
    pause: None,
    limit: Duration::from_secs(90),
    hub_dies: false,
};

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(SIZE.limit * 2).unless(services::mongod::missing());
        what_was_answered_is_there
    ]
}

async fn what_was_answered_is_there() {
    let mut mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    let load = Load::start(&hub, "mongo killed", SIZE).await;
    for share in KILLED_AT {
        load.reach(share).await;
        mongod.kill9().await;
        let acknowledged = load.fleet.tally.stored();
        mongod.restart().await;
        let there = hub.number("select count(*) from results").await;
        assert!(
            there >= acknowledged as i64,
            "{acknowledged} results were acknowledged and {there} are there"
        );
    }
    load.finish(&hub, "mongo killed").await;
}

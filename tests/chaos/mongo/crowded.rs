//! A pool of two connections, and of one, for hundreds that want one at the same time.

use std::time::Duration;

use tests::{Hub, Trial};

use crate::load::{Load, Size};

const POOLS: [u32; 2] = [2, 1];
const SIZE: Size = Size {
    customers: 100,
    readers: 100,
    probes: 20,
    operations: 2,
    results_each: 100,
    pause: None,
    limit: Duration::from_secs(60),
    hub_dies: false,
};

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(SIZE.limit * 3).unless(services::mongod::missing());
        a_full_pool_loses_nothing
    ]
}

async fn a_full_pool_loses_nothing() {
    for connections in POOLS {
        let uri = services::mongod::shared().await.uri();
        let hub = Hub::on_mongo(&format!("{uri}&maxPoolSize={connections}"), &[]).await;
        let name = format!("{connections} connections");
        let load = Load::start(&hub, &name, SIZE).await;
        load.finish(&hub, &name).await;
    }
}

//! `/readyz` and what metrics say of store and bus, while they are away.

use services::{Mongod, mongod};
use tests::{Hub, Platform, Trial, eventually, wait::SOON};

use super::text::Metrics;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = tests::trials![|it| it.unless(mongod::missing()); a_frozen_store_is_seen];
    trials.extend(tests::trials![
        |it| it.unless(Platform::missing());
        without_redis_a_hub_is_ready
    ]);
    trials
}

/// Waits until each of these is so, 0 or 1.
async fn until(hub: &Hub, wanted: &[(&str, f64)]) {
    eventually(SOON * 3, &format!("{wanted:?}"), async || {
        let metrics = Metrics::of(hub.api()).await;
        let mut wanted = wanted.iter();
        wanted
            .all(|(name, value)| metrics.value(name, &[]) == *value)
            .then_some(())
    })
    .await;
}

async fn a_frozen_store_is_seen() {
    let mut mongod = Mongod::single().await;
    let mut hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    until(&hub, &[("pladmed_ready", 1.0), ("pladmed_store_up", 1.0)]).await;
    mongod.freeze().await;
    let refused = hub.api().get("/readyz").await;
    let _ = refused.expect_problem(503, "unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    until(&hub, &[("pladmed_ready", 0.0), ("pladmed_store_up", 0.0)]).await;
    let metrics = Metrics::of(hub.api()).await;
    let failures = metrics.value("pladmed_store_failures_total", &[("work", "ping")]);
    assert!(failures >= 1.0, "{failures}");
    mongod.thaw();
    until(&hub, &[("pladmed_ready", 1.0), ("pladmed_store_up", 1.0)]).await;
    assert_eq!(hub.api().get("/readyz").await.status, 200);
    // Nothing was in danger: whoever asked was told.
    let log = hub.process().log();
    assert!(log.contains("a request could not be served"), "{log}");
    let error = log.lines().find(|line| line.contains(" ERROR "));
    assert_eq!(error, None);
}

async fn without_redis_a_hub_is_ready() {
    let mut platform = Platform::start(1).await;
    until(&platform.hubs[0], &[("pladmed_bus_up", 1.0)]).await;
    let name = "pladmed_bus_round_trip_duration_seconds_count";
    eventually(SOON, "words that came back", async || {
        let metrics = Metrics::of(platform.hubs[0].api()).await;
        (metrics.value(name, &[]) >= 1.0).then_some(())
    })
    .await;
    platform.redis.kill9().await;
    until(
        &platform.hubs[0],
        &[("pladmed_bus_up", 0.0), ("pladmed_ready", 1.0)],
    )
    .await;
    assert_eq!(platform.hubs[0].api().get("/readyz").await.status, 200);
    platform.redis.restart().await;
    until(&platform.hubs[0], &[("pladmed_bus_up", 1.0)]).await;
}

//! Fleets that come and go, and are badly connected: nothing gets lost.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tests::{Case, Trial, orders, simulated::Told};

use super::{Site, once};

/// Longest the restless ones may take, on a machine that is busy.
const RESTLESS_WITHIN: Duration = Duration::from_secs(180);

pub(super) fn trials() -> Vec<Trial> {
    let case = |name: &str| Case::new(&format!("it::simulation::weather::{name}"));
    vec![
        case("storms_and_churn_lose_nothing")
            .within(RESTLESS_WITHIN)
            .run(storms_and_churn_lose_nothing),
        case("what_was_lost_is_sent_again")
            .within(RESTLESS_WITHIN)
            .run(what_was_lost_is_sent_again),
        case("a_killed_hub_loses_nothing")
            .within(RESTLESS_WITHIN)
            .run(a_killed_hub_loses_nothing),
        case("latency_is_no_part_of_what_is_measured").run(latency_is_no_part_of_what_is_measured),
        case("slow_readers_read_slowly").run(slow_readers_read_slowly),
    ]
}

/// All that had to be stored was acknowledged, and is there once.
async fn nothing_lost(site: &Site, told: &Told) {
    let made = told.number("/results/made");
    assert!(made > 0.0, "{:#}", told.summary);
    assert_eq!(told.number("/results/acked"), made, "{:#}", told.summary);
    assert_eq!(site.count().await as f64, made, "{:#}", told.summary);
    site.hub.check().await;
}

/// Many runs, though not without end, on all probes.
async fn work(site: &Site) {
    let stop = Utc::now() + TimeDelta::minutes(20);
    let order = orders::every_minute(once("ping", &site.ids()), 60, stop);
    site.user.launch(&order).await;
}

async fn storms_and_churn_lose_nothing() {
    let site = Site::new(40).await;
    work(&site).await;
    let fleet = site.simulate(&[
        "--old", "0.5", "--pace", "flat-out", "--window", "4", "--churn", "12", "--storm", "3",
        "--for", "10", "--seed", "3",
    ]);
    let told = fleet.ended().await.well();
    // Three storms, and more than one left by itself.
    assert!(
        told.number("/connections/reconnects") > 100.0,
        "{:#}",
        told.summary
    );
    assert!(told.number("/connections/peak") > 20.0);
    nothing_lost(&site, &told).await;
}

async fn what_was_lost_is_sent_again() {
    const PROBES: usize = 10;
    // An old agent with two operations of one price could not tell the hub which of them got lost on the way.
    for (old, kinds) in [("0", &["ping", "dns"][..]), ("1", &["ping"])] {
        let site = Site::new(PROBES).await;
        for kind in kinds {
            site.user.launch(&once(kind, &site.ids())).await;
        }
        let results = PROBES * kinds.len();
        // Each result is lost once: before it left, or before its answer came.
        let fleet = site.simulate(&["--loss", "1", "--old", old, "--pace", "flat-out"]);
        site.stored(results as i64).await;
        let told = fleet.terminate().await.well();
        assert_eq!(told.number("/connections/reconnects"), results as f64);
        let again = told.number("/results/again");
        assert!(again > 0.0 && again < results as f64 * 2.0, "{again}");
        nothing_lost(&site, &told).await;
    }
}

async fn a_killed_hub_loses_nothing() {
    let mut site = Site::new(10).await;
    work(&site).await;
    let fleet = site.simulate(&["--old", "0.5", "--pace", "flat-out", "--window", "2"]);
    site.stored(100).await;
    site.hub.kill9().await;
    site.hub.restart().await;
    let so_far = site.count().await;
    site.stored(so_far + 100).await;
    let told = fleet.terminate().await.well();
    assert!(told.number("/connections/reconnects") >= 1.0);
    nothing_lost(&site, &told).await;
}

async fn latency_is_no_part_of_what_is_measured() {
    const LATENCY_MS: f64 = 700.0;
    let site = Site::new(4).await;
    site.user.launch(&once("ping", &site.ids())).await;
    let fleet = site.simulate(&["--latency", "700", "--old", "0.5", "--pace", "flat-out"]);
    site.stored(4).await;
    let told = fleet.terminate().await.well();
    // A session is ready when the hub has heard hello, and that is late.
    assert!(told.number("/connections/ready/p50_ms") >= LATENCY_MS);
    assert!(
        told.number("/ack/p50_ms") < LATENCY_MS,
        "{:#}",
        told.summary
    );
    nothing_lost(&site, &told).await;
}

async fn slow_readers_read_slowly() {
    let site = Site::new(3).await;
    for _ in 0..3 {
        site.user.launch(&once("ping", &site.ids())).await;
    }
    let fleet = site.simulate(&["--slow-readers", "1"]);
    site.stored(9).await;
    fleet.connected(3).await;
    let told = fleet.terminate().await.well();
    // They read one message a second, and the first answers come behind other messages.
    assert!(told.number("/ack/max_ms") >= 900.0, "{:#}", told.summary);
    nothing_lost(&site, &told).await;
}

//! Fleets that mean well.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde_json::json;
use tests::{Case, Simulated, Trial, eventually, orders, simulated::Told};

use super::{Site, once};

/// Longest the large one may take, on a machine that is busy.
const LARGE_WITHIN: Duration = Duration::from_secs(180);
/// Longest until a full minute has come and some of it has passed.
const MINUTE_COMES_WITHIN: Duration = Duration::from_secs(90);

pub(super) fn trials() -> Vec<Trial> {
    let case = |name: &str| Case::new(&format!("it::simulation::honest::{name}"));
    let rights = "measuring needs root".to_owned();
    vec![
        case("every_result_of_a_large_fleet_is_stored")
            .within(LARGE_WITHIN)
            .run(every_result_of_a_large_fleet_is_stored),
        case("what_is_cancelled_is_over").run(what_is_cancelled_is_over),
        case("a_schedule_is_kept")
            .within(LARGE_WITHIN)
            .run(a_schedule_is_kept),
        case("real_results_are_measured")
            .unless((!rustix::process::geteuid().is_root()).then_some(rights))
            .run(real_results_are_measured),
    ]
}

async fn every_result_of_a_large_fleet_is_stored() {
    const PROBES: usize = 300;
    let site = Site::new(PROBES).await;
    let ids = site.ids();
    // One is there before the fleet, the others come to a fleet that is connected.
    let first = site.user.launch(&once("dns", &ids)).await;
    // The same hub twice: probes are spread over both.
    let url = site.hub.url();
    let fleet = site.simulate(&[
        "--old", "0.3", "--pace", "flat-out", "--seed", "1", "--hub", &url,
    ]);
    fleet.connected(PROBES).await;
    let mut all = vec![first];
    for kind in ["ping", "traceroute"] {
        all.push(site.user.launch(&once(kind, &ids)).await);
    }
    let expected = (PROBES * all.len()) as i64;
    site.stored(expected).await;
    let told = fleet.terminate().await.well();
    let finished = "select count(*) from assignments where state = 'finished'";
    assert_eq!(site.hub.number(finished).await, expected);
    for operation in all {
        assert_eq!(site.brought(operation).await.len(), PROBES);
    }
    assert_eq!(site.count().await, expected);
    let unmeasured = "select count(*) from results where not rewarded";
    assert_eq!(site.hub.number(unmeasured).await, 0);
    site.hub.check().await;

    for (path, wanted) in [
        ("/probes", PROBES),
        ("/old_probes", 90),
        ("/connections/peak", PROBES),
        ("/connections/sessions", PROBES),
        ("/connections/reconnects", 0),
        ("/connections/ready/count", PROBES),
        ("/results/made", 3 * PROBES),
        ("/results/sent", 3 * PROBES),
        ("/results/acked", 3 * PROBES),
        ("/results/unanswered", 0),
        ("/ack/count", 3 * PROBES),
        ("/unexpected", 0),
    ] {
        assert_eq!(
            told.number(path),
            wanted as f64,
            "{path} {:#}",
            told.summary
        );
    }
    // An operation may come again before the hub has noted that it was accepted.
    assert!(told.number("/assigned") >= expected as f64);
    assert_eq!(told.summary["seed"], 1);
    let spread = ["p50_ms", "p99_ms", "max_ms"].map(|name| told.number(&format!("/ack/{name}")));
    assert!(spread[0] > 0.0 && spread.is_sorted(), "{spread:?}");
    let operations = told.summary["operations"].as_array().expect("operations");
    assert_eq!(operations.len(), 3);
    for operation in operations {
        assert_eq!(operation["probes"], PROBES, "{operation}");
        assert!(operation["first_at"].as_str() <= operation["last_at"].as_str());
    }
    the_log_tells(&told, expected);
}

/// What was shown meanwhile.
fn the_log_tells(told: &Told, results: i64) {
    assert!(told.log.contains("room for"), "{}", told.log);
    let line = told.log.lines().rfind(|line| line.contains("ack p50"));
    let line = line.expect("a live line");
    assert!(line.contains(&format!("results {results} (")), "{line}");
}

async fn what_is_cancelled_is_over() {
    let site = Site::new(4).await;
    let order = orders::endless(once("ping", &site.ids()));
    let operation = site.user.launch(&order).await;
    let fleet = site.simulate(&["--old", "0.5", "--pace", "flat-out"]);
    site.stored(200).await;
    site.user.cancel(operation).await;
    let told = fleet.terminate().await.well();
    // Old agents are not told of it, and go on as they were told before.
    let stored = site.count().await as f64;
    assert!(
        told.number("/results/acked") >= stored,
        "{:#}",
        told.summary
    );
    site.hub.check().await;
}

async fn a_schedule_is_kept() {
    const PROBES: usize = 3;
    const RUNS: usize = 6;
    /// Latest that a run may begin after its time, on a machine that is busy, s.
    const LATE: f64 = 0.9;
    let site = Site::new(PROBES).await;
    let stop = Utc::now() + TimeDelta::minutes(5);
    let order = orders::every_minute(once("ping", &site.ids()), 60, stop);
    let operation = site.user.launch(&order).await;
    let fleet = site.simulate(&[]);
    let wanted = PROBES * RUNS;
    let enough = || async { (site.count().await >= wanted as i64).then_some(()) };
    eventually(MINUTE_COMES_WITHIN, "the runs of a minute", enough).await;
    let _ = fleet.terminate().await.well();
    // From the full minute on a run each second, on each probe.
    let mut begun: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for result in site.user.results(operation).await {
        let text = |name: &str| result[name].as_str().expect("a text").to_owned();
        let at: DateTime<Utc> = text("started_at").parse().expect("a time");
        let second = f64::from(at.second()) + f64::from(at.nanosecond()) / 1e9;
        begun.entry(text("probe")).or_default().push(second);
    }
    assert_eq!(begun.len(), PROBES);
    for (probe, mut seconds) in begun {
        seconds.sort_by(f64::total_cmp);
        for (run, second) in seconds.iter().enumerate() {
            let late = second - run as f64;
            assert!((0.0..LATE).contains(&late), "{probe} {seconds:?}");
        }
    }
    site.hub.check().await;
}

async fn real_results_are_measured() {
    let site = Site::new(3).await;
    let mut order = once("ping", &site.ids());
    order["targets"] = json!(["127.0.0.1"]);
    order["params"] = json!({"probecount": 1});
    let operation = site.user.launch(&order).await;
    let fleet = site.simulate(&["--results", "real"]);
    site.stored(3).await;
    let told = fleet.terminate().await.well();
    assert_eq!(told.number("/results/acked"), 3.0);
    for result in site.user.results(operation).await {
        let document = result["document"].to_string();
        assert!(document.contains("127.0.0.1"), "{result}");
        assert!(!document.contains("failed"), "{result}");
    }
    // No agent of version 1 among them would understand it.
    let tokens: Vec<&str> = site.probes.iter().map(|it| it.token.as_str()).collect();
    let both = ["--results", "real", "--old", "1"];
    let told = Simulated::start(&site.hub.url(), &tokens, &both)
        .ended()
        .await;
    assert_eq!(told.code, 2, "{}", told.log);
}

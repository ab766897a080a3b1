//! What an agent says of its load, and what is made of it whatever it says.

use serde_json::{Value, json};
use tests::{Knock, OldProbe, Trial, orders, trials};

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        an_agent_without_credits_is_full_and_harms_nobody,
        what_it_says_when_it_connects_is_clamped,
        what_it_counts_later_is_clamped,
        what_the_hub_knows_of_counts_too,
    ]
}

async fn connect(site: &Site, total: i64, in_use: i64) -> OldProbe {
    OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, total, in_use)).await
}

async fn availability(site: &Site) -> f64 {
    site.shown().await["availability"]
        .as_f64()
        .expect("a share")
}

/// Why the probe is left out of a ping.
async fn left_out(site: &Site) -> Value {
    let answer = site.ana.order(&orders::ping(&[site.probe.id])).await;
    answer.expect_problem(422, "no_available_probe")["left_out"][0]["reason"].clone()
}

async fn an_agent_without_credits_is_full_and_harms_nobody() {
    let site = Site::open().await;
    for (total, in_use) in [(0, 0), (0, 5), (-1, 0), (i64::MIN, 0)] {
        let _probe = connect(&site, total, in_use).await;
        assert!((availability(&site).await).abs() < f64::EPSILON, "{total}");
        assert_eq!(left_out(&site).await, "full");
        let all = site.ana.api.get("/api/v1/probes").await.expect(200);
        assert_eq!(all["items"].as_array().map(Vec::len), Some(1));
    }
}

async fn what_it_says_when_it_connects_is_clamped() {
    let site = Site::open().await;
    for (total, in_use, wanted) in [
        (100, 25, 0.75),
        (100, 0, 1.0),
        (100, -7, 1.0),
        (100, 100, 0.0),
        (100, 1_000, 0.0),
        (100, i64::MAX, 0.0),
        (i64::MAX, 0, 1.0),
    ] {
        let _probe = connect(&site, total, in_use).await;
        assert_eq!(
            site.shown().await["availability"],
            wanted,
            "{total} {in_use}"
        );
        if in_use >= total {
            assert_eq!(left_out(&site).await, "full");
        }
    }
}

async fn what_it_counts_later_is_clamped() {
    let site = Site::open().await;
    let mut probe = connect(&site, 100, 10).await;
    let steps = [
        ("new_operation", json!(30), 0.6),
        ("finish_operation", json!(15), 0.75),
        // What was over before it connected is told once more.
        ("finish_operation", json!(40), 1.0),
        ("new_operation", json!(20), 0.8),
        ("new_operation", json!(-50), 0.8),
        ("finish_operation", json!(-50), 0.8),
        ("new_operation", json!("50"), 0.8),
        ("new_operation", json!(0.5), 0.8),
        ("new_operation", Value::Null, 0.8),
        ("new_operation", json!(i64::MAX), 0.0),
        ("new_operation", json!(1), 0.0),
        ("finish_operation", json!(i64::MAX), 1.0),
    ];
    for (event, credits, wanted) in steps {
        let number = probe.emit(event, json!({"credits": credits.clone()})).await;
        assert_eq!(probe.acked(number).await, json!([]));
        assert_eq!(
            site.shown().await["availability"],
            wanted,
            "{event} {credits}"
        );
    }
}

async fn what_the_hub_knows_of_counts_too() {
    let site = Site::open().await;
    let mut probe = connect(&site, 20, 0).await;
    let operation = site
        .ana
        .launch(&orders::endless(orders::traceroute(&[site.probe.id])))
        .await;
    accept(&mut probe, operation).await;
    site.reaches(operation, "accepted").await;
    assert_eq!(site.shown().await["availability"], 0.25);
    // It cannot free itself of what it has not finished.
    probe.count("finish_operation", 15).await;
    let number = probe.emit("finish_operation", json!({"credits": 15})).await;
    probe.acked(number).await;
    assert_eq!(site.shown().await["availability"], 0.25);
    let again = site.ana.order(&orders::traceroute(&[site.probe.id])).await;
    again.expect_problem(422, "no_available_probe");
    site.close().await;
}

//! kill -9 of the hub while many probes deliver and a user spends.

use std::time::{Duration, Instant};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;
use tests::{
    Case, Fleet, Hub, TestUser, Trial, api, database, eventually, orders, random, wait::within,
};
use tokio::{task::JoinSet, time::sleep};

const KILLS: usize = 20;
const PROBES: usize = 50;
const OPERATIONS: usize = 5;
const RESULTS_EACH: usize = 400;
const RESULTS: usize = PROBES * RESULTS_EACH;
/// What a rewarded result earns.
const REWARD: i64 = 10;
/// Longest all deliveries may take.
const DELIVERED_WITHIN: Duration = Duration::from_secs(240);
/// Operations created and half of them cancelled while the hub is killed.
const PURCHASES: usize = 60;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("chaos::hub_killed::nothing_is_lost_and_nothing_is_double")
            .within(DELIVERED_WITHIN * 2)
            .run(nothing_is_lost_and_nothing_is_double),
    ]
}

async fn nothing_is_lost_and_nothing_is_double() {
    let mut random = random::seeded("hub_killed");
    let mut hub = Hub::start().await;
    let fleet = Fleet::new(&hub, PROBES, OPERATIONS).await;
    let spender = hub.user("spender", 1000).await;
    let (before, started) = (fleet.owner.credits().await, Instant::now());
    let mut couriers = fleet.deliver(&hub.url(), RESULTS_EACH, None);
    let mut purchases = JoinSet::new();
    purchases.spawn(buy(spender.clone(), fleet.probes[0].id));
    kill_often(&mut hub, &fleet, &mut random).await;
    within(DELIVERED_WITHIN, "the end of all deliveries", async {
        while let Some(courier) = couriers.join_next().await {
            courier.expect("a courier that did not panic");
        }
        purchases
            .join_next()
            .await
            .expect("a purchase")
            .expect("a buyer that did not panic");
    })
    .await;
    let (stored, sent, took) = (fleet.tally.stored(), fleet.tally.sent(), started.elapsed());
    eprintln!(
        "hub_killed: {KILLS} kills in {took:.1?}; {stored} results acknowledged, {sent} sent, {} sessions of {PROBES} probes",
        fleet.tally.sessions()
    );
    assert_eq!(fleet.tally.wrong(), [""; 0]);
    assert_eq!(stored, RESULTS);
    fleet.check(&hub, RESULTS_EACH);
    database::check(&hub.data_dir());
    assert_eq!(
        fleet.owner.credits().await,
        before + REWARD * RESULTS as i64
    );
    check_purchases(&hub, &spender).await;
}

/// Kills the hub at random points of the delivery's progress, so that each kill meets results on their way.
async fn kill_often(hub: &mut Hub, fleet: &Fleet, random: &mut StdRng) {
    let mut points: Vec<usize> = (0..KILLS)
        .map(|_| random.random_range(0..RESULTS * 9 / 10))
        .collect();
    points.sort_unstable();
    for point in points {
        let what = format!("{point} acknowledged results");
        eventually(DELIVERED_WITHIN, &what, async || {
            (fleet.tally.stored() >= point).then_some(())
        })
        .await;
        sleep(Duration::from_millis(random.random_range(0..100))).await;
        assert!(
            fleet.tally.stored() < RESULTS,
            "all was delivered before the hub was killed"
        );
        hub.kill9().await;
        hub.restart().await;
    }
}

/// Creates operations, each under a key and as often as it takes, and cancels every other one.
async fn buy(user: TestUser, probe: probe_protocol::ProbeId) {
    let mut random = random::seeded("hub_killed, purchases");
    let order = orders::queued(orders::ping(&[probe]));
    for number in 0..PURCHASES {
        let made = insist(|| {
            let request = user
                .api
                .request(reqwest::Method::POST, "/api/v1/operations");
            request
                .header("idempotency-key", format!("purchase-{number}"))
                .json(&order)
        })
        .await;
        if number % 2 == 0 {
            let path = format!("/api/v1/operations/{}", made["id"].as_str().expect("an id"));
            insist(|| user.api.request(reqwest::Method::DELETE, &path)).await;
        }
        sleep(Duration::from_millis(random.random_range(0..300))).await;
    }
}

/// Sends a request until it is answered with success.
async fn insist(request: impl Fn() -> reqwest::RequestBuilder) -> Value {
    eventually(DELIVERED_WITHIN, "an answer", async || {
        match api::send(request()).await {
            Ok(answer) if answer.status < 300 => Some(answer.json()),
            Ok(answer) if answer.status < 500 => panic!("{}: {}", answer.status, answer.text()),
            _ => None,
        }
    })
    .await
}

/// A purchase is made once, however often it was asked for.
async fn check_purchases(hub: &Hub, spender: &TestUser) {
    let of_spender = format!("from operations where owner = '{}'", spender.id);
    let count = |query: &str| database::number(&hub.data_dir(), query);
    assert_eq!(
        count(&format!("select count(*) {of_spender}")),
        PURCHASES as i64
    );
    let cancelled = count(&format!(
        "select count(*) {of_spender} and cancelled_at_ms is not null"
    ));
    assert_eq!(cancelled, PURCHASES as i64 / 2);
    let kept = count(&format!("select sum(charged - refunded) {of_spender}"));
    assert_eq!(spender.credits().await, 1000 - kept);
}

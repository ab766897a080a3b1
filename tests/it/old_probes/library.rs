//! The hub and the client library that old agents rest on, in the version that they have.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{OldAgent, OldResult, Trial, orders, wait::SOON};

use super::Site;

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.unless(OldAgent::missing());
        the_whole_job,
        moods_of_an_agent,
        a_refused_agent_knows_it,
        an_agent_comes_back_after_any_end,
        a_superseded_agent_stays_away,
        everything_at_once,
    ]
}

/// Longest the library may take to come back: it waits a second or two between attempts.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// Credits of an agent with room for everything.
const ROOMY: i64 = 100_000;

impl Site {
    async fn library(&self, comes_back: bool, in_use: i64) -> OldAgent {
        let mut agent = OldAgent::start(comes_back).await;
        agent
            .connect(&self.hub, &self.probe.token, ROOMY, in_use)
            .await;
        agent.told("connected").await;
        agent
    }
}

/// Waits until the agent tells of this operation; what it tells.
async fn handed(agent: &mut OldAgent, operation: probe_protocol::OperationId) -> Value {
    let told = agent.told("operation").await;
    assert_eq!(told["argument"]["_id"], json!(operation), "{told}");
    told
}

async fn the_whole_job() {
    let site = Site::open().await;
    let mut agent = site.library(false, 0).await;
    let shown = site.shown().await;
    assert_eq!(
        (&shown["connected"], &shown["availability"]),
        (&json!(true), &json!(1.0))
    );
    let text = orders::gzip(orders::DIG_TEXT.as_bytes());
    let before = site.ana.credits().await;
    for (order, format, content) in [
        (orders::ping(&[site.probe.id]), "warts", orders::PING_WARTS),
        (
            orders::traceroute(&[site.probe.id]),
            "warts",
            orders::TRACEROUTE_WARTS,
        ),
        (orders::dns(&[site.probe.id]), "gzip", &text),
    ] {
        let operation = site.ana.launch(&order).await;
        let told = handed(&mut agent, operation).await;
        assert_eq!(told["kind"], order["kind"]);
        site.reaches(operation, "accepted").await;
        let result = OldResult::new(
            operation,
            "4e9fd3b0-51a6-4d0c-a9a5-0b46d9d5b5f1",
            format,
            content,
        );
        agent.journal.clear();
        assert_eq!(agent.deliver(&result).await, json!([operation]));
        let stored = &site.ana.results(operation).await[0];
        assert_eq!(
            (&stored["undecoded"], &stored["rewarded"]),
            (&json!(0), &json!(true)),
            "{stored}"
        );
        site.reaches(operation, "finished").await;
        // The price of an operation is that of its only run.
        agent.order(json!({"do": "count", "event": "finish_operation", "credits": told["argument"]["credits"]})).await;
    }
    assert_eq!(site.ana.credits().await, before - 17 + 30);
    site.shows("availability", 1.0).await;
    agent.order(json!({"do": "leave"})).await;
    agent.told("disconnected").await;
    site.shows("connected", false).await;
    site.close().await;
}

async fn moods_of_an_agent() {
    let site = Site::open().await;
    let mut agent = site.library(false, 0).await;
    let before = site.ana.credits().await;
    agent.mood("refuse").await;
    let refused = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    site.reaches(refused, "refused").await;
    assert_eq!(site.ana.credits().await, before);
    // It throws, so the library acknowledges nothing.
    agent.mood("fail").await;
    let failed = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    let behind = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    handed(&mut agent, refused).await;
    handed(&mut agent, failed).await;
    site.reaches(failed, "delivered").await;
    assert_eq!(site.ana.states(behind).await, ["pending"]);
    // The next process holds nothing.
    drop(agent);
    let mut agent = site.library(false, 0).await;
    handed(&mut agent, failed).await;
    handed(&mut agent, behind).await;
    for operation in [failed, behind] {
        site.reaches(operation, "accepted").await;
    }
    site.close().await;
}

async fn a_refused_agent_knows_it() {
    let site = Site::open().await;
    let mut agent = OldAgent::start(true).await;
    // It tries again after this, as after a hub that is away; after a refusal in the Socket.IO way it would not.
    agent.connect(&site.hub, "nonsense", 121, 0).await;
    agent.told("refused").await;
    agent.connect(&site.hub, &site.probe.token, 121, 0).await;
    agent.told("connected").await;
    let told = agent
        .journal
        .iter()
        .filter(|told| told["told"] == "connected")
        .count();
    assert_eq!(told, 1, "{:?}", agent.journal);
    site.shows("connected", true).await;
}

async fn an_agent_comes_back_after_any_end() {
    let mut site = Site::open().await;
    let mut agent = site.library(true, 0).await;
    for kill in [true, false] {
        if kill {
            site.hub.kill9().await;
        } else {
            assert_eq!(site.hub.terminate().await, 0);
        }
        agent.told("disconnected").await;
        site.hub.restart().await;
        agent.told_within(BACK_WITHIN, "connected").await;
        site.shows("connected", true).await;
    }
    // A rotated token ends the session, and the library goes on trying; with a hub that forgets it, it would be back.
    let path = format!("/api/v1/probes/{}/token", site.probe.id);
    let _ = site.ana.api.post(&path, &json!({})).await.expect(201);
    agent.told("disconnected").await;
    agent.told_within(BACK_WITHIN, "refused").await;
    assert_eq!(site.shown().await["connected"], false);
}

async fn a_superseded_agent_stays_away() {
    let site = Site::open().await;
    let mut older = site.library(true, 0).await;
    let mut newer = site.library(true, 0).await;
    for round in 0..5 {
        let operation = site.ping().await;
        handed(&mut newer, operation).await;
        let result = OldResult::new(operation, &round.to_string(), "warts", orders::PING_WARTS);
        assert_eq!(older.deliver(&result).await, json!([]));
        assert_eq!(newer.deliver(&result).await, json!([operation]));
    }
    let connects = |agent: &OldAgent| {
        agent
            .journal
            .iter()
            .filter(|told| told["told"] == "connected")
            .count()
    };
    assert_eq!((connects(&older), connects(&newer)), (1, 1));
    assert!(
        !older
            .journal
            .iter()
            .any(|told| told["told"] == "disconnected"),
        "{:?}",
        older.journal
    );
    site.close().await;
}

/// The library handles each message in a thread of its own, so the answers to operations come in between the frames of
/// results.
async fn everything_at_once() {
    const RESULTS: usize = 1000;
    const OPERATIONS: usize = 40;
    let site = Site::open().await;
    let mut agent = site.library(false, 0).await;
    let operation = site.ping().await;
    handed(&mut agent, operation).await;
    let results: Vec<OldResult> = (0..RESULTS)
        .map(|number| OldResult::new(operation, &number.to_string(), "warts", orders::PING_WARTS))
        .collect();
    let mut launched = Vec::new();
    let launch = async {
        for _ in 0..OPERATIONS {
            launched.push(site.ana.launch(&orders::ping(&[site.probe.id])).await);
        }
    };
    let deliver = async {
        for some in results.chunks(RESULTS / 10) {
            agent.send(some).await;
        }
        for result in &results {
            assert_eq!(agent.acknowledged(&result.code).await, json!([operation]));
        }
    };
    tokio::join!(launch, deliver);
    for operation in launched {
        site.reaches(operation, "accepted").await;
    }
    let all = tests::eventually(SOON, "all results", async || {
        let stored = site.ana.results(operation).await;
        (stored.len() == RESULTS).then_some(stored)
    })
    .await;
    assert!(all.iter().all(|result| result["undecoded"] == 0));
    site.close().await;
}

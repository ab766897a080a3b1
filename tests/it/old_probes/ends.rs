//! What agents see of a hub that stops or has trouble: nothing that was taken is lost, and they are sent away so that
//! they come back.

use std::time::{Duration, Instant};

use probe_protocol::ProbeId;
use serde_json::json;
use tests::{
    Knock, OldHeard, OldProbe, OldResult, OldSocket, Trial, database, eventually, orders, trials,
    wait::{SOON, within},
};
use tokio::task::JoinSet;

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_stop_in_full_flight_loses_nothing,
        a_stop_ends_connections_without_a_place_too,
        what_was_claimed_before_a_stop_still_leaves,
        who_connects_while_the_store_is_away_comes_back,
    ]
}

/// A stop without trouble: far below the hub's own limit of 20 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(8);
/// The websocket code that says nothing about the agent.
const GOING_AWAY: u16 = 1001;

async fn a_stop_in_full_flight_loses_nothing() {
    const PROBES: usize = 8;
    let mut site = Site::open().await;
    let mut ids = Vec::new();
    let mut connected = Vec::new();
    for number in 0..PROBES {
        let registered = site.ana.probe(&number.to_string()).await;
        ids.push(registered.id);
        connected.push(OldProbe::connect(&site.hub, &registered.token).await);
    }
    let operation = site.ana.launch(&orders::endless(orders::ping(&ids))).await;
    let mut probes = JoinSet::new();
    for (id, mut probe) in ids.into_iter().zip(connected) {
        accept(&mut probe, operation).await;
        probes.spawn(flood(id, probe, operation.to_string()));
    }
    let busy =
        || database::snapshot(&site.hub.data_dir()).number("select count(*) from results") > 200;
    eventually(SOON, "results", async || busy().then_some(())).await;
    let started = Instant::now();
    assert_eq!(site.hub.terminate().await, 0, "the exit code");
    assert!(
        started.elapsed() < STOPPED_WITHIN,
        "{:?}",
        started.elapsed()
    );
    let stored = site.hub.snapshot().await.result_codes();
    let mut acknowledged = 0;
    while let Some(probe) = probes.join_next().await {
        let (id, codes, end) = probe.expect("a probe that did not panic");
        assert_eq!(end, OldHeard::Closed(GOING_AWAY));
        for code in 1..=codes {
            assert!(
                stored.contains(&format!("{operation} {id} {code}")),
                "an acknowledged result is not there"
            );
        }
        acknowledged += codes;
    }
    assert!(acknowledged > 200, "{acknowledged}");
    site.hub.check().await;
}

/// Sends results until the hub ends the session: how many were acknowledged, which they are in order, and the end.
async fn flood(id: ProbeId, mut probe: OldProbe, operation: String) -> (ProbeId, u64, OldHeard) {
    /// Results under way unanswered.
    const WINDOW: u64 = 32;
    let (mut sent, mut stored) = (0, 0);
    let content = json!({"_placeholder": true, "num": 0});
    let end = within(SOON * 3, "the end of the session", async {
        loop {
            while sent < stored + WINDOW {
                let number = sent + 1;
                let event = json!(["results", {"operation_id": operation, "content": content,
                    "unique_code": number.to_string(), "format": "warts"}]);
                let bytes = orders::PING_WARTS.into();
                if !probe.socket.text(&format!("451-{number}{event}")).await
                    || !probe
                        .socket
                        .send(tokio_tungstenite::tungstenite::Message::Binary(bytes))
                        .await
                {
                    break;
                }
                sent = number;
            }
            match probe.socket.hear().await {
                OldHeard::Text(text) if text.starts_with("43") => {
                    stored += 1;
                    assert_eq!(text, format!("43{stored}[\"{operation}\"]"));
                }
                OldHeard::Text(_) | OldHeard::Binary(_) => {}
                end => return end,
            }
        }
    })
    .await;
    (id, stored, end)
}

async fn a_stop_ends_connections_without_a_place_too() {
    let mut site = Site::open().await;
    let mut older = site.connect().await;
    let mut newer = site.connect().await;
    let mut waiting = OldSocket::open(&site.hub.url(), &Knock::new(&site.probe.token, 121, 0))
        .await
        .expect("a session");
    waiting.opened().await;
    let started = Instant::now();
    site.hub.process().signal(rustix::process::Signal::TERM);
    assert_eq!(newer.closed().await, GOING_AWAY);
    assert_eq!(older.closed().await, GOING_AWAY);
    let end = within(SOON, "an end", waiting.hear()).await;
    assert_eq!(end, OldHeard::Closed(GOING_AWAY));
    assert_eq!(site.hub.process().wait(SOON * 2).await, 0, "the exit code");
    let took = started.elapsed();
    assert!(took < STOPPED_WITHIN, "{took:?}");
    site.hub.restart().await;
    site.connect().await;
}

async fn what_was_claimed_before_a_stop_still_leaves() {
    let mut site = Site::open().await;
    let mut probe = site.connect().await;
    let [first, second] = [site.ping().await, site.ping().await];
    let handed = probe.handed().await;
    assert_eq!(handed.id(), first.to_string());
    // The claim of the second one is under way when the hub is told to stop, and granted then.
    let lock = database::lock(&site.hub.data_dir());
    probe.take(&handed).await;
    let number = probe.emit("new_operation", json!({"credits": 0})).await;
    probe.acked(number).await;
    site.hub.process().signal(rustix::process::Signal::TERM);
    let stopping = |site: &mut Site| site.hub.process().log().contains("stopping").then_some(());
    eventually(SOON, "a hub that stops", || {
        std::future::ready(stopping(&mut site))
    })
    .await;
    drop(lock);
    assert_eq!(probe.handed().await.id(), second.to_string());
    assert_eq!(probe.closed().await, GOING_AWAY);
    assert_eq!(
        site.hub.process().wait(STOPPED_WITHIN).await,
        0,
        "the exit code"
    );
    site.hub.restart().await;
    let mut probe = OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 121, 2)).await;
    for operation in [first, second] {
        site.reaches(operation, "accepted").await;
    }
    let third = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, third).await;
    assert_eq!(probe.handed_so_far().len(), 1, "{:?}", probe.journal);
    site.close().await;
}

async fn who_connects_while_the_store_is_away_comes_back() {
    let site = Site::open().await;
    let operation = site
        .ana
        .launch(&orders::queued(orders::ping(&[site.probe.id])))
        .await;
    let lock = database::lock(&site.hub.data_dir());
    let knock = Knock::new(&site.probe.token, 121, 0);
    let mut socket = OldSocket::open(&site.hub.url(), &knock)
        .await
        .expect("a session");
    socket.opened().await;
    assert!(socket.text("40").await);
    // Neither a connect nor a refusal that it would wait after for ever.
    let end = within(SOON * 2, "an end", socket.hear()).await;
    assert_eq!(end, OldHeard::Closed(GOING_AWAY));
    drop(lock);
    let mut probe = site.connect().await;
    accept(&mut probe, operation).await;
    let result = OldResult::new(operation, "1", "warts", orders::PING_WARTS);
    // A result that waits for the store is acknowledged when it is back.
    let lock = database::lock(&site.hub.data_dir());
    let number = probe.send(&result).await;
    let waits = tokio::time::timeout(Duration::from_millis(300), probe.acked(number)).await;
    assert!(waits.is_err(), "acknowledged and not stored: {waits:?}");
    drop(lock);
    assert_eq!(probe.acked(number).await, json!([operation]));
    site.close().await;
}

//! Operations on their way to probes of other hubs.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use probe_protocol::{HubFrame, ProbeId};
use tests::{
    Ack, FakeProbe, Platform, Trial, eventually, orders,
    wait::{SOON, within},
};

use super::{on_a_platform, presence::connected};

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        an_operation_is_one_message_for_each_hub,
        a_cancelled_operation_is_cancelled_at_every_hub,
        an_old_agent_is_handed_it_once_wherever_it_is,
    ]
}

/// Probes at each of three hubs.
const EACH: usize = 4;
/// Under the time in which the sweep could have found it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Probes that are connected, four at each hub, and known as such to all.
async fn probes(platform: &Platform, ana: &tests::TestUser) -> Vec<(ProbeId, FakeProbe)> {
    let mut probes = Vec::new();
    for number in 0..EACH * platform.hubs.len() {
        let registered = ana.probe(&format!("p{number}")).await;
        let hub = &platform.hubs[number % platform.hubs.len()];
        probes.push((
            registered.id,
            FakeProbe::connect(hub, &registered.token).await,
        ));
    }
    for hub in &platform.hubs {
        let ana = ana.at(hub);
        eventually(SOON, "all connected", async || {
            (connected(&ana).await.len() == probes.len()).then_some(())
        })
        .await;
    }
    probes
}

async fn an_operation_is_one_message_for_each_hub() {
    let platform = Platform::start(3).await;
    let ana = platform.hubs[0].user("ana", 10_000_000).await;
    let mut probes = probes(&platform, &ana).await;
    let ids: Vec<ProbeId> = probes.iter().map(|(id, _)| *id).collect();
    let mut ear = platform
        .redis
        .client()
        .get_async_pubsub()
        .await
        .expect("Redis");
    ear.psubscribe("pladmed:*:hub:*").await.expect("Redis");
    let asked = Instant::now();
    let operation = ana.at(&platform.hubs[1]).launch(&orders::ping(&ids)).await;
    for (_, probe) in &mut probes {
        assert_eq!(probe.assigned().await.operation, operation);
    }
    assert!(asked.elapsed() < AT_ONCE, "the sweep brought it");
    let mut errands = Vec::new();
    // The last errand left before the last probe had its operation.
    let mut messages = ear.on_message();
    while let Ok(Some(message)) =
        tokio::time::timeout(Duration::from_millis(200), messages.next()).await
    {
        let text: String = message.get_payload().expect("a text");
        if text.contains("\"assign\"") {
            let assigned = ids
                .iter()
                .filter(|id| text.contains(&id.to_string()))
                .count();
            errands.push((message.get_channel_name().to_owned(), assigned));
        }
    }
    assert_eq!(errands.len(), 2, "{errands:?}");
    assert!(
        errands.iter().all(|(_, probes)| *probes == EACH),
        "{errands:?}"
    );
    assert_ne!(errands[0].0, errands[1].0);
    for (_, probe) in &mut probes {
        assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    }
}

async fn a_cancelled_operation_is_cancelled_at_every_hub() {
    let platform = Platform::start(3).await;
    let ana = platform.hubs[0].user("ana", 10_000_000).await;
    let mut probes = probes(&platform, &ana).await;
    let ids: Vec<ProbeId> = probes.iter().map(|(id, _)| *id).collect();
    let operation = ana.launch(&orders::endless(orders::ping(&ids))).await;
    for (_, probe) in &mut probes {
        assert_eq!(probe.accept().await, operation);
    }
    ana.at(&platform.hubs[2]).cancel(operation).await;
    for (_, probe) in &mut probes {
        let cancel = HubFrame::Cancel { operation };
        probe
            .until("cancel", |frame| (*frame == cancel).then_some(()))
            .await;
    }
}

async fn an_old_agent_is_handed_it_once_wherever_it_is() {
    let platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 10_000_000).await;
    let registered = ana.probe("p").await;
    let mut agent = tests::OldProbe::connect(&platform.hubs[1], &registered.token).await;
    platform
        .all_see(
            SOON,
            &ana,
            registered.id,
            "connected",
            tests::platform::is_connected,
        )
        .await;
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    let handed = within(AT_ONCE, "it", agent.handed()).await;
    assert_eq!(handed.id(), operation.to_string());
    agent.take(&handed).await;
    let next = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(agent.accept().await.id(), next.to_string());
    assert_eq!(agent.handed_so_far().len(), 2);
}

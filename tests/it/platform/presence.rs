//! Who is connected, as every hub knows it.

use std::time::{Duration, Instant};

use probe_protocol::{Close, ProbeFrame, ProbeId};
use serde_json::Value;
use tests::{
    FakeProbe, OldProbe, Platform, TestUser, Trial, eventually, orders, platform::is_connected,
    wait::SOON,
};

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        every_hub_knows_who_is_connected,
        a_killed_hub_is_gone_within_five_seconds,
        a_hub_that_starts_knows_at_once,
        the_newest_connection_wins_everywhere,
        an_old_agent_that_lost_its_place_stays_until_it_is_free,
        a_revoked_token_ends_the_session_wherever_it_is,
    ]
}

/// What is promised: a killed hub is gone within this time.
const GONE_WITHIN: Duration = Duration::from_secs(5);

async fn every_hub_knows_who_is_connected() {
    let platform = Platform::start(3).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&platform.hubs[1], &registered.token).await;
    platform
        .all_see(SOON, &ana, registered.id, "connected", is_connected)
        .await;
    // Of the 100,000 credits that it has.
    let status = ProbeFrame::Status {
        in_use_credits: 25_000,
        running: 1,
        spooled: 0,
        dropped: 0,
    };
    probe.say(&status).await;
    platform
        .all_see(SOON, &ana, registered.id, "its availability", |seen| {
            seen["availability"] == 0.75
        })
        .await;
    for hub in &platform.hubs {
        assert_eq!(connected(&ana.at(hub)).await, [registered.id]);
    }
    drop(probe);
    platform
        .all_see(SOON, &ana, registered.id, "not connected", |seen| {
            !is_connected(seen)
        })
        .await;
}

async fn a_killed_hub_is_gone_within_five_seconds() {
    let mut platform = Platform::start(3).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let (there, here) = (ana.probe("there").await, ana.probe("here").await);
    let _there = FakeProbe::connect(&platform.hubs[2], &there.token).await;
    let _here = FakeProbe::connect(&platform.hubs[1], &here.token).await;
    let both = |seen: &Value| is_connected(seen);
    platform
        .all_see(SOON, &ana, there.id, "connected", both)
        .await;
    platform
        .all_see(SOON, &ana, here.id, "connected", both)
        .await;
    platform.hubs[2].kill9().await;
    let killed = Instant::now();
    for hub in &platform.hubs[..2] {
        let ana = ana.at(hub);
        eventually(SOON, "a ghost left", async || {
            (connected(&ana).await == [here.id]).then_some(())
        })
        .await;
        let took = killed.elapsed();
        assert!(took < GONE_WITHIN, "{took:?}");
    }
}

async fn a_hub_that_starts_knows_at_once() {
    let mut platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let mut probes = Vec::new();
    for number in 0..4 {
        let registered = ana.probe(&format!("p{number}")).await;
        let hub = &platform.hubs[number % 2];
        probes.push((
            FakeProbe::connect(hub, &registered.token).await,
            registered.id,
        ));
    }
    let mut ids: Vec<ProbeId> = probes.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    eventually(SOON, "all connected", async || {
        (connected(&ana).await == ids).then_some(())
    })
    .await;
    let new = platform.join().await;
    assert_eq!(connected(&ana.at(new)).await, ids);
    // It may be asked for an operation at once, too.
    let operation = ana.at(new).launch(&orders::ping(&ids)).await;
    for (probe, _) in &mut probes {
        assert_eq!(probe.accept().await, operation);
    }
}

async fn the_newest_connection_wins_everywhere() {
    let platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let registered = ana.probe("p").await;
    let mut older = FakeProbe::connect(&platform.hubs[0], &registered.token).await;
    for turn in 1..=3 {
        let newer = FakeProbe::connect(&platform.hubs[turn % 2], &registered.token).await;
        assert_eq!(older.closed().await, Close::Replaced.code());
        older = newer;
    }
    platform
        .all_see(SOON, &ana, registered.id, "connected", is_connected)
        .await;
}

async fn an_old_agent_that_lost_its_place_stays_until_it_is_free() {
    let platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let registered = ana.probe("p").await;
    let mut older = OldProbe::connect(&platform.hubs[0], &registered.token).await;
    let mut newer = OldProbe::connect(&platform.hubs[1], &registered.token).await;
    for hub in platform.hubs.iter().rev() {
        let operation = ana.at(hub).launch(&orders::ping(&[registered.id])).await;
        assert_eq!(newer.accept().await.id(), operation.to_string());
    }
    drop(newer);
    older.closed().await;
    assert!(older.handed_so_far().is_empty());
}

async fn a_revoked_token_ends_the_session_wherever_it_is() {
    let platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1000).await;
    let (rotated, deleted) = (ana.probe("rotated").await, ana.probe("deleted").await);
    let here = &platform.hubs[0];
    let mut first = FakeProbe::connect(here, &rotated.token).await;
    let mut second = FakeProbe::connect(here, &deleted.token).await;
    let there = ana.at(&platform.hubs[1]).api;
    let path = format!("/api/v1/probes/{}/token", rotated.id);
    let _ = there.post(&path, &Value::Null).await.expect(201);
    assert_eq!(first.closed().await, Close::Revoked.code());
    let answer = there
        .delete(&format!("/api/v1/probes/{}", deleted.id))
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(second.closed().await, Close::Revoked.code());
}

/// Probes that are listed as connected, newest first.
pub(super) async fn connected(user: &TestUser) -> Vec<ProbeId> {
    let path = "/api/v1/probes?connected=true&limit=1000";
    let page = user.api.get(path).await.expect(200);
    let items = page["items"].as_array().expect("items").iter();
    items
        .map(|item| {
            item["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an id")
        })
        .collect()
}

//! Redis goes away, freezes, forgets and comes back.

use std::time::Duration;

use tests::{
    Ack, FakeProbe, Platform, Trial, orders,
    platform::is_connected,
    wait::{SOON, within},
};

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        without_redis_local_probes_work_on_and_the_sweep_finds_the_rest,
        a_revocation_that_was_lost_is_found,
        a_platform_fills_redis_again_by_itself,
        a_frozen_redis_holds_nobody_up,
    ]
}

/// The default of `SWEEP_SECONDS`, and some time to get there.
const SWEPT_WITHIN: Duration = Duration::from_secs(6);

async fn without_redis_local_probes_work_on_and_the_sweep_finds_the_rest() {
    let mut platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1_000_000).await;
    let (here, there) = (ana.probe("here").await, ana.probe("there").await);
    let mut near = FakeProbe::connect(&platform.hubs[0], &here.token).await;
    let mut far = FakeProbe::connect(&platform.hubs[1], &there.token).await;
    platform
        .all_see(SOON, &ana, there.id, "connected", is_connected)
        .await;
    platform.redis.kill9().await;
    let operation = ana.launch(&orders::ping(&[here.id, there.id])).await;
    assert_eq!(near.accept().await, operation);
    assert_eq!(near.deliver(operation, "1").await, Ack::Stored);
    let found = within(SWEPT_WITHIN, "what was lost on its way", far.accept()).await;
    assert_eq!(found, operation);
    assert_eq!(far.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(ana.results(operation).await.len(), 2);
    platform.hubs[0].check().await;
}

async fn a_revocation_that_was_lost_is_found() {
    let mut platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&platform.hubs[1], &registered.token).await;
    platform.redis.kill9().await;
    let path = format!("/api/v1/probes/{}/token", registered.id);
    let _ = ana
        .api
        .post(&path, &serde_json::Value::Null)
        .await
        .expect(201);
    let code = probe.closed_within(SWEPT_WITHIN).await;
    assert_eq!(code, probe_protocol::Close::Revoked.code());
}

async fn a_platform_fills_redis_again_by_itself() {
    let mut platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1_000_000).await;
    let (here, there) = (ana.probe("here").await, ana.probe("there").await);
    let _near = FakeProbe::connect(&platform.hubs[0], &here.token).await;
    platform
        .all_see(SOON, &ana, here.id, "connected", is_connected)
        .await;
    platform.redis.kill9().await;
    // Connected while nobody could tell.
    let _far = FakeProbe::connect(&platform.hubs[1], &there.token).await;
    platform.redis.restart().await;
    for probe in [here.id, there.id] {
        platform
            .all_see(SOON, &ana, probe, "connected", is_connected)
            .await;
    }
    platform.redis.flush().await;
    platform.redis.kill_clients().await;
    let late = ana.probe("late").await;
    let _late = FakeProbe::connect(&platform.hubs[1], &late.token).await;
    for probe in [here.id, there.id, late.id] {
        platform
            .all_see(SOON, &ana, probe, "connected", is_connected)
            .await;
    }
}

async fn a_frozen_redis_holds_nobody_up() {
    let mut platform = Platform::start(2).await;
    let ana = platform.hubs[0].user("ana", 1_000_000).await;
    let (here, there) = (ana.probe("here").await, ana.probe("there").await);
    let mut near = FakeProbe::connect(&platform.hubs[0], &here.token).await;
    let _far = FakeProbe::connect(&platform.hubs[1], &there.token).await;
    platform
        .all_see(SOON, &ana, there.id, "connected", is_connected)
        .await;
    platform.redis.freeze().await;
    let work = async {
        for number in 0..20 {
            let operation = ana.launch(&orders::ping(&[here.id])).await;
            assert_eq!(near.accept().await, operation);
            assert_eq!(
                near.deliver(operation, &number.to_string()).await,
                Ack::Stored
            );
            // Counting logins together is given up, not waited for.
            let _again =
                tests::TestUser::log_in(platform.hubs[1].api(), &ana.email, tests::hub::PASSWORD)
                    .await;
        }
    };
    within(SOON * 2, "work beside a frozen Redis", work).await;
    platform.redis.thaw();
    let late = ana.probe("late").await;
    let _late = FakeProbe::connect(&platform.hubs[1], &late.token).await;
    platform
        .all_see(SOON, &ana, late.id, "connected", is_connected)
        .await;
}

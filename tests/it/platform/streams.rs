//! Streams on one hub of what happens at others.

use std::time::{Duration, Instant};

use probe_protocol::OperationId;
use tests::{Ack, FakeProbe, Platform, TestUser, Trial, orders};

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        a_stream_shows_what_arrives_at_any_hub,
        a_client_that_comes_back_to_another_hub_misses_nothing,
        a_stream_goes_on_without_redis,
    ]
}

/// Under the time in which a look at the store could have found it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Results that are delivered.
const RESULTS: usize = 30;

async fn a_stream_shows_what_arrives_at_any_hub() {
    let platform = Platform::start(3).await;
    let ana = platform.hubs[0].user("ana", 10_000_000).await;
    let (mut probes, mut ids) = (Vec::new(), Vec::new());
    for hub in &platform.hubs {
        let registered = ana.probe("p").await;
        ids.push(registered.id);
        probes.push(FakeProbe::connect(hub, &registered.token).await);
    }
    let order = orders::endless(orders::queued(orders::ping(&ids)));
    let operation = ana.launch(&order).await;
    let mut streams = Vec::new();
    for hub in &platform.hubs {
        let mut stream = ana.at(hub).events(operation).await;
        stream.until("operation").await;
        streams.push(stream);
    }
    for probe in &mut probes {
        probe.accept().await;
    }
    let mut latest = Duration::ZERO;
    for number in 0..RESULTS {
        let place = number % probes.len();
        let ack = probes[place].deliver(operation, &format!("{number}")).await;
        assert_eq!(ack, Ack::Stored);
        let stored = Instant::now();
        for stream in &mut streams {
            let event = stream.until("result").await;
            assert_eq!(event.id, Some(number as u64 + 1), "a hole or a repeat");
        }
        latest = latest.max(stored.elapsed());
    }
    assert!(
        latest < AT_ONCE,
        "a look at the store brought it: {latest:?}"
    );
    // The end, and the states of assignments, are told everywhere too.
    for probe in &mut probes {
        probe.finish(operation).await;
    }
    for stream in &mut streams {
        let mut finished = 0;
        while finished < ids.len() {
            let event = stream.until("assignment").await;
            finished += usize::from(event.json()["state"] == "finished");
        }
        stream.until("end").await;
    }
}

/// A user whose probe, at the first hub, has an operation.
async fn at_work(platform: &Platform) -> (TestUser, FakeProbe, OperationId) {
    let ana = platform.hubs[0].user("ana", 10_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&platform.hubs[0], &registered.token).await;
    let order = orders::endless(orders::ping(&[registered.id]));
    let operation = ana.launch(&order).await;
    probe.accept().await;
    (ana, probe, operation)
}

async fn a_client_that_comes_back_to_another_hub_misses_nothing() {
    let platform = Platform::start(2).await;
    let (ana, mut probe, operation) = at_work(&platform).await;
    let mut last = 0;
    for turn in 0..6 {
        let api = ana.at(&platform.hubs[turn % 2]).api;
        let mut stream = tests::EventStream::open(&api, operation, Some(last))
            .await
            .expect("a stream");
        for number in 0..5 {
            probe.deliver(operation, &format!("{turn}-{number}")).await;
        }
        // Leaves some unread for the next stream.
        for _ in 0..3 {
            let event = stream.until("result").await;
            last += 1;
            assert_eq!(event.id, Some(last));
        }
    }
    assert_eq!(ana.results(operation).await.len(), 30);
}

async fn a_stream_goes_on_without_redis() {
    let mut platform = Platform::start_with(2, &[("SWEEP_SECONDS", "2")]).await;
    let (ana, mut probe, operation) = at_work(&platform).await;
    let mut stream = ana.at(&platform.hubs[1]).events(operation).await;
    probe.deliver(operation, "1").await;
    stream.until("result").await;
    platform.redis.kill9().await;
    for number in 2..=4 {
        assert_eq!(
            probe.deliver(operation, &number.to_string()).await,
            Ack::Stored
        );
        assert_eq!(stream.until("result").await.id, Some(number));
    }
    probe.finish(operation).await;
    stream.until("end").await;
}

//! A hub of a platform stops.

use std::time::{Duration, Instant};

use futures::future::join_all;
use probe_protocol::Close;
use tests::{FakeProbe, Platform, Trial, wait::SOON};
use tokio::time::timeout;

use super::{on_a_platform, presence::connected};

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![its_own_probes_leave_one_by_one]
}

/// Probes at each of two hubs.
const EACH: usize = 20;
/// How long a stop spreads them over.
const DRAIN: Duration = Duration::from_secs(2);

async fn its_own_probes_leave_one_by_one() {
    let drain = DRAIN.as_secs().to_string();
    let mut platform = Platform::start_with(2, &[("DRAIN_SECONDS", &drain)]).await;
    let ana = platform.hubs[0].user("ana", 1_000_000).await;
    let (mut leaving, mut staying) = (Vec::new(), Vec::new());
    for number in 0..2 * EACH {
        let registered = ana.probe(&format!("p{number}")).await;
        let hub = &platform.hubs[number % 2];
        let probe = FakeProbe::connect(hub, &registered.token).await;
        if number % 2 == 0 {
            leaving.push(probe)
        } else {
            staying.push(probe)
        };
    }
    let left = tokio::spawn(async move {
        let ends = leaving.iter_mut().map(async |probe| {
            let code = probe.closed_within(SOON * 2).await;
            (code, Instant::now())
        });
        join_all(ends).await
    });
    let stopped = Instant::now();
    assert_eq!(platform.hubs[0].terminate().await, 0);
    // At once, not when it is missed.
    let there = ana.at(&platform.hubs[1]);
    assert_eq!(connected(&there).await.len(), EACH);
    let mut ends = left.await.expect("the probes");
    assert!(
        ends.iter().all(|(code, _)| *code == Close::Restart.code()),
        "{ends:?}"
    );
    ends.sort_by_key(|(_, at)| *at);
    let after = |place: usize| ends[place].1.duration_since(stopped);
    assert!(after(0) < DRAIN / 4, "{:?}", after(0));
    assert!(after(EACH - 1) > DRAIN / 2, "{:?}", after(EACH - 1));
    let middle = after(EACH / 2);
    assert!((DRAIN / 4..DRAIN * 3 / 4).contains(&middle), "{middle:?}");
    for probe in &mut staying {
        let end = timeout(Duration::from_millis(20), probe.closed()).await;
        assert!(end.is_err(), "a probe of the other hub was sent away");
    }
}

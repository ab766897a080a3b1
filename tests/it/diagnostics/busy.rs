//! A hub works meanwhile, and nothing of that is taken for damage.

use std::time::Duration;

use tests::{Ack, FakeProbe, Hub, Trial, orders};
use tokio::{
    select,
    time::{Instant, timeout_at},
};

use super::bench::{diagnose, in_both};

pub(super) fn trials() -> Vec<Trial> {
    in_both![a_hub_at_work_is_no_damage]
}

/// Looks at everything, one after the other.
const LOOKS: usize = 6;
/// Longest that they may take together.
const LOOKED_WITHIN: Duration = Duration::from_secs(90);
/// Probes at work.
const PROBES: usize = 3;

async fn a_hub_at_work_is_no_damage(hub: Hub) {
    let ana = hub.user("ana", 10_000_000).await;
    let (mut agents, mut registered) = (Vec::new(), Vec::new());
    for number in 0..PROBES {
        let probe = ana.probe(&format!("p{number}")).await;
        agents.push(FakeProbe::connect(&hub, &probe.token).await);
        registered.push(probe.id);
    }
    let endless = orders::endless(orders::ping(&registered));
    let running = ana.launch(&endless).await;
    let mut working = tokio::task::JoinSet::new();
    for mut agent in agents {
        assert_eq!(agent.accept().await, running);
        assert_eq!(agent.deliver(running, "first").await, Ack::Stored);
        working.spawn(async move {
            for number in 0_u64.. {
                let code = format!("r{number}");
                assert_eq!(agent.deliver(running, &code).await, Ack::Stored);
            }
        });
    }
    // Others come and go.
    let customer = ana.clone();
    let order = orders::queued(orders::endless(orders::ping(&registered)));
    working.spawn(async move {
        loop {
            let id = customer.launch(&order).await;
            let _ = customer.cancel(id).await;
        }
    });
    let deadline = Instant::now() + LOOKED_WITHIN;
    let looking = async {
        let mut results = Vec::new();
        while results.len() < LOOKS {
            let found = diagnose(&hub, &[]).await;
            found.must_be_clean();
            let seen = found.report["looked_at"]["results"].as_u64();
            results.push(seen.expect("a number"));
        }
        assert!(
            results.last() > results.first(),
            "nobody works: {results:?}"
        );
    };
    select! {
        done = timeout_at(deadline, looking) => done.expect("looks in time"),
        ended = working.join_next() => panic!("work ended: {ended:?}"),
    }
    working.shutdown().await;
    diagnose(&hub, &[]).await.must_be_clean();
    hub.check().await;
}

//! What a probe finds when it connects.

use chrono::TimeDelta;
use futures::future::join_all;
use probe_protocol::{Kind, OperationId};

use super::fixture::{
    Hub, RUN_PRICE, agent, at, exactly, measured, nine_runs, noon, nothing, once, states,
};
use crate::{
    domain::{
        AssignmentState::{Accepted, Delivered, Expired, Finished, Pending},
        FIRST_GENERATION, Plan,
    },
    store::What,
};

/// Sessions of a probe that begin at the same time.
const HELLOS: u64 = 12;
/// Probes that connect at the same time: more than are settled in one transaction.
const TOGETHER: usize = 150;
/// Credits of whoever pays for an operation on each of them.
const RICH: i64 = 1000;

pub(super) async fn keeps_what_a_probe_says(hub: Hub) {
    let (_, probe) = hub.pair().await;
    let settled = hub
        .settle(probe, agent(70), exactly(&[]), at(1), 9)
        .await
        .unwrap();
    assert_eq!(settled, nothing(1));
    let kept = hub.probe(probe).await.unwrap().unwrap();
    assert_eq!(kept.last_seen, Some(at(1)));
    let agent = kept.agent.unwrap();
    assert_eq!(
        (agent.name.as_str(), agent.version.as_str()),
        ("pladmed-probe", "1.0")
    );
    assert_eq!(agent.capabilities, [Kind::Ping, Kind::Dns]);
    assert_eq!(agent.total_credits, 70);
}

pub(super) async fn numbers_its_sessions(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let other = hub.host(user).await;
    assert_eq!(hub.sessions(probe).await, 0);
    // Whatever the hubs' clocks say.
    for (number, minute) in [(1, 5), (2, 3), (3, 3)] {
        let settled = hub.settle(probe, agent(70), exactly(&[]), at(minute), 9);
        assert_eq!(settled.await.unwrap(), nothing(number));
        assert_eq!(hub.sessions(probe).await, number);
    }
    let hellos = (0..HELLOS).map(|_| {
        let hub = hub.clone();
        tokio::spawn(async move {
            let settled = hub.settle(probe, agent(70), exactly(&[]), at(6), 9);
            settled.await.unwrap().session
        })
    });
    let mut numbers: Vec<u64> = join_all(hellos)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (4..4 + HELLOS).collect::<Vec<_>>());
    assert_eq!(hub.sessions(other).await, 0);
}

pub(super) async fn accepts_what_it_holds(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let delivered = hub.opened(nine_runs(user), &[probe]).await;
    let pending = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(delivered, probe, at(4), What::Delivered).await;
    let held = [delivered, pending];
    let settled = hub
        .settle(probe, agent(70), exactly(&held), at(6), 9)
        .await
        .unwrap();
    assert_eq!(states(&settled.changed), [Accepted, Accepted]);
    assert_eq!((settled.offers, settled.cancel), (vec![], vec![]));
    // Whatever passed before the delivery is given back, where it is known when that was.
    assert_eq!(hub.assignment(delivered, probe).await.planned_runs, 5);
    assert_eq!(hub.assignment(pending, probe).await.planned_runs, 9);
    assert_eq!(hub.refunds(user).await, [4 * RUN_PRICE]);
    let again = hub
        .settle(probe, agent(70), exactly(&held), at(7), 9)
        .await
        .unwrap();
    assert_eq!(again, nothing(2));
    hub.check(&[user], &[probe], &held).await;
}

pub(super) async fn offers_again_what_it_lost(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let plan = nine_runs(user);
    let accepted = hub.opened(plan.clone(), &[probe]).await;
    hub.accept(accepted, probe, noon()).await;
    let settled = hub
        .settle(probe, agent(70), exactly(&[]), at(2), 9)
        .await
        .unwrap();
    assert_eq!(states(&settled.changed), [Pending]);
    assert!(!settled.changed[0].operation_ended);
    assert_eq!(settled.offers, [plan]);
    assert_eq!(hub.load(probe).await, RUN_PRICE);
    let pending = hub.pending(vec![probe], 9).await.unwrap();
    assert_eq!(pending.len(), 1);
    // Pending again, it expires as if it had never been delivered.
    let ended = hub.end_overdue(at(10), 9).await.unwrap();
    assert_eq!(states(&ended), [Expired]);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[accepted]).await;
}

pub(super) async fn ends_what_is_too_late(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let delivered = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(delivered, probe, at(1), What::Delivered).await;
    let accepted = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(accepted, probe, noon()).await;
    hub.report(accepted, probe, at(1), measured("a", at(1)))
        .await;
    let waiting = hub.opened(nine_runs(user), &[probe]).await;
    let settled = hub
        .settle(probe, agent(70), exactly(&[]), at(10), 9)
        .await
        .unwrap();
    let mut changed = states(&settled.changed);
    changed.sort_by_key(|state| state.as_str());
    assert_eq!(changed, [Expired, Finished]);
    assert!(settled.changed.iter().all(|change| change.operation_ended));
    // What nobody has sent and is over now is left to `end_overdue`.
    assert_eq!(settled.offers, []);
    assert_eq!(hub.state(waiting, probe).await, Pending);
    assert_eq!(hub.state(delivered, probe).await, Expired);
    assert_eq!(hub.assignment(accepted, probe).await.planned_runs, 9);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[delivered, accepted, waiting])
        .await;
}

pub(super) async fn cancels_what_is_not_wanted(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let cancelled = hub.opened(once(user), &[probe]).await;
    hub.cancel(cancelled, at(1)).await.unwrap();
    let refused = hub.opened(once(user), &[probe]).await;
    hub.report(refused, probe, at(1), What::Refused(String::new()))
        .await;
    let finished = hub.opened(once(user), &[probe]).await;
    hub.report(finished, probe, at(1), What::Finished).await;
    let of_others = hub.opened(once(user), &[hub.host(user).await]).await;
    let open = hub.opened(once(user), &[probe]).await;
    let unknown = OperationId::new();
    let held = [
        unknown, cancelled, finished, open, refused, of_others, unknown,
    ];
    let settled = hub
        .settle(probe, agent(70), exactly(&held), at(2), 9)
        .await
        .unwrap();
    assert_eq!(settled.cancel, [unknown, cancelled, refused, of_others]);
    assert_eq!(states(&settled.changed), [Accepted]);
}

pub(super) async fn offers_the_oldest_first(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let mut plans = Vec::new();
    // The order of creation is not the order of the identifiers.
    for minute in [3, 1, 2] {
        let plan = Plan {
            created_at: noon() + TimeDelta::seconds(minute),
            ..once(user)
        };
        hub.opened(plan.clone(), &[probe]).await;
        plans.push(plan);
    }
    plans.rotate_left(1);
    let settled = hub
        .settle(probe, agent(70), exactly(&[]), at(1), 2)
        .await
        .unwrap();
    assert_eq!(settled.offers, plans[..2]);
    assert_eq!(settled.changed, []);
    // An offer is not a delivery.
    let pending = hub.pending(vec![probe], 9).await.unwrap();
    let expected: Vec<_> = plans.iter().map(|plan| (probe, plan.clone())).collect();
    assert_eq!(pending, expected);
    hub.report(plans[0].id, probe, at(1), What::Delivered).await;
    assert_eq!(hub.state(plans[0].id, probe).await, Delivered);
    let pending = hub.pending(vec![probe], 1).await.unwrap();
    assert_eq!(pending, expected[1..2]);
}

pub(super) async fn refuses_a_deleted_probe(hub: Hub) {
    let (_, probe) = hub.pair().await;
    hub.delete_probe(probe, at(1)).await.unwrap();
    let held = OperationId::new();
    let held = exactly(&[held]);
    let settled = hub.settle_as(FIRST_GENERATION, probe, held, at(2));
    assert_eq!(settled.await, None);
}

pub(super) async fn does_nothing_for_an_old_token(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let open = hub.opened(once(user), &[probe]).await;
    let rotated = hub.rotate_token(probe).await.unwrap().unwrap();
    assert_eq!(rotated.token_generation, FIRST_GENERATION + 1);
    let comes = async |generation| {
        let settled = hub.settle_as(generation, probe, exactly(&[open]), at(1));
        settled.await.map(|it| it.session)
    };
    assert_eq!(comes(FIRST_GENERATION).await, None);
    assert_eq!(hub.state(open, probe).await, Pending);
    assert_eq!(comes(FIRST_GENERATION + 1).await, Some(1));
    assert_eq!(hub.state(open, probe).await, Accepted);
}

/// Many at once, some of them twice: each session has its number, and each probe what is its own.
pub(super) async fn keeps_apart_who_comes_together(hub: Hub) {
    let user = hub.somebody(RICH).await;
    let probes = hub.hosts(user, TOGETHER).await;
    let mut opened = Vec::new();
    for probe in &probes {
        opened.push(hub.opened(once(user), &[*probe]).await);
    }
    let twice = probes.iter().chain(&probes);
    let settled = twice.map(|&probe| hub.settle(probe, agent(70), exactly(&[]), at(1), 9));
    let settled = join_all(settled).await;
    let of_both = settled.chunks(TOGETHER).collect::<Vec<_>>();
    for (place, operation) in opened.iter().enumerate() {
        let both = [0, 1].map(|time| of_both[time][place].as_ref().unwrap());
        let mut numbers = both.map(|settled| settled.session);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        for settled in both {
            let offered: Vec<_> = settled.offers.iter().map(|plan| plan.id).collect();
            assert_eq!(offered, [*operation]);
        }
    }
}

//! Creating operations.

use chrono::TimeDelta;
use futures::future::join_all;
use probe_protocol::{OperationId, ProbeId};

use super::fixture::{Hub, RUN_PRICE, agent, at, exactly, nine_runs, noon, once, online};
use crate::{
    domain::{AssignmentState, Candidate, LeftOut, Offline, Plan, Refusal, credits::LedgerReason},
    store::Created,
};

pub(super) async fn charges_and_assigns(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let plan = nine_runs(user);
    let made = hub.try_open(plan.clone(), &[second, first]).await;
    let Ok(Created::New(opened)) = made.unwrap() else {
        panic!("was not opened")
    };
    let price = 2 * 9 * RUN_PRICE;
    assert_eq!(opened.operation.plan, plan);
    assert_eq!(
        (opened.operation.charged, opened.operation.refunded),
        (price, 0)
    );
    assert_eq!(opened.probes, [second, first]);
    assert_eq!(opened.left_out, []);
    assert_eq!(hub.kept(plan.id).await, opened.operation);
    let entry = hub.ledger(user, None, 1).await.unwrap().remove(0);
    assert_eq!((entry.amount, entry.balance), (-price, 1000 - price));
    assert_eq!(entry.reason, LedgerReason::Charge);
    assert_eq!((entry.operation, entry.probe), (Some(plan.id), None));
    let assignments = hub.assignments(plan.id).await.unwrap();
    let mut probes = [first, second];
    probes.sort();
    assert_eq!(
        assignments.iter().map(|it| it.probe).collect::<Vec<_>>(),
        probes
    );
    for it in assignments {
        assert_eq!((it.state, it.planned_runs), (AssignmentState::Pending, 9));
        assert_eq!((it.results, it.delivered_at, it.ended_at), (0, None, None));
    }
    hub.check(&[user], &probes, &[plan.id]).await;
    assert_eq!(hub.operation(OperationId::new()).await.unwrap(), None);
}

pub(super) async fn leaves_out_who_cannot(hub: Hub) {
    let (user, fits) = hub.pair().await;
    let (away, full, busy) = (
        hub.host(user).await,
        hub.host(user).await,
        hub.host(user).await,
    );
    let incapable = hub.host(user).await;
    hub.settle(full, agent(1), exactly(&[]), noon(), 9)
        .await
        .unwrap();
    hub.settle(busy, agent(3), exactly(&[]), noon(), 9)
        .await
        .unwrap();
    hub.opened(once(user), &[busy]).await;
    let mut deaf = agent(100);
    deaf.capabilities.clear();
    hub.settle(incapable, deaf, exactly(&[]), noon(), 9)
        .await
        .unwrap();
    let unknown = ProbeId::new();
    let mut candidates: Vec<_> = [fits, full, busy, incapable, unknown, fits]
        .map(online)
        .to_vec();
    candidates.push(Candidate {
        probe: away,
        connected: None,
    });
    let made = hub
        .open(once(user), candidates.clone(), None)
        .await
        .unwrap();
    let opened = made.unwrap().into_inner();
    assert_eq!(opened.probes, [fits]);
    let expected = [
        (full, LeftOut::Full),
        (busy, LeftOut::Full),
        (incapable, LeftOut::Incapable),
        (unknown, LeftOut::Unknown),
        (away, LeftOut::Offline),
    ];
    assert_eq!(opened.left_out, expected);
    assert_eq!(opened.operation.charged, RUN_PRICE);
    let patient = Plan {
        offline: Offline::Queue,
        ..once(user)
    };
    let made = hub.open(patient, candidates, None).await.unwrap();
    assert_eq!(made.unwrap().into_inner().probes, [fits, away]);
}

pub(super) async fn refuses_when_nobody_is_left(hub: Hub) {
    let user = hub.somebody(100).await;
    let (plan, unknown) = (once(user), ProbeId::new());
    let refused = hub.try_open(plan.clone(), &[unknown]).await.unwrap();
    let left_out = vec![(unknown, LeftOut::Unknown)];
    assert_eq!(refused, Err(Refusal::NoAvailableProbe(left_out)));
    let refused = hub.try_open(plan.clone(), &[]).await.unwrap();
    assert_eq!(refused, Err(Refusal::NoAvailableProbe(vec![])));
    assert_eq!(hub.operation(plan.id).await.unwrap(), None);
    assert_eq!(hub.balance(user).await, 100);
}

pub(super) async fn refuses_what_is_not_paid_for(hub: Hub) {
    let user = hub.somebody(9 * RUN_PRICE - 1).await;
    let probe = hub.host(user).await;
    let plan = nine_runs(user);
    let refused = hub.try_open(plan.clone(), &[probe]).await.unwrap();
    let (price, balance) = (9 * RUN_PRICE, 9 * RUN_PRICE - 1);
    assert_eq!(refused, Err(Refusal::NotEnoughCredits { price, balance }));
    assert_eq!(hub.operation(plan.id).await.unwrap(), None);
    assert_eq!(hub.assignments(plan.id).await.unwrap(), []);
    hub.check(&[user], &[probe], &[]).await;
    hub.grant(user, 1, at(1), None).await.unwrap();
    hub.opened(plan, &[probe]).await;
    assert_eq!(hub.balance(user).await, 0);
}

/// Probes of a large operation.
const MANY: usize = 10_000;

pub(super) async fn takes_thousands_of_probes(hub: Hub) {
    let user = hub.somebody(1_000_000).await;
    let probes = hub.hosts(user, MANY).await;
    let began = std::time::Instant::now();
    let operation = hub.opened(nine_runs(user), &probes).await;
    eprintln!("open, {MANY} probes: {:?}", began.elapsed());
    let began = std::time::Instant::now();
    let pending = hub.pending(probes.clone(), 10).await.unwrap();
    eprintln!("pending of {MANY} probes: {:?}", began.elapsed());
    assert_eq!(pending.len(), MANY);
    let began = std::time::Instant::now();
    let (kept, changes) = hub.cancel(operation, at(1)).await.unwrap().unwrap();
    eprintln!("cancel, {MANY} probes: {:?}", began.elapsed());
    assert_eq!(changes.len(), MANY);
    assert_eq!(changes.iter().filter(|it| it.operation_ended).count(), 1);
    assert_eq!(kept.refunded, kept.charged);
    hub.check(&[user], &probes[..9], &[operation]).await;
}

pub(super) async fn sells_no_credit_twice(hub: Hub) {
    let user = hub.somebody(50 * RUN_PRICE).await;
    let probe = hub.host(user).await;
    let tries = (0..200).map(|number| {
        let hub = hub.clone();
        tokio::spawn(async move {
            let plan = Plan {
                created_at: noon() + TimeDelta::milliseconds(number),
                ..once(user)
            };
            hub.try_open(plan, &[probe]).await.unwrap()
        })
    });
    let made: Vec<_> = join_all(tries)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 50);
    assert_eq!(hub.balance(user).await, 0);
    let operations: Vec<_> = made
        .into_iter()
        .flatten()
        .map(|made| made.into_inner().operation.plan.id)
        .collect();
    hub.check(&[user], &[probe], &operations).await;
}

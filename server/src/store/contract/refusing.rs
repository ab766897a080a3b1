//! What probes send in vain is counted on them.

use std::sync::Arc;

use probe_protocol::{OperationId, ProbeId, Rejection};

use super::fixture::{GRACE, Hub, at, brief, measured, nine_runs, noon, once};
use crate::store::{
    Report, Span,
    Verdict::{Duplicate, New, Noted, Rejected},
    What,
};

async fn refused(hub: &Hub, probe: ProbeId) -> u64 {
    hub.probe(probe).await.unwrap().unwrap().refused_results
}

pub(super) async fn counts_every_rejection(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let other = hub.host(user).await;
    assert_eq!(refused(&hub, probe).await, 0);
    let foreign = hub.opened(once(user), &[other]).await;
    let full = hub.opened(once(user), &[probe]).await;
    let sent = hub.send(full, probe, at(1), "a").await;
    assert_eq!(sent.verdict, New { seq: 1 });
    let running = hub.opened(nine_runs(user), &[probe]).await;
    let cancelled = hub.opened(nine_runs(user), &[probe]).await;
    hub.cancel(cancelled, at(1)).await.unwrap();
    let late = at(10) + GRACE + GRACE;
    let rejections = [
        (OperationId::new(), at(2), Rejection::UnknownOperation),
        (foreign, at(2), Rejection::NotAssigned),
        (full, at(2), Rejection::OverPlan),
        (running, late, Rejection::AfterStop),
        (cancelled, at(2), Rejection::Cancelled),
    ];
    for (count, (id, started, why)) in (1..).zip(rejections) {
        let sent = hub.send(id, probe, started, "b").await;
        assert_eq!(brief(&sent), (Rejected(why), None));
        assert_eq!(refused(&hub, probe).await, count, "{why:?}");
    }
    assert_eq!(refused(&hub, other).await, 0);
    // Every way to the probe shows it.
    let listed = hub.probes(None, Span::After(None), 9).await.unwrap();
    let found = listed.iter().find(|it| it.id == probe).unwrap();
    assert_eq!(found.refused_results, 5);
    let by_id = hub.probes_by_id(vec![probe]).await.unwrap();
    assert_eq!(by_id[0].refused_results, 5);
    let all = [foreign, full, running, cancelled];
    hub.check(&[user], &[probe, other], &all).await;
}

pub(super) async fn counts_what_is_unusable(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(once(user), &[probe]).await;
    let before = hub.assignment(id, probe).await;
    for (count, operation) in [id, OperationId::new()].into_iter().enumerate() {
        let outcome = hub.report(operation, probe, at(1), What::Unusable).await;
        assert_eq!(brief(&outcome), (Noted, None));
        assert_eq!(refused(&hub, probe).await, count as u64 + 1);
    }
    assert_eq!(hub.assignment(id, probe).await, before);
    // A probe that nobody knows has no count.
    let stranger = hub.report(id, ProbeId::new(), at(1), What::Unusable).await;
    assert_eq!(brief(&stranger), (Noted, None));
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn counts_nothing_else(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    for what in [What::Claimed, What::Claimed, What::Accepted] {
        hub.report(id, probe, noon(), what).await;
    }
    assert_eq!(
        hub.send(id, probe, at(1), "a").await.verdict,
        New { seq: 1 }
    );
    for _ in 0..3 {
        assert_eq!(hub.send(id, probe, at(1), "a").await.verdict, Duplicate);
    }
    let refusal = What::Refused("no".to_owned());
    for what in [What::Finished, What::Finished, What::Delivered, refusal] {
        hub.report(id, probe, at(2), what).await;
    }
    // What is stored is a repeat, also after it has ended.
    assert_eq!(hub.send(id, probe, at(1), "a").await.verdict, Duplicate);
    assert_eq!(refused(&hub, probe).await, 0);
}

pub(super) async fn counts_each_of_a_batch(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(once(user), &[probe]).await;
    let report = |what| Report {
        probe,
        operation: id,
        session: 0,
        at: at(1),
        what,
    };
    let sent = |code| report(measured(code, at(1)));
    let batch = vec![
        report(What::Unusable),
        sent("a"),
        sent("a"),
        sent("b"),
        report(What::Unusable),
        sent("c"),
    ];
    let outcomes = hub.record(Arc::new(batch)).await.unwrap();
    let verdicts: Vec<_> = outcomes.iter().map(|it| it.verdict).collect();
    let over = Rejected(Rejection::OverPlan);
    assert_eq!(
        verdicts,
        [Noted, New { seq: 1 }, Duplicate, over, Noted, over]
    );
    assert_eq!(refused(&hub, probe).await, 4);
    hub.check(&[user], &[probe], &[id]).await;
}

//! Reports of states.

use probe_protocol::{OperationId, ProbeId};

use super::fixture::{Hub, RUN_PRICE, agent, at, brief, exactly, nine_runs, noon, once};
use crate::{
    domain::AssignmentState::{Accepted, Cancelled, Delivered, Finished, Refused},
    store::{Verdict::Noted, What},
};

pub(super) async fn follows_the_states(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let other = hub.host(user).await;
    let id = hub.opened(once(user), &[probe, other]).await;
    let delivered = hub.report(id, probe, at(1), What::Delivered).await;
    assert_eq!(brief(&delivered), (Noted, Some(Delivered)));
    let change = delivered.changed.unwrap();
    assert_eq!((change.operation, change.probe), (id, probe));
    let accepted = hub.report(id, probe, at(2), What::Accepted).await;
    assert_eq!(brief(&accepted), (Noted, Some(Accepted)));
    let finished = hub.report(id, probe, at(3), What::Finished).await;
    assert_eq!(brief(&finished), (Noted, Some(Finished)));
    assert!(!finished.changed.unwrap().operation_ended);
    let it = hub.assignment(id, probe).await;
    assert_eq!(it.delivered_at, Some(at(1)));
    assert_eq!(it.accepted_at, Some(at(2)));
    assert_eq!(it.ended_at, Some(at(3)));
    assert_eq!(
        (hub.load(probe).await, hub.load(other).await),
        (0, RUN_PRICE)
    );
    assert_eq!(hub.kept(id).await.ended_at, None);
    let last = hub.report(id, other, at(4), What::Finished).await;
    assert!(last.changed.unwrap().operation_ended);
    assert_eq!(hub.kept(id).await.ended_at, Some(at(4)));
    // Whoever says that it is done is paid for what was planned.
    assert_eq!(hub.refunds(user).await, [0; 0]);
    hub.check(&[user], &[probe, other], &[id]).await;
}

pub(super) async fn accepts_what_lies_ahead(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, at(4)).await;
    let it = hub.assignment(id, probe).await;
    assert_eq!((it.state, it.planned_runs), (Accepted, 5));
    assert_eq!(hub.refunds(user).await, [4 * RUN_PRICE]);
    assert_eq!(hub.kept(id).await.refunded, 4 * RUN_PRICE);
    let entry = hub.ledger(user, None, 1).await.unwrap().remove(0);
    assert_eq!((entry.operation, entry.probe), (Some(id), Some(probe)));
    hub.check(&[user], &[probe], &[id]).await;
    // Once is once, whenever it arrives.
    let single = hub.opened(once(user), &[probe]).await;
    hub.accept(single, probe, at(60)).await;
    assert_eq!(hub.assignment(single, probe).await.planned_runs, 1);
}

pub(super) async fn gives_back_what_is_refused(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(id, probe, noon(), What::Delivered).await;
    let refuse = || What::Refused("x".repeat(5000));
    let refused = hub.report(id, probe, at(1), refuse()).await;
    assert_eq!(brief(&refused), (Noted, Some(Refused)));
    assert!(refused.changed.unwrap().operation_ended);
    let it = hub.assignment(id, probe).await;
    assert_eq!(it.planned_runs, 0);
    assert_eq!(it.reason.unwrap().len(), 500);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE]);
    // What has a result by then stays paid.
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, noon()).await;
    hub.send(id, probe, at(1), "a").await;
    hub.report(id, probe, at(2), refuse()).await;
    assert_eq!(hub.assignment(id, probe).await.planned_runs, 1);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE, 8 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn finishes_what_ends(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(id, probe, at(4), What::Delivered).await;
    // The acceptance was lost: what it would have given back is given back now.
    let finished = hub.report(id, probe, at(10), What::Finished).await;
    assert_eq!(brief(&finished), (Noted, Some(Finished)));
    let it = hub.assignment(id, probe).await;
    assert_eq!((it.planned_runs, it.accepted_at), (5, Some(at(10))));
    assert_eq!(hub.refunds(user).await, [4 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn notes_what_does_not_fit(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(once(user), &[probe]).await;
    let everything = || {
        let refused = What::Refused("no".to_owned());
        [What::Delivered, What::Accepted, refused, What::Finished]
    };
    for what in everything() {
        let unknown = hub.report(OperationId::new(), probe, at(1), what.clone());
        assert_eq!(brief(&unknown.await), (Noted, None));
        let stranger = hub.report(id, ProbeId::new(), at(1), what);
        assert_eq!(brief(&stranger.await), (Noted, None));
    }
    hub.accept(id, probe, at(1)).await;
    for what in [What::Delivered, What::Accepted] {
        assert_eq!(
            brief(&hub.report(id, probe, at(2), what).await),
            (Noted, None)
        );
    }
    let accepted = hub.assignment(id, probe).await;
    assert_eq!(accepted.accepted_at, Some(at(1)));
    hub.cancel(id, at(3)).await.unwrap();
    let cancelled = hub.assignment(id, probe).await;
    for what in everything() {
        assert_eq!(
            brief(&hub.report(id, probe, at(4), what).await),
            (Noted, None)
        );
    }
    assert_eq!(cancelled.state, Cancelled);
    assert_eq!(hub.assignment(id, probe).await, cancelled);
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn delivers_again_after_a_loss(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, noon()).await;
    hub.send(id, probe, at(1), "a").await;
    hub.settle(probe, agent(99), exactly(&[]), at(5), 9)
        .await
        .unwrap();
    let lost = hub.assignment(id, probe).await;
    assert_eq!((lost.delivered_at, lost.accepted_at), (None, None));
    hub.accept(id, probe, at(6)).await;
    let it = hub.assignment(id, probe).await;
    assert_eq!(it.delivered_at, Some(at(6)));
    // One result, and minutes 7 to 9.
    assert_eq!((it.results, it.planned_runs), (1, 4));
    assert_eq!(hub.refunds(user).await, [5 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[id]).await;
}

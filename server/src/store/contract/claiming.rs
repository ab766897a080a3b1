//! Operations that leave for a probe which must never get them twice: a claim is granted once.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::{join, join_all};
use probe_protocol::{OperationId, ProbeId};

use super::fixture::{Hub, agent, at, brief, exactly, nine_runs, noon, once, states};
use crate::{
    domain::{
        AssignmentState::{Accepted, Cancelled, Delivered, Expired, Finished, Pending, Refused},
        Holdings,
    },
    store::{Report, Verdict::Noted, What},
};

/// Times that two things are tried at the same time.
const ROUNDS: u64 = 16;

pub(super) async fn is_granted_once(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let other = hub.host(user).await;
    let id = hub.opened(nine_runs(user), &[probe, other]).await;
    let first = hub.report(id, probe, at(1), What::Claimed).await;
    assert_eq!(brief(&first), (Noted, Some(Delivered)));
    let change = first.changed.unwrap();
    assert_eq!((change.operation, change.probe), (id, probe));
    assert!(!change.operation_ended);
    let claimed = hub.assignment(id, probe).await;
    assert_eq!(claimed.delivered_at, Some(at(1)));
    let again = hub.report(id, probe, at(2), What::Claimed).await;
    assert_eq!(brief(&again), (Noted, None));
    assert_eq!(hub.assignment(id, probe).await, claimed);
    // Each probe has its own.
    let others = hub.report(id, other, at(2), What::Claimed).await;
    assert_eq!(brief(&others), (Noted, Some(Delivered)));
    assert_eq!(hub.pending(vec![probe, other], 9).await.unwrap(), []);
    hub.check(&[user], &[probe, other], &[id]).await;
}

pub(super) async fn is_granted_once_in_a_batch(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let ids = [
        hub.opened(once(user), &[probe]).await,
        hub.opened(once(user), &[probe]).await,
    ];
    let claims = [0, 1, 0, 1].map(|index: usize| Report {
        probe,
        operation: ids[index],
        session: 0,
        at: at(1),
        what: What::Claimed,
    });
    let outcomes = hub.record(Arc::new(claims.to_vec())).await.unwrap();
    let granted: Vec<_> = outcomes.iter().map(|it| brief(it).1).collect();
    assert_eq!(granted, [Some(Delivered), Some(Delivered), None, None]);
}

pub(super) async fn is_granted_to_one_of_many(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(once(user), &[probe]).await;
    let claims = (0..50).map(|_| {
        let hub = hub.clone();
        tokio::spawn(async move { hub.report(id, probe, at(1), What::Claimed).await })
    });
    let outcomes = join_all(claims).await;
    let granted = outcomes
        .into_iter()
        .filter(|it| it.as_ref().unwrap().changed.is_some());
    assert_eq!(granted.count(), 1);
}

pub(super) async fn is_not_granted_of_what_is_not_pending(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let open = async || hub.opened(nine_runs(user), &[probe]).await;
    let delivered = open().await;
    hub.report(delivered, probe, at(1), What::Delivered).await;
    let accepted = open().await;
    hub.accept(accepted, probe, at(1)).await;
    let finished = open().await;
    hub.report(finished, probe, at(1), What::Finished).await;
    let refused = open().await;
    let no = What::Refused("no".to_owned());
    hub.report(refused, probe, at(1), no).await;
    let cancelled = open().await;
    hub.cancel(cancelled, at(1)).await.unwrap();
    let expired = open().await;
    assert_eq!(
        states(&hub.end_overdue(at(10), 1).await.unwrap()),
        [Expired]
    );
    let all = [
        (delivered, Delivered),
        (accepted, Accepted),
        (finished, Finished),
        (refused, Refused),
        (cancelled, Cancelled),
        (expired, Expired),
    ];
    for (id, state) in all {
        let before = hub.assignment(id, probe).await;
        assert_eq!(before.state, state);
        let claim = hub.report(id, probe, at(2), What::Claimed).await;
        assert_eq!(brief(&claim), (Noted, None), "{state:?}");
        assert_eq!(hub.assignment(id, probe).await, before);
    }
    let unknown = hub.report(OperationId::new(), probe, at(2), What::Claimed);
    assert_eq!(brief(&unknown.await), (Noted, None));
    let waits = open().await;
    let stranger = hub.report(waits, ProbeId::new(), at(2), What::Claimed);
    assert_eq!(brief(&stranger.await), (Noted, None));
    let ids: Vec<_> = all.iter().map(|(id, _)| *id).chain([waits]).collect();
    hub.check(&[user], &[probe], &ids).await;
}

/// What leaves when its time is over could only be paid for.
pub(super) async fn is_not_granted_too_late(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let just = TimeDelta::milliseconds(1);
    let late = hub.opened(nine_runs(user), &[probe]).await;
    let claim = hub.report(late, probe, at(10), What::Claimed).await;
    assert_eq!(brief(&claim), (Noted, None));
    assert_eq!(hub.state(late, probe).await, Pending);
    let in_time = hub.opened(nine_runs(user), &[probe]).await;
    let claim = hub.report(in_time, probe, at(10) - just, What::Claimed);
    assert_eq!(brief(&claim.await), (Noted, Some(Delivered)));
    assert_eq!(
        states(&hub.end_overdue(at(10), 9).await.unwrap()),
        [Expired]
    );
    hub.check(&[user], &[probe], &[late, in_time]).await;
}

/// What an older session claims after the newest was told what is pending would never leave. Hubs have clocks of their
/// own: when a claim arrives says nothing.
pub(super) async fn is_granted_to_the_newest_session(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let claim = |session, minute| hub.report_of(session, id, probe, at(minute), What::Claimed);
    for session in [1, 2] {
        let settled = hub.settle(probe, agent(70), nothing_held(2), at(2), 9);
        assert_eq!(settled.await.unwrap().session, session);
    }
    for (session, minute) in [(0, 2), (1, 3), (3, 3), (u64::MAX, 2)] {
        let other = claim(session, minute).await;
        assert_eq!(brief(&other), (Noted, None), "{session}");
    }
    assert_eq!(hub.state(id, probe).await, Pending);
    let newest = claim(2, 1).await;
    assert_eq!(brief(&newest), (Noted, Some(Delivered)));
    hub.check(&[user], &[probe], &[id]).await;
}

/// One after the other, whichever is first: a claim of an older session and a hello at the same time.
pub(super) async fn is_not_granted_beside_a_hello(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let (mut granted, mut offered) = (0, 0);
    for round in 0..ROUNDS {
        let id = hub.opened(nine_runs(user), &[probe]).await;
        let claim = hub.report_of(round, id, probe, at(1), What::Claimed);
        let hello = hub.settle(probe, agent(70), exactly(&[]), at(1), 9);
        let (claim, settled) = join(claim, hello).await;
        let settled = settled.unwrap();
        assert_eq!(settled.session, round + 1);
        // It was granted before the hello, which then took it back, or not at all; offered again in any case.
        let took_back = states(&settled.changed) == [Pending];
        assert_eq!(claim.changed.is_some(), took_back, "{round}");
        assert_eq!(settled.offers.len(), 1, "{round}");
        granted += usize::from(took_back);
        offered += settled.offers.len();
        hub.cancel(id, at(1)).await.unwrap();
    }
    eprintln!("claims beside a hello: {granted} of {offered} were granted first");
}

/// What an agent says that holds nothing, so many minutes after noon.
fn nothing_held(minute: i64) -> Holdings {
    Holdings::Worth {
        credits: 0,
        said_at: at(minute),
    }
}

pub(super) async fn is_granted_anew_after_a_loss(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(id, probe, noon(), What::Claimed).await;
    let nothing = nothing_held(1);
    hub.settle(probe, agent(70), nothing, at(1), 9)
        .await
        .unwrap();
    let again = hub.report(id, probe, at(4), What::Claimed).await;
    assert_eq!(brief(&again), (Noted, Some(Delivered)));
    let accepted = hub.report(id, probe, at(4), What::Accepted).await;
    assert_eq!(brief(&accepted), (Noted, Some(Accepted)));
    assert_eq!(hub.assignment(id, probe).await.planned_runs, 5);
    hub.check(&[user], &[probe], &[id]).await;
}

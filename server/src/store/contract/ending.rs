//! Cancelling, and what only time ends.

use chrono::TimeDelta;
use probe_protocol::OperationId;

use super::fixture::{GRACE, Hub, RUN_PRICE, at, nine_runs, noon, once, states};
use crate::{
    domain::AssignmentState::{Accepted, Cancelled, Delivered, Expired, Finished, Pending},
    store::What,
};

pub(super) async fn cancels_and_gives_back(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let id = hub.opened(nine_runs(user), &[first, second]).await;
    hub.report(id, second, at(1), What::Delivered).await;
    let (operation, changes) = hub.cancel(id, at(4)).await.unwrap().unwrap();
    assert_eq!(states(&changes), [Cancelled, Cancelled]);
    assert_eq!(operation.cancelled_at, Some(at(4)));
    assert_eq!(operation.ended_at, Some(at(4)));
    assert_eq!(operation.refunded, operation.charged);
    assert_eq!(hub.kept(id).await, operation);
    assert_eq!(hub.balance(user).await, 1000);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE; 2]);
    assert_eq!(hub.pending(vec![first, second], 9).await.unwrap(), []);
    hub.check(&[user], &[first, second], &[id]).await;
}

pub(super) async fn keeps_paid_what_may_have_run(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let running = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(running, probe, noon()).await;
    hub.send(running, probe, at(1), "a").await;
    hub.cancel(running, at(4)).await.unwrap();
    let it = hub.assignment(running, probe).await;
    assert_eq!((it.state, it.planned_runs, it.results), (Cancelled, 4, 1));
    assert_eq!(hub.refunds(user).await, [5 * RUN_PRICE]);
    let single = hub.opened(once(user), &[probe]).await;
    hub.accept(single, probe, noon()).await;
    hub.cancel(single, at(4)).await.unwrap();
    assert_eq!(hub.assignment(single, probe).await.planned_runs, 1);
    hub.check(&[user], &[probe], &[running, single]).await;
}

pub(super) async fn cancels_once(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let (first, _) = hub.cancel(id, at(1)).await.unwrap().unwrap();
    let (again, changes) = hub.cancel(id, at(2)).await.unwrap().unwrap();
    assert_eq!((again, changes), (first, vec![]));
    assert_eq!(hub.balance(user).await, 1000);
    assert_eq!(hub.cancel(OperationId::new(), at(1)).await.unwrap(), None);
}

pub(super) async fn leaves_alone_what_has_ended(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(once(user), &[probe]).await;
    hub.send(id, probe, at(1), "a").await;
    let before = hub.kept(id).await;
    let (after, changes) = hub.cancel(id, at(2)).await.unwrap().unwrap();
    assert_eq!((after, changes), (before, vec![]));
    assert_eq!(hub.state(id, probe).await, Finished);
}

pub(super) async fn expires_what_nobody_took(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let pending = hub.opened(nine_runs(user), &[probe]).await;
    let delivered = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(delivered, probe, at(1), What::Delivered).await;
    let just = TimeDelta::milliseconds(1);
    assert_eq!(hub.end_overdue(at(10) - just, 9).await.unwrap(), []);
    let ended = hub.end_overdue(at(10), 9).await.unwrap();
    assert_eq!((ended.len(), ended[0].operation), (1, pending));
    assert_eq!((ended[0].state, ended[0].operation_ended), (Expired, true));
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE]);
    // The probe may hold this one and be cut off.
    let week = at(10) + TimeDelta::days(7);
    assert_eq!(hub.end_overdue(week - just, 9).await.unwrap(), []);
    assert_eq!(hub.state(delivered, probe).await, Delivered);
    let ended = hub.end_overdue(week, 9).await.unwrap();
    assert_eq!(states(&ended), [Expired]);
    assert_eq!(hub.balance(user).await, 1000);
    assert_eq!(hub.end_overdue(week, 9).await.unwrap(), []);
    hub.check(&[user], &[probe], &[pending, delivered]).await;
}

pub(super) async fn finishes_what_ran_its_time(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, noon()).await;
    hub.send(id, probe, at(1), "a").await;
    let end = at(10) + GRACE;
    let just = TimeDelta::milliseconds(1);
    assert_eq!(hub.end_overdue(end - just, 9).await.unwrap(), []);
    assert_eq!(hub.state(id, probe).await, Accepted);
    assert_eq!(states(&hub.end_overdue(end, 9).await.unwrap()), [Finished]);
    assert_eq!(hub.refunds(user).await, [0; 0]);
    // Its spool may come later and still counts.
    let late = super::fixture::measured("b", at(2));
    hub.report(id, probe, at(3000), late).await;
    assert_eq!(hub.kept(id).await.last_seq, 2);
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn ends_a_few_at_a_time(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(hub.opened(nine_runs(user), &[probe]).await);
    }
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(hub.end_overdue(at(11), 2).await.unwrap().len());
    }
    assert_eq!(counts, [2, 2, 1, 0]);
    let open = hub.opened(once(user), &[probe]).await;
    assert_eq!(hub.state(open, probe).await, Pending);
    assert_eq!(hub.balance(user).await, 1000 - RUN_PRICE);
    ids.push(open);
    hub.check(&[user], &[probe], &ids).await;
}

//! Leases, as far as every store has them: one that only one hub can open grants them all to it.

use std::time::Duration;

use super::fixture::{Hub, at, key, new_probe, noon, once};
use crate::{
    domain::AssignmentState::Pending,
    store::{Created, Lease, StoreError, Work},
};

/// Longer than any subject.
const LONG: Duration = Duration::from_secs(600);

async fn take(hub: &Hub, work: Work) -> Lease {
    hub.lease(work, "one", LONG).await.unwrap().unwrap()
}

pub(super) async fn is_renewed(hub: Hub) {
    for work in [
        Work::EndOverdue,
        Work::ForgetKeys,
        Work::ForgetResults,
        Work::Diagnose,
    ] {
        let lease = take(&hub, work).await;
        assert_eq!((lease.work, &*lease.holder, lease.fence), (work, "one", 1));
        assert_eq!(take(&hub, work).await, lease);
    }
}

pub(super) async fn is_given_up(hub: Hub) {
    let lease = take(&hub, Work::EndOverdue).await;
    for _ in 0..2 {
        hub.release(&lease).await.unwrap();
    }
    let two = hub.lease(Work::EndOverdue, "two", LONG).await.unwrap();
    assert_eq!(&*two.unwrap().holder, "two");
}

pub(super) async fn is_for_one_work(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let overdue = hub.opened(once(user), &[probe]).await;
    let make = || hub.create_probe(new_probe(user), key(user, "k", "f"));
    make().await.unwrap();
    let end = take(&hub, Work::EndOverdue).await;
    let forget = take(&hub, Work::ForgetKeys).await;
    let late = at(1_000_000);
    let port = hub.port();
    let ended = port.end_overdue(&forget, late, 9).await;
    assert!(matches!(ended, Err(StoreError::LeaseLost)), "{ended:?}");
    assert_eq!(hub.state(overdue, probe).await, Pending);
    let forgotten = port.forget_keys(&end, late).await;
    assert!(matches!(forgotten, Err(StoreError::LeaseLost)));
    assert!(matches!(make().await.unwrap(), Created::Before(_)));
    let forgotten = port.forget_results(&end, late, 9).await;
    assert!(matches!(forgotten, Err(StoreError::LeaseLost)));
    assert_eq!(port.end_overdue(&end, noon(), 9).await.unwrap(), []);
    assert_eq!(port.end_overdue(&end, late, 9).await.unwrap().len(), 1);
    port.forget_keys(&forget, late).await.unwrap();
    assert!(matches!(make().await.unwrap(), Created::New(_)));
}

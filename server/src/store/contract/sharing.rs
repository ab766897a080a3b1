//! Leases among hubs that share a store. Time is the store's, so subjects wait for it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;

use super::fixture::{Hub, at, key, new_probe, once};
use crate::{
    domain::AssignmentState::{Expired, Pending},
    store::{Created, Lease, StoreError, Stored, Work},
};

/// Longer than any subject.
const LONG: Duration = Duration::from_secs(600);
/// A lease that is soon over.
const SHORT: Duration = Duration::from_millis(300);
/// Longest a subject waits.
const SOON: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Hubs that ask for the same lease at the same time, and times that they do.
const TAKERS: usize = 16;
const ROUNDS: u64 = 4;

async fn ask(hub: &Hub, work: Work, holder: &str, length: Duration) -> Option<Lease> {
    hub.lease(work, holder, length).await.unwrap()
}

/// Takes a lease as soon as the time of its former holder is over.
async fn take_over(hub: &Hub, work: Work, holder: &str) -> Lease {
    let began = Instant::now();
    loop {
        if let Some(lease) = ask(hub, work, holder, LONG).await {
            return lease;
        }
        assert!(began.elapsed() < SOON, "not within {SOON:?}");
        sleep(LOOK_EVERY).await;
    }
}

fn is_lost<T>(done: Stored<T>) -> bool {
    matches!(done, Err(StoreError::LeaseLost))
}

pub(super) async fn gives_a_lease_to_one(one: Hub, two: Hub) {
    let work = Work::EndOverdue;
    // However hubs are called.
    let lease = ask(&one, work, "$fence", LONG).await.unwrap();
    assert_eq!((&*lease.holder, lease.fence), ("$fence", 1));
    assert_eq!(ask(&two, work, "two", LONG).await, None);
    assert_eq!(ask(&one, work, "$fence", LONG).await, Some(lease.clone()));
    assert_eq!(ask(&two, work, "two", LONG).await, None);
    // Every work has its own.
    let other = ask(&two, Work::ForgetKeys, "two", LONG).await;
    assert_eq!(other.unwrap().fence, 1);
    // It does not end with everything else.
    two.delete_all().await.unwrap();
    assert_eq!(ask(&two, work, "two", LONG).await, None);
    assert_eq!(one.port().end_overdue(&lease, at(1), 9).await.unwrap(), []);
}

pub(super) async fn takes_a_lease_from_who_is_silent(one: Hub, two: Hub) {
    let work = Work::EndOverdue;
    let lost = ask(&one, work, "one", SHORT).await.unwrap();
    let taken = take_over(&two, work, "two").await;
    assert_eq!((&*taken.holder, taken.fence), ("two", lost.fence + 1));
    assert_eq!(ask(&one, work, "one", SHORT).await, None);
    assert_eq!(ask(&two, work, "two", LONG).await, Some(taken));
}

/// It may have stood still for so long that it does not know.
pub(super) async fn refuses_the_former_holder(one: Hub, two: Hub) {
    let (user, probe) = one.pair().await;
    let overdue = one.opened(once(user), &[probe]).await;
    let make = || one.create_probe(new_probe(user), key(user, "k", "f"));
    make().await.unwrap();
    let late = at(1_000_000);
    let works = [Work::EndOverdue, Work::ForgetKeys];
    let [old_end, old_forget] =
        works.map(async |work| ask(&one, work, "one", SHORT).await.unwrap());
    let (old_end, old_forget) = (old_end.await, old_forget.await);
    let end = take_over(&two, Work::EndOverdue, "two").await;
    let forget = take_over(&two, Work::ForgetKeys, "two").await;
    assert!(is_lost(one.port().end_overdue(&old_end, late, 9).await));
    assert_eq!(one.state(overdue, probe).await, Pending);
    assert_eq!(one.refunds(user).await, [0; 0]);
    assert!(is_lost(one.port().forget_keys(&old_forget, late).await));
    assert!(matches!(make().await.unwrap(), Created::Before(_)));
    // Nor can it give up what is not its own.
    one.release(&old_end).await.unwrap();
    assert_eq!(ask(&one, Work::EndOverdue, "one", LONG).await, None);
    let ended = two.port().end_overdue(&end, late, 9).await.unwrap();
    assert_eq!((ended.len(), ended[0].state), (1, Expired));
    two.port().forget_keys(&forget, late).await.unwrap();
    assert!(matches!(make().await.unwrap(), Created::New(_)));
}

pub(super) async fn hands_over_what_is_given_up(one: Hub, two: Hub) {
    let work = Work::EndOverdue;
    let (user, probe) = one.pair().await;
    let overdue = one.opened(once(user), &[probe]).await;
    let first = ask(&one, work, "one", LONG).await.unwrap();
    one.release(&first).await.unwrap();
    let late = at(1_000_000);
    assert!(is_lost(one.port().end_overdue(&first, late, 9).await));
    let second = ask(&two, work, "two", LONG).await.unwrap();
    two.release(&second).await.unwrap();
    let third = ask(&one, work, "one", LONG).await.unwrap();
    assert_eq!([first.fence, second.fence, third.fence], [1, 2, 3]);
    // The same hub, but what it began before is not what it may do now.
    assert!(is_lost(one.port().end_overdue(&first, late, 9).await));
    assert_eq!(one.state(overdue, probe).await, Pending);
    one.release(&first).await.unwrap();
    assert_eq!(ask(&two, work, "two", LONG).await, None);
}

pub(super) async fn grants_a_lease_to_one_of_many(one: Hub, two: Hub) {
    for round in 1..=ROUNDS {
        let takers = (0..TAKERS).map(|taker| {
            let hub = if taker % 2 == 0 { &one } else { &two }.clone();
            let holder = format!("{round}.{taker}");
            tokio::spawn(async move { ask(&hub, Work::EndOverdue, &holder, LONG).await })
        });
        let granted = join_all(takers).await.into_iter();
        let granted: Vec<Lease> = granted.filter_map(Result::unwrap).collect();
        assert_eq!(granted.len(), 1, "{granted:?}");
        assert_eq!(granted[0].fence, round);
        one.release(&granted[0]).await.unwrap();
    }
}

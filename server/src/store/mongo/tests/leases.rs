//! What stands behind leases. What they are for is in `store::contract::sharing`.

use std::{sync::Arc, time::Duration};

use bson::{DateTime as Date, Document, doc};
use services::mongod;
use tokio::{
    join,
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{super::leases, MongoStore, ResultLife, place};
use crate::store::{Lease, Stamp, StoreError, UpkeepStore, Work};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// A lease that is soon over.
const SHORT: Duration = Duration::from_millis(300);
/// Longest a test waits, and how often it looks.
const SOON: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// More attempts than a transaction makes until its deadline.
const ATTEMPTS: usize = 100_000;

const WORK: Work = Work::EndOverdue;

async fn store() -> MongoStore {
    let place = place(mongod::shared().await);
    let store = MongoStore::open(&place, ResultLife::Endless, Stamp::Any).await;
    store.unwrap()
}

/// Asks until the answer fits.
async fn eventually(store: &MongoStore, holder: &str, fits: impl AsyncFn(Option<Lease>) -> bool) {
    let began = Instant::now();
    while !fits(store.lease(WORK, holder, LONG).await.unwrap()).await {
        assert!(began.elapsed() < SOON, "not within {SOON:?}");
        sleep(LOOK_EVERY).await;
    }
}

/// When the lease may be taken by another.
async fn until(store: &MongoStore) -> Date {
    let leases = store.kept.leases.clone_with_type::<Document>();
    let found = leases.find_one(doc! { "_id": WORK.as_str() }).await;
    *found.unwrap().unwrap().get_datetime("until").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "skipped: needs mongod; make test runs it where there is one"]
async fn a_lease_lasts_from_its_last_renewal() {
    let store = store().await;
    store.lease(WORK, "one", LONG).await.unwrap().unwrap();
    let first = until(&store).await;
    let is_later = async |lease: Option<Lease>| lease.is_some() && until(&store).await > first;
    eventually(&store, "one", is_later).await;
    let renewed = until(&store).await;
    assert_eq!(store.lease(WORK, "two", 2 * LONG).await.unwrap(), None);
    assert_eq!(until(&store).await, renewed);
}

/// The former holder's transaction began when it had the lease, and sees the database as it was then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "skipped: needs mongod; make test runs it where there is one"]
async fn work_that_began_before_a_change_of_holder_is_refused() {
    let store = store().await;
    let lease = store.lease(WORK, "one", SHORT).await.unwrap().unwrap();
    let (begun, taken) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let wait = (begun.clone(), taken.clone());
    let work = store.write(move |tx| {
        let ((begun, taken), lease) = (wait.clone(), lease.clone());
        Box::pin(async move {
            let leases = tx.kept.leases.clone();
            let seen = tx.one(&leases, doc! { "_id": WORK.as_str() }).await?;
            begun.add_permits(1);
            drop(taken.acquire().await);
            leases::hold(tx, &lease).await?;
            Ok(seen.is_some())
        })
    });
    let change = async {
        drop(begun.acquire().await);
        eventually(&store, "two", async |lease| lease.is_some()).await;
        taken.add_permits(ATTEMPTS);
    };
    let (done, ()) = join!(work, change);
    assert!(matches!(done, Err(StoreError::LeaseLost)), "{done:?}");
    // It saw the lease as its own, was in conflict, and began anew.
    assert_eq!(begun.available_permits(), 2);
}

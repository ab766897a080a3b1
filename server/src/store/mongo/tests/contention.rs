//! Work that others are in the way of.

use std::time::Duration;

use bson::doc;
use chrono::Utc;
use mongodb::ClientSession;
use probe_protocol::UserId;
use services::mongod;
use tokio::time::{Instant, sleep};

use super::{MongoStore, ResultLife, place};
use crate::store::{NewUser, Stamp, StoreError, Stored, UserStore};

/// How long somebody else keeps what is wanted: longer than work that can be divided waits.
const KEPT_FOR: Duration = Duration::from_secs(4);

async fn store_with_a_user() -> (MongoStore, UserId) {
    let place = place(mongod::shared().await);
    let store = MongoStore::open(&place, ResultLife::Endless, Stamp::Any)
        .await
        .unwrap();
    let user = NewUser {
        email: "ana@example.org".into(),
        password_hash: "x".into(),
        is_superuser: false,
        created_at: Utc::now(),
    };
    let id = store.create_user(user).await.unwrap().id;
    (store, id)
}

/// A transaction of somebody else that has changed the user.
async fn in_the_way(store: &MongoStore, user: UserId) -> ClientSession {
    // Of another program: what a hub leaves behind would be ended.
    let client = mongod::shared().await.client().await;
    let users = client
        .database(store.kept.database.name())
        .collection::<bson::Document>("users");
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let change = doc! { "$set": { "turn": "mine" } };
    let one = doc! { "_id": user.object_id() };
    let changed = users.update_one(one, change).session(&mut session).await;
    assert_eq!(changed.unwrap().modified_count, 1);
    session
}

async fn hold(store: &MongoStore, user: UserId, is_many: bool) -> Stored<()> {
    let work = store.write_parts(is_many, move |tx| {
        Box::pin(async move { tx.hold(user).await })
    });
    work.await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "skipped: needs mongod; make test runs it where there is one"]
async fn is_told_where_less_at_once_may_help() {
    let (store, user) = store_with_a_user().await;
    let mut other = in_the_way(&store, user).await;
    let began = Instant::now();
    let contended = hold(&store, user, true).await;
    assert!(
        matches!(contended, Err(StoreError::Contended)),
        "{contended:?}"
    );
    assert!(began.elapsed() < KEPT_FOR, "{:?}", began.elapsed());
    other.abort_transaction().await.unwrap();
    hold(&store, user, true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "skipped: needs mongod; make test runs it where there is one"]
async fn is_waited_out_where_nothing_can_be_divided() {
    let (store, user) = store_with_a_user().await;
    let mut other = in_the_way(&store, user).await;
    let began = Instant::now();
    let end = async {
        sleep(KEPT_FOR).await;
        other.commit_transaction().await.unwrap();
    };
    let (held, ()) = tokio::join!(hold(&store, user, false), end);
    held.unwrap();
    assert!(began.elapsed() >= KEPT_FOR);
}

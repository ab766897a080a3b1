//! Each test holds a server to something that tests elsewhere rely on.

use std::{thread, time::Duration};

use bson::{DateTime, Document, doc};
use mongodb::{Collection, IndexModel, error::ErrorKind, options::IndexOptions};
use tokio::{runtime::Runtime, time::timeout};

use super::{Mongod, ReplicaSet, shared, talk::uri};
use crate::{
    outliving::{assert_none_outlives, die_with, is_victim},
    wait::until,
};

/// Enough for anything that should happen at once, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);
/// As long as a server that stands still is asked.
const STILL: Duration = Duration::from_millis(300);
/// MongoDB's code for "not allowed".
const UNAUTHORIZED: i32 = 13;
/// MongoDB's code for what a standalone server cannot do.
const ILLEGAL_OPERATION: i32 = 20;

async fn things(server: &Mongod) -> Collection<Document> {
    let database = server.client().await.database(&server.fresh_database());
    database.collection("things")
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(refused) => Some(refused.code),
        _ => None,
    }
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn what_was_committed_is_there_after_kill_9() {
    let mut server = Mongod::single().await;
    let (uri, things) = (server.uri(), things(&server).await);
    let mut session = things.client().start_session().await.expect("a session");
    session.start_transaction().await.expect("a transaction");
    let insert = things.insert_one(doc! { "_id": 1 }).session(&mut session);
    insert.await.expect("an insert");
    session.commit_transaction().await.expect("a commit");

    server.kill9().await;
    assert_eq!(server.pid(), None);
    server.restart().await;

    assert_eq!(server.uri(), uri);
    let count = things.count_documents(doc! {}).await.expect("a count");
    assert_eq!(count, 1);
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn a_frozen_server_answers_when_it_thaws() {
    let mut server = Mongod::single().await;
    let things = things(&server).await;
    things.insert_one(doc! {}).await.expect("an insert");

    server.freeze().await;
    let asked = timeout(STILL, things.count_documents(doc! {})).await;
    assert!(asked.is_err(), "a frozen server answered {asked:?}");

    server.thaw();
    let asked = timeout(SOON, things.count_documents(doc! {})).await;
    assert_eq!(asked.expect("an answer").expect("a count"), 1);
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn what_expired_goes_soon() {
    let things = things(shared().await).await;
    let expires = IndexOptions::builder().expire_after(SOON).build();
    let index = IndexModel::builder()
        .keys(doc! { "at": 1 })
        .options(expires);
    things.create_index(index.build()).await.expect("an index");
    let old = DateTime::from_millis(0);
    things.insert_one(doc! { "at": old }).await.expect("one");
    until(SOON, "no expired document", || async {
        let count = things.count_documents(doc! {}).await.expect("a count");
        (count == 0).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn who_has_no_password_may_do_nothing() {
    for standalone in [false, true] {
        let mut builder = Mongod::with().auth("the hub", "p@ss:/w%");
        if standalone {
            builder = builder.standalone();
        }
        let mut server = builder.start().await;
        things(&server).await.insert_one(doc! {}).await.expect("ok");

        let without = uri(&[&server.node], None, server.set.as_deref());
        let client = super::talk::client(&without).await;
        let refused = client.list_database_names().await.expect_err("a refusal");
        assert_eq!(code(&refused), Some(UNAUTHORIZED), "{refused}");

        server.restart().await;
        things(&server).await.insert_one(doc! {}).await.expect("ok");
    }
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn a_standalone_server_has_no_transactions() {
    let server = Mongod::with().standalone().start().await;
    let things = things(&server).await;
    let mut session = things.client().start_session().await.expect("a session");
    session.start_transaction().await.expect("a transaction");
    let insert = things.insert_one(doc! {}).session(&mut session);
    let refused = insert.await.expect_err("a refusal");
    assert_eq!(code(&refused), Some(ILLEGAL_OPERATION), "{refused}");
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn arguments_reach_the_server() {
    let args = ["--setParameter", "enableTestCommands=1"];
    let server = Mongod::with().args(&args).start().await;
    let admin = server.client().await.database("admin");
    let fail = doc! {
        "configureFailPoint": "failCommand",
        "mode": { "times": 1 },
        "data": { "failCommands": ["count"], "errorCode": UNAUTHORIZED },
    };
    admin.run_command(fail).await.expect("a fail point");
    let count = doc! { "count": "things" };
    let refused = admin.run_command(count).await.expect_err("a refusal");
    assert_eq!(code(&refused), Some(UNAUTHORIZED), "{refused}");
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn a_replica_set_elects_whenever_its_primary_is_gone() {
    let mut set = ReplicaSet::start(3).await;
    let database = set.client().await.database(&set.fresh_database());
    let things = database.collection("things");

    let killed = set.primary().await;
    set.kill9(killed).await;
    assert_ne!(set.primary().await, killed);
    things.insert_one(doc! {}).await.expect("an insert");

    set.restart(killed).await;
    set.wait_until_whole().await;
    let frozen = set.primary().await;
    set.freeze(frozen).await;
    assert_ne!(set.primary().await, frozen);
    things.insert_one(doc! {}).await.expect("an insert");

    set.thaw(frozen);
    set.wait_until_whole().await;
    let before = set.primary().await;
    assert_ne!(set.step_down().await, before);
    things.insert_one(doc! {}).await.expect("an insert");
    let count = things.count_documents(doc! {}).await.expect("a count");
    assert_eq!(count, 3);
}

#[test]
#[ignore = "skipped: needs mongod; make test runs it"]
fn the_shared_server_outlives_the_thread_and_the_runtime_of_a_test() {
    let test = || {
        let one = async { things(shared().await).await.insert_one(doc! {}).await };
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(one).expect("an insert");
        runtime.block_on(async { shared().await.pid() })
    };
    let pids = [(); 2].map(|()| thread::spawn(test).join().expect("a test"));
    assert_eq!(pids[0], pids[1]);
}

#[tokio::test]
#[ignore = "skipped: needs mongod; make test runs it"]
async fn no_server_outlives_a_killed_test_process() {
    if is_victim() {
        let own = Mongod::single().await;
        die_with(&[&own.node, &shared().await.node]).await;
    }
    let test = "mongod::tests::no_server_outlives_a_killed_test_process";
    assert_none_outlives(test, 2).await;
}

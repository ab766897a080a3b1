//! Files that earlier versions left behind.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use chrono::TimeDelta;
use probe_protocol::{ContentFormat, OperationId, ProbeId, Rejection, UserId};

use super::*;
use crate::{
    domain::{Assignment, AssignmentState, Operation},
    store::{
        Created, IdempotencyKey, MoveStore, NewResult, ProbeStore, Report, Span,
        Verdict::{self, Duplicate, New, Rejected},
        What, Work,
    },
};

/// The schema of the first release, and a store that it kept.
const FIRST: &str = include_str!("../migrations/0001_initial.sql");
const KEPT: &str = include_str!("version_1.sql");

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn at(minutes: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(minutes)
}

/// Makes the file as the first release would have left it.
fn version_1(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "foreign_keys", true)
        .unwrap();
    connection.execute_batch(FIRST).unwrap();
    let rows = KEPT.replace("noon", &noon().timestamp_millis().to_string());
    connection.execute_batch(&rows).unwrap();
    connection
        .pragma_update(None, "application_id", 0x504c_4144)
        .unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
}

fn operation(last: &str) -> OperationId {
    format!("{last:0>24}").parse().unwrap()
}

fn probe(last: &str) -> ProbeId {
    format!("{last:0>24}").parse().unwrap()
}

fn user(last: &str) -> UserId {
    format!("{last:0>24}").parse().unwrap()
}

fn upgraded() -> (TempDir, PathBuf, SqliteStore) {
    let (directory, path) = place();
    version_1(&path);
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    (directory, path, store)
}

async fn kept(store: &SqliteStore, last: &str) -> Operation {
    store.operation(operation(last)).await.unwrap().unwrap()
}

async fn send(store: &SqliteStore, code: &str, started_at: DateTime<Utc>) -> Verdict {
    let result = NewResult {
        code: code.to_owned().try_into().unwrap(),
        format: ContentFormat::Warts,
        raw: Bytes::new(),
        document: "[]".to_owned(),
        summary: "{}".to_owned(),
        undecoded: 0,
        measured: true,
        started_at,
        finished_at: started_at,
        clock: None,
    };
    report(store, "d1", "c1", What::Result(Box::new(result))).await
}

async fn report(store: &SqliteStore, of: &str, by: &str, what: What) -> Verdict {
    let report = Report {
        operation: operation(of),
        probe: probe(by),
        session: 0,
        at: at(2),
        what,
    };
    let outcomes = store.record(Arc::new(vec![report])).await.unwrap();
    outcomes[0].verdict
}

async fn assignment(store: &SqliteStore, of: &str, by: &str) -> Assignment {
    let all = store.assignments(operation(of)).await.unwrap();
    all.into_iter().find(|it| it.probe == probe(by)).unwrap()
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let (_directory, path, store) = upgraded();
    let day = TimeDelta::days(1);
    let expected = [
        ("d1", at(10)),
        ("d2", noon() + day),
        ("d3", noon() + day),
        ("d4", at(10)),
    ];
    for (id, expires_at) in expected {
        let plan = kept(&store, id).await.plan;
        assert_eq!(plan.expires_at, expires_at, "{id}");
        // What the first version gave to all.
        assert_eq!(plan.closes_at, expires_at + TimeDelta::minutes(5), "{id}");
        assert_eq!(plan.as_sent, None, "{id}");
    }
    assert!(kept(&store, "d1").await.plan.schedule.is_some());
    assert!(kept(&store, "d3").await.plan.schedule.is_none());
    let probes = store.probes(None, Span::After(None), 9).await.unwrap();
    let found: Vec<_> = probes.iter().map(|it| (it.id, it.load)).collect();
    assert_eq!(found, [(probe("c1"), 4), (probe("c2"), 2)]);
    assert!(
        probes
            .iter()
            .all(|it| it.refused_results == 0 && it.sessions == 0)
    );
    let (ana, _) = store
        .credentials("ana@example.org".to_owned())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((ana.id, ana.credits), (user("a1"), 942));
    assert_eq!(store.unfinished_move().await.unwrap(), None);
    store.writer.close();
    let connection = Connection::open(&path).unwrap();
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, open::newest());
    let whole: String = connection
        .query_row("select * from pragma_integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    let dangling = "select count(*) from pragma_foreign_key_check";
    assert_eq!(number(&connection, dangling), 0);
}

/// Number, amount and balance of each entry of a user, oldest first.
async fn entries(store: &SqliteStore, of: &str) -> Vec<(i64, i64, i64)> {
    let mut found = store.ledger(user(of), None, 99).await.unwrap();
    found.reverse();
    let entries = found.iter().map(|it| (it.id, it.amount, it.balance));
    entries.collect()
}

/// Entries were numbered over all users; now each user's are 1, 2, 3 …
#[tokio::test]
async fn a_file_of_the_first_version_gets_a_ledger_for_each_user() {
    let (_directory, _path, store) = upgraded();
    let ana = [
        (1, 1000, 1000),
        (2, -36, 964),
        (3, -20, 944),
        (4, -2, 942),
        (5, -18, 924),
        (6, 18, 942),
    ];
    assert_eq!(entries(&store, "a1").await, ana);
    assert_eq!(entries(&store, "b0").await, [(1, 10, 10), (2, 10, 20)]);
    let refund = &store.ledger(user("a1"), None, 1).await.unwrap()[0];
    assert_eq!(refund.operation, Some(operation("d4")));
    assert_eq!(refund.probe, Some(probe("c3")));
    assert_eq!(refund.at, noon() + TimeDelta::seconds(1));
    // The next ones follow.
    send(&store, "b", at(1)).await;
    store.grant(user("a1"), 5, at(2), None).await.unwrap();
    assert_eq!(entries(&store, "b0").await[2..], [(3, 10, 30)]);
    assert_eq!(entries(&store, "a1").await[6..], [(7, 5, 947)]);
    let page = store.ledger(user("a1"), Some(3), 9).await.unwrap();
    assert_eq!(page.iter().map(|it| it.id).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn a_file_of_the_first_version_goes_on_where_it_was() {
    let (_directory, _path, store) = upgraded();
    // What ran: its results count until it closes, and it ends then.
    let closes_at = at(15);
    let just = TimeDelta::milliseconds(1);
    assert_eq!(send(&store, "a", at(1)).await, Duplicate);
    assert_eq!(send(&store, "b", closes_at).await, New { seq: 2 });
    let late = send(&store, "c", closes_at + just).await;
    assert_eq!(late, Rejected(Rejection::AfterStop));
    let host = store.probe(probe("c1")).await.unwrap().unwrap();
    assert_eq!(host.refused_results, 1);
    // What waited can leave, and what ended stays ended.
    report(&store, "d3", "c1", What::Claimed).await;
    let claimed = assignment(&store, "d3", "c1").await;
    assert_eq!(claimed.state, AssignmentState::Delivered);
    for (of, by, state) in [
        ("d2", "c2", AssignmentState::Finished),
        ("d4", "c3", AssignmentState::Cancelled),
    ] {
        report(&store, of, by, What::Claimed).await;
        assert_eq!(assignment(&store, of, by).await.state, state);
    }
    let pending = store.pending(vec![probe("c1"), probe("c2")], 9).await;
    let pending = pending.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].1, kept(&store, "d1").await.plan);
    let lease = store.lease(Work::EndOverdue, "hub", Duration::ZERO).await;
    let lease = lease.unwrap().unwrap();
    let expired = store
        .end_overdue(&lease, closes_at - just, 9)
        .await
        .unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].state, AssignmentState::Expired);
    let finished = store.end_overdue(&lease, closes_at, 9).await.unwrap();
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].state, AssignmentState::Finished);
    assert!(finished[0].operation_ended);
    // 942 and the nine runs of the one that never left.
    let ana = store.user(user("a1")).await.unwrap().unwrap();
    assert_eq!(ana.credits, 960);
}

#[tokio::test]
async fn a_file_of_the_first_version_keeps_its_keys() {
    let (_directory, _path, store) = upgraded();
    let key = IdempotencyKey {
        user: user("a1"),
        key: "k".to_owned(),
        fingerprint: "f".to_owned(),
    };
    let plan = kept(&store, "d3").await.plan;
    let again = store.open(plan, vec![], Some(key)).await.unwrap();
    let Ok(Created::Before(opened)) = again else {
        panic!("was opened anew")
    };
    assert_eq!(opened.operation.plan.id, operation("d3"));
}

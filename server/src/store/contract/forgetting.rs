//! Forgetting results by age.

use bytes::Bytes;
use probe_protocol::{OperationId, ProbeId, UserId};

use super::fixture::{Hub, at, nine_runs, noon, once};
use crate::{
    domain::AssignmentState::{Accepted, Finished},
    store::{ResultRow, Verdict},
};

/// Somebody's operation on a probe with a result each minute.
async fn measured_for(hub: &Hub, minutes: i64) -> (UserId, ProbeId, OperationId) {
    let (user, probe) = hub.pair().await;
    let operation = hub.opened(nine_runs(user), &[probe]).await;
    for minute in 1..=minutes {
        let code = minute.to_string();
        hub.send(operation, probe, at(minute), &code).await;
    }
    (user, probe, operation)
}

async fn rows(hub: &Hub, operation: OperationId) -> Vec<ResultRow> {
    let rows = hub.results(operation, 0, usize::MAX, usize::MAX);
    rows.await.unwrap()
}

async fn numbers(hub: &Hub, operation: OperationId) -> Vec<u64> {
    let rows = rows(hub, operation).await;
    rows.iter().map(|row| row.seq).collect()
}

pub(super) async fn takes_the_oldest_first(hub: Hub) {
    let (user, probe, first) = measured_for(&hub, 5).await;
    let second = hub.opened(once(user), &[probe]).await;
    hub.send(second, probe, at(2), "a").await;
    // Nothing is as old as that.
    assert_eq!(hub.forget_results(at(1), 9).await.unwrap(), 0);
    assert_eq!(hub.forget_results(noon(), 9).await.unwrap(), 0);
    assert_eq!(hub.forget_results(at(4), 0).await.unwrap(), 0);
    assert_eq!(hub.forget_results(at(4), 1).await.unwrap(), 1);
    assert_eq!(numbers(&hub, first).await, [2, 3, 4, 5]);
    // Of all operations, and what was stored at that very time stays.
    assert_eq!(hub.forget_results(at(4), 9).await.unwrap(), 3);
    assert_eq!(numbers(&hub, first).await, [4, 5]);
    assert_eq!(numbers(&hub, second).await, [0; 0]);
    assert_eq!(hub.forget_results(at(4), 9).await.unwrap(), 0);
}

pub(super) async fn leaves_the_rest_as_it_was(hub: Hub) {
    let (user, probe, operation) = measured_for(&hub, 4).await;
    let host = hub.probe(probe).await.unwrap().unwrap().owner;
    let before = (
        hub.kept(operation).await,
        hub.assignment(operation, probe).await,
        hub.ledger(host, None, 9).await.unwrap(),
        hub.balance(user).await,
    );
    let (kept, raw) = (
        rows(&hub, operation).await.split_off(2),
        hub.raw(operation, 3).await.unwrap(),
    );
    assert_eq!(hub.forget_results(at(3), 9).await.unwrap(), 2);
    let after = (
        hub.kept(operation).await,
        hub.assignment(operation, probe).await,
        hub.ledger(host, None, 9).await.unwrap(),
        hub.balance(user).await,
    );
    assert_eq!(after, before);
    assert_eq!(rows(&hub, operation).await, kept);
    let page = hub.results(operation, 1, 1, usize::MAX).await.unwrap();
    assert_eq!(page, kept[..1]);
    assert_eq!(hub.raw(operation, 2).await.unwrap(), None);
    assert_eq!(hub.raw(operation, 3).await.unwrap(), raw);
    assert!(raw.is_some_and(|(_, raw)| raw != Bytes::new()));
    // Numbers are given once, and no more runs count than were planned.
    for minute in 5..=9 {
        let code = minute.to_string();
        let sent = hub.send(operation, probe, at(minute), &code).await;
        let seq = u64::try_from(minute).unwrap();
        assert_eq!(sent.verdict, Verdict::New { seq });
        let state = hub.state(operation, probe).await;
        assert_eq!(state, if minute < 9 { Accepted } else { Finished });
    }
    let more = hub.send(operation, probe, at(9), "1").await.verdict;
    assert!(matches!(more, Verdict::Rejected(_)), "{more:?}");
}

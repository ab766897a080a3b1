//! Results: once, numbered, counted, rewarded; read as they were.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use probe_protocol::{ContentFormat, OperationId, Rejection};

use super::fixture::{
    GRACE, Hub, RUN_PRICE, at, brief, measured, new_result, nine_runs, noon, once,
};
use crate::{
    domain::AssignmentState::{Accepted, Finished},
    store::{
        Clock, NewResult, Report,
        Verdict::{Duplicate, New, Rejected},
        What,
    },
};

pub(super) async fn are_stored_once_and_numbered(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let id = hub.opened(nine_runs(user), &[first, second]).await;
    hub.accept(id, first, noon()).await;
    assert_eq!(
        hub.send(id, first, at(1), "a").await.verdict,
        New { seq: 1 }
    );
    assert_eq!(hub.send(id, first, at(1), "a").await.verdict, Duplicate);
    assert_eq!(
        hub.send(id, second, at(1), "a").await.verdict,
        New { seq: 2 }
    );
    assert_eq!(
        hub.send(id, first, at(2), "b").await.verdict,
        New { seq: 3 }
    );
    assert_eq!(hub.kept(id).await.last_seq, 3);
    assert_eq!(hub.assignment(id, first).await.results, 2);
    hub.check(&[user], &[first, second], &[id]).await;
}

pub(super) async fn come_back_as_they_were(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let clock = Clock {
        offset_us: -1_234_567,
        error_us: 890,
    };
    let sent = NewResult {
        format: ContentFormat::Gzip,
        raw: (0..=255).collect::<Vec<u8>>().repeat(4000).into(),
        document: format!("{{\"text\":\"{}\"}}", "ä\\u0000".repeat(9000)),
        undecoded: 3,
        clock: Some(clock),
        ..new_result("run-1:a.b", at(1) + TimeDelta::milliseconds(7))
    };
    let what = What::Result(Box::new(sent.clone()));
    let received = at(1) + TimeDelta::microseconds(2_345);
    hub.report(id, probe, received, what).await;
    let row = hub.results(id, 0, 9, 9).await.unwrap().remove(0);
    assert_eq!((row.seq, row.probe, row.rewarded), (1, probe, true));
    assert_eq!(row.received_at, at(1) + TimeDelta::milliseconds(2));
    let raw = hub.raw(id, 1).await.unwrap();
    assert_eq!(raw, Some((ContentFormat::Gzip, sent.raw.clone())));
    let without_raw = NewResult {
        raw: Bytes::new(),
        ..sent
    };
    assert_eq!(row.result, without_raw);
    assert_eq!(hub.raw(id, 2).await.unwrap(), None);
    assert_eq!(hub.raw(OperationId::new(), 1).await.unwrap(), None);
}

pub(super) async fn count_only_where_assigned(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let stranger = hub.host(user).await;
    let id = hub.opened(once(user), &[probe]).await;
    let unknown = hub.send(OperationId::new(), probe, at(1), "a").await;
    assert_eq!(unknown.verdict, Rejected(Rejection::UnknownOperation));
    let foreign = hub.send(id, stranger, at(1), "a").await;
    assert_eq!(foreign.verdict, Rejected(Rejection::NotAssigned));
    let refuse = What::Refused("no".to_owned());
    hub.report(id, probe, at(1), refuse).await;
    let refused = hub.send(id, probe, at(1), "a").await;
    assert_eq!(refused.verdict, Rejected(Rejection::NotAssigned));
    assert_eq!(hub.kept(id).await.last_seq, 0);
    hub.check(&[user], &[probe, stranger], &[id]).await;
}

pub(super) async fn stop_at_the_plan(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, noon()).await;
    for run in 1..=8 {
        let sent = hub.send(id, probe, at(run), &run.to_string()).await;
        assert_eq!(brief(&sent), (New { seq: run as u64 }, None));
    }
    let last = hub.send(id, probe, at(9), "9").await;
    assert_eq!(brief(&last), (New { seq: 9 }, Some(Finished)));
    assert!(last.changed.unwrap().operation_ended);
    let more = hub.send(id, probe, at(9), "10").await;
    assert_eq!(brief(&more), (Rejected(Rejection::OverPlan), None));
    assert_eq!(hub.send(id, probe, at(9), "9").await.verdict, Duplicate);
    let host = hub.probe(probe).await.unwrap().unwrap().owner;
    assert_eq!(hub.balance(host).await, 90);
    hub.check(&[user, host], &[probe], &[id]).await;
}

pub(super) async fn stop_after_the_stop_time(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let last = at(10) + GRACE;
    let after = last + TimeDelta::milliseconds(1);
    let late = hub.send(id, probe, after, "a").await;
    assert_eq!(late.verdict, Rejected(Rejection::AfterStop));
    // When it arrives is not when it was measured.
    let what = measured("b", last);
    let sent = hub.report(id, probe, at(3000), what).await;
    assert_eq!(sent.verdict, New { seq: 1 });
}

pub(super) async fn accept_by_themselves(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let first = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(first, probe, at(4), What::Delivered).await;
    let sent = hub.send(first, probe, at(5), "a").await;
    assert_eq!(brief(&sent), (New { seq: 1 }, Some(Accepted)));
    let it = hub.assignment(first, probe).await;
    assert_eq!((it.planned_runs, it.accepted_at), (5, Some(at(5))));
    assert_eq!(hub.refunds(user).await, [4 * RUN_PRICE]);
    // Delivered too late for any further run: the result itself stays paid, and is the last.
    let late = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(late, probe, at(10), What::Delivered).await;
    let sent = hub.send(late, probe, at(9), "a").await;
    assert_eq!(brief(&sent), (New { seq: 1 }, Some(Finished)));
    // Nobody knows when this one left.
    let unknown = hub.opened(once(user), &[probe]).await;
    let sent = hub.send(unknown, probe, at(1), "a").await;
    assert_eq!(brief(&sent), (New { seq: 1 }, Some(Finished)));
    hub.check(&[user], &[probe], &[first, late, unknown]).await;
}

pub(super) async fn reward_only_what_measured(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let host = hub.probe(probe).await.unwrap().unwrap().owner;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let empty = NewResult {
        measured: false,
        ..new_result("a", at(1))
    };
    let what = What::Result(Box::new(empty));
    hub.report(id, probe, at(1), what).await;
    assert_eq!(hub.balance(host).await, 0);
    hub.send(id, probe, at(2), "b").await;
    assert_eq!(hub.balance(host).await, 10);
    let entry = hub.ledger(host, None, 1).await.unwrap().remove(0);
    assert_eq!(
        (entry.amount, entry.operation, entry.probe),
        (10, Some(id), Some(probe))
    );
    let rows = hub.results(id, 0, 9, 9999).await.unwrap();
    let rewarded: Vec<_> = rows.iter().map(|row| row.rewarded).collect();
    assert_eq!(rewarded, [false, true]);
}

pub(super) async fn count_when_begun_before_a_cancel(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(id, probe, noon()).await;
    hub.cancel(id, at(3)).await.unwrap();
    let late = hub.report(id, probe, at(5), measured("a", at(4))).await;
    assert_eq!(late.verdict, Rejected(Rejection::Cancelled));
    let early = hub.report(id, probe, at(5), measured("b", at(3))).await;
    assert_eq!(brief(&early), (New { seq: 1 }, None));
    hub.check(&[user], &[probe], &[id]).await;
}

pub(super) async fn are_read_in_bounds(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    let other = hub.opened(nine_runs(user), &[probe]).await;
    for run in 1..=9 {
        hub.send(id, probe, at(run), &run.to_string()).await;
        hub.send(other, probe, at(run), &run.to_string()).await;
    }
    let numbers = async |after, limit, most_bytes| {
        let rows = hub.results(id, after, limit, most_bytes).await.unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 3, 9999).await, [1, 2, 3]);
    assert_eq!(numbers(3, 99, 9999).await, [4, 5, 6, 7, 8, 9]);
    assert_eq!(numbers(9, 99, 9999).await, [0; 0]);
    assert_eq!(numbers(u64::MAX, 99, 9999).await, [0; 0]);
    // The one that exceeds the bytes is the last, and there is always one.
    let document = new_result("a", noon()).document.len();
    assert_eq!(numbers(0, 99, 0).await, [1]);
    assert_eq!(numbers(0, 99, document).await, [1, 2]);
    assert_eq!(numbers(0, 99, 2 * document + 1).await, [1, 2, 3]);
}

/// Results of a large batch.
const BATCH: usize = 500;

pub(super) async fn of_one_batch_are_one(hub: Hub) {
    let (user, probe) = hub.pair().await;
    hub.grant(user, 1_000_000, noon(), None).await.unwrap();
    let mut plan = nine_runs(user);
    plan.planned_runs = BATCH as u32;
    let id = hub.opened(plan, &[probe]).await;
    let mut reports: Vec<Report> = (0..BATCH)
        .map(|run| Report {
            probe,
            operation: id,
            session: 0,
            at: at(1),
            what: measured(&run.to_string(), at(1)),
        })
        .collect();
    reports.push(reports[7].clone());
    let began = std::time::Instant::now();
    let outcomes = hub.record(Arc::new(reports)).await.unwrap();
    eprintln!("record, {BATCH} results: {:?}", began.elapsed());
    let verdicts: Vec<_> = outcomes.iter().map(|it| it.verdict).collect();
    let mut expected: Vec<_> = (1..=BATCH as u64).map(|seq| New { seq }).collect();
    expected.push(Duplicate);
    assert_eq!(verdicts, expected);
    assert_eq!(hub.record(Arc::default()).await.unwrap(), []);
    hub.check(&[user], &[probe], &[id]).await;
}

/// As long as a frame of an old agent may be, with the text that was in it.
pub(super) async fn come_back_however_long(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let operation = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(operation, probe, at(0)).await;
    let text = "answer ".repeat(1_500_000);
    let long = NewResult {
        raw: Bytes::from(vec![7; 11 * 1024 * 1024]),
        document: serde_json::to_string(&text).unwrap(),
        ..new_result("long", at(1))
    };
    // Of these, MongoDB could not keep the document as it is, or not below its name.
    let odd = NewResult {
        document: r#"{"$where":{"a.b":[18446744073709551615,-1,1.0,1e300,null,{"":"\u0000"}]},"z":1,"a":2}"#.to_owned(),
        ..new_result("odd", at(2))
    };
    for result in [&long, &odd] {
        let what = What::Result(Box::new(result.clone()));
        hub.report(operation, probe, at(3), what).await;
    }
    let rows = hub.results(operation, 0, 10, usize::MAX).await.unwrap();
    assert!(rows[0].result.document == long.document);
    assert_eq!(rows[1].result.document, odd.document);
    let (format, raw) = hub.raw(operation, 1).await.unwrap().unwrap();
    assert!(format == long.format && raw == long.raw);
    assert_eq!(hub.raw(operation, 3).await.unwrap(), None);
    hub.check(&[user], &[probe], &[operation]).await;
}

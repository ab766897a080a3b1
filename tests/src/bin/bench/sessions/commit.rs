//! What it takes SQLite to make an operation's assignments durable: as many rows in one transaction, in a table like the hub's.

use std::time::Instant;

use rusqlite::Connection;
use tests::TestProbe;

use crate::figure::{median, ms};

/// How often; the figure is the median.
const TIMES: u32 = 5;

/// Milliseconds.
pub(super) fn measure(probes: &[TestProbe]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Connection::open(folder.path().join("bare.sqlite")).expect("a file");
    file.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full;
         create table assignments (operation text, probe text, state text, planned_runs integer, created_at_ms integer,
            ends_at_ms integer, primary key (operation, probe)) strict, without rowid;
         create index open on assignments (probe, state, created_at_ms, operation);
         create index overdue on assignments (ends_at_ms)",
    )
    .expect("a table");
    let mut times = Vec::new();
    for number in 0..TIMES {
        let began = Instant::now();
        let transaction = file.transaction().expect("a transaction");
        let mut insert = transaction
            .prepare_cached("insert into assignments values (?, ?, 'pending', 1, ?, ?)")
            .expect("a statement");
        for probe in probes {
            let row = (number.to_string(), probe.id.to_string(), number, number);
            insert.execute(row).expect("a row");
        }
        drop(insert);
        transaction.commit().expect("a commit");
        times.push(ms(began.elapsed()));
    }
    median(times)
}

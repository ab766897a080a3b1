//! Reads the hub's SQLite file, also while the hub runs, and says which promises it breaks. [`mongo`] holds a database of
//! MongoDB to the same ones.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

pub mod mongo;
mod snapshot;

pub use snapshot::Snapshot;

/// Name of the file in the data folder.
pub const FILE: &str = "pladmed.sqlite";

/// What must not be found, each with the query that finds it. The first column names what is wrong.
const BROKEN_PROMISES: &[(&str, &str)] = &[
    (
        "a balance is not the sum of its ledger",
        "select id || ' has ' || credits || ', its ledger ' || coalesce((select sum(amount) from ledger where user = users.id), 0)
            from users where credits != coalesce((select sum(amount) from ledger where user = users.id), 0)",
    ),
    ("a balance is below zero", "select id from users where credits < 0"),
    (
        "an entry's balance does not follow from the one before",
        "select 'entry ' || number || ' of ' || user from (select number, user, amount, balance,
            lag(balance, 1, 0) over (partition by user order by number) as before from ledger) where balance != before + amount",
    ),
    (
        "the numbers of a ledger have a hole",
        "select user || ' has ' || count(*) || ' from ' || min(number) || ' to ' || max(number)
            from ledger group by user having min(number) != 1 or max(number) != count(*)",
    ),
    (
        "the numbers of results have a hole",
        "select o.id || ' ends at ' || o.last_seq || ' and has ' || count(r.seq) || ' from ' || min(r.seq) || ' to ' || max(r.seq)
            from operations o join results r on r.operation = o.id
            group by o.id having count(r.seq) != o.last_seq or max(r.seq) != o.last_seq or min(r.seq) != 1",
    ),
    (
        "an operation counts results that are not there",
        "select id from operations where last_seq > 0 and not exists (select 1 from results where operation = operations.id)",
    ),
    (
        "a result is there twice",
        "select operation || ' ' || probe || ' ' || code from results group by operation, probe, code having count(*) > 1",
    ),
    (
        "an assignment does not count its results",
        "select operation || ' ' || probe || ' counts ' || results from assignments a where results !=
            (select count(*) from results r where r.operation = a.operation and r.probe = a.probe)",
    ),
    ("more results than paid runs", "select operation || ' ' || probe from assignments where results > planned_runs"),
    (
        "what was charged and not given back is not what is still planned",
        "select id || ' charged ' || charged || ' refunded ' || refunded from operations o where charged - refunded !=
            run_price * (select coalesce(sum(planned_runs), 0) from assignments where operation = o.id)",
    ),
    (
        "a charge is not in the ledger once",
        "select id from operations o where charged !=
            (select coalesce(-sum(amount), 0) from ledger where operation = o.id and reason = 'charge')
            or 1 < (select count(*) from ledger where operation = o.id and reason = 'charge')",
    ),
    (
        "a refund is not in the ledger",
        "select id from operations o where refunded !=
            (select coalesce(sum(amount), 0) from ledger where operation = o.id and reason = 'refund')",
    ),
    (
        "rewards are not ten for each rewarded result",
        "select o.id from operations o where 10 * (select count(*) from results where operation = o.id and rewarded) !=
            (select coalesce(sum(amount), 0) from ledger where operation = o.id and reason = 'reward')",
    ),
    (
        "open assignments are miscounted",
        "select id from operations o where open_assignments !=
            (select count(*) from assignments where operation = o.id and ended_at_ms is null)
            or (open_assignments = 0) != (ended_at_ms is not null)",
    ),
    (
        "a probe's load is not that of its open assignments",
        "select id || ' has ' || load from probes p where load != (select coalesce(sum(o.run_price), 0)
            from assignments a join operations o on o.id = a.operation where a.probe = p.id and a.ended_at_ms is null)",
    ),
    ("an operation closes before its time is over", "select id from operations where closes_at_ms < expires_at_ms"),
    (
        "a result counts that began after its operation closed",
        "select r.operation || ' ' || r.seq from results r join operations o on o.id = r.operation
            where o.stop_time_ms is not null and r.started_at_ms > o.closes_at_ms",
    ),
    (
        // What may be at a probe that is cut off waits a week for it.
        "an open assignment ends at another time than its state tells",
        "select operation || ' ' || probe || ' is ' || state from assignments a join operations o on o.id = a.operation
            where a.ended_at_ms is null and a.ends_at_ms != case a.state when 'accepted' then o.closes_at_ms
            when 'delivered' then o.expires_at_ms + 7 * 86400000 else o.expires_at_ms end",
    ),
    (
        "what was sent for an operation is not JSON",
        "select id from operations where as_sent is not null and not json_valid(as_sent)",
    ),
    ("the file is damaged", "select integrity_check from pragma_integrity_check where integrity_check != 'ok'"),
    ("a reference leads nowhere", "select \"table\" from pragma_foreign_key_check"),
];

/// Opens the file for reading.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn open(data_dir: &Path) -> Connection {
    let path = data_dir.join(FILE);
    Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Changes the file behind the hub's back.
///
/// # Panics
/// When the statement fails.
pub fn change(data_dir: &Path, sql: &str, parameters: impl rusqlite::Params) {
    let connection = Connection::open(data_dir.join(FILE)).expect("the hub's file");
    connection
        .busy_timeout(crate::wait::SOON)
        .expect("a timeout");
    connection
        .execute(sql, parameters)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Keeps the hub from writing until it is dropped.
///
/// # Panics
/// When it cannot be had.
#[must_use]
pub fn lock(data_dir: &Path) -> Connection {
    let connection = Connection::open(data_dir.join(FILE)).expect("the hub's file");
    connection
        .busy_timeout(crate::wait::SOON)
        .expect("a timeout");
    connection
        .execute_batch("begin immediate")
        .expect("the lock");
    connection
}

/// What the file holds now.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn snapshot(data_dir: &Path) -> Snapshot {
    let connection = open(data_dir);
    // One view for all queries: the hub may be writing.
    connection.execute_batch("begin").expect("a transaction");
    Snapshot::new(connection, &[BROKEN_PROMISES])
}

//! Assignments and their steps. Every change of state goes through [`step`], which keeps in line what hangs on it:
//! the probe's load, the operation's count of open assignments and end, and what is given back to its owner.

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, Schedule, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    balance::{self, Cause},
    codec::{self, as_kept, maybe_json, maybe_time, ms, parsed, time, word},
};
use crate::{
    domain::{Assignment, AssignmentState, credits::LedgerReason, lifecycle},
    store::{Change, Stored},
};

/// What an operation adds to every decision about its assignments; it never changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Who pays.
    pub(super) owner: UserId,
    pub(super) run_price: u32,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) closes_at: DateTime<Utc>,
    /// Whether it runs by a schedule.
    pub(super) is_repeated: bool,
}

/// An assignment with what its operation adds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) assignment: Assignment,
    pub(super) terms: Terms,
}

/// The columns of an assignment, as they stand in the table.
const COLUMNS: [&str; 11] = [
    "operation",
    "probe",
    "state",
    "planned_runs",
    "results",
    "created_at_ms",
    "delivered_at_ms",
    "accepted_at_ms",
    "ended_at_ms",
    "ends_at_ms",
    "reason",
];

/// An assignment, from any row that begins with its columns.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Assignment> {
    debug_assert!(codec::begins_with(row, &COLUMNS));
    Ok(Assignment {
        operation: parsed(row, 0)?,
        probe: parsed(row, 1)?,
        state: word(row, 2)?,
        planned_runs: row.get(3)?,
        results: row.get(4)?,
        delivered_at: maybe_time(row, 6)?,
        accepted_at: maybe_time(row, 7)?,
        ended_at: maybe_time(row, 8)?,
        reason: row.get(10)?,
    })
}

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        assignment: read(row)?,
        terms: read_terms(row)?,
    })
}

fn read_terms(row: &Row<'_>) -> rusqlite::Result<Terms> {
    Ok(Terms {
        owner: parsed(row, "owner")?,
        run_price: row.get("run_price")?,
        expires_at: time(row, "expires_at_ms")?,
        closes_at: time(row, "closes_at_ms")?,
        is_repeated: maybe_time(row, "stop_time_ms")?.is_some(),
    })
}

/// The columns of [`Held`].
macro_rules! select_held {
    ($rest:literal) => {
        concat!(
            "select a.*, o.owner, o.run_price, o.expires_at_ms, o.closes_at_ms, o.stop_time_ms
            from assignments a cross join operations o on o.id = a.operation ",
            $rest
        )
    };
}

pub(super) const ONE: &str = select_held!("where a.operation = ?1 and a.probe = ?2");

/// One assignment.
pub(super) fn one(
    connection: &Connection,
    operation: OperationId,
    probe: ProbeId,
) -> Stored<Option<Held>> {
    let mut statement = connection.prepare_cached(ONE)?;
    let found = statement.query_row([operation.to_string(), probe.to_string()], read_held);
    Ok(found.optional()?)
}

const TERMS: &str = "select owner, run_price, expires_at_ms, closes_at_ms, stop_time_ms, last_seq
    from operations where id = ?1";

/// What an operation adds, and the number of its last result.
pub(super) fn terms(connection: &Connection, id: OperationId) -> Stored<Option<(Terms, i64)>> {
    let mut statement = connection.prepare_cached(TERMS)?;
    let found = statement.query_row([id.to_string()], |row| {
        Ok((read_terms(row)?, row.get("last_seq")?))
    });
    Ok(found.optional()?)
}

const ALONE: &str = "select * from assignments where operation = ?1 and probe = ?2";

/// The same as [`one`], where what its operation adds is known.
pub(super) fn under(
    connection: &Connection,
    terms: Terms,
    operation: OperationId,
    probe: ProbeId,
) -> Stored<Option<Held>> {
    let mut statement = connection.prepare_cached(ALONE)?;
    let found = statement.query_row([operation.to_string(), probe.to_string()], read);
    Ok(found
        .optional()?
        .map(|assignment| Held { assignment, terms }))
}

const OPEN_OF_OPERATION: &str =
    select_held!("where a.operation = ?1 and a.ended_at_ms is null order by a.probe");

/// The open assignments of an operation.
pub(super) fn open_of_operation(connection: &Connection, id: OperationId) -> Stored<Vec<Held>> {
    let mut statement = connection.prepare_cached(OPEN_OF_OPERATION)?;
    let found = statement.query_map([id.to_string()], read_held)?;
    Ok(found.collect::<Result<_, _>>()?)
}

const OPEN_OF_PROBE: &str = select_held!("where a.probe = ?1 and a.ended_at_ms is null");

/// The open assignments of a probe.
pub(super) fn open_of_probe(connection: &Connection, id: ProbeId) -> Stored<Vec<Held>> {
    let mut statement = connection.prepare_cached(OPEN_OF_PROBE)?;
    let found = statement.query_map([id.to_string()], read_held)?;
    Ok(found.collect::<Result<_, _>>()?)
}

const OVERDUE: &str = select_held!(
    "where a.ended_at_ms is null and a.ends_at_ms <= ?1 order by a.ends_at_ms limit ?2"
);

/// Open assignments whose time is over, the longest first.
pub(super) fn overdue(
    connection: &Connection,
    now: DateTime<Utc>,
    limit: usize,
) -> Stored<Vec<Held>> {
    let mut statement = connection.prepare_cached(OVERDUE)?;
    let found = statement.query_map(params![ms(now), codec::limit(limit)], read_held)?;
    Ok(found.collect::<Result<_, _>>()?)
}

const SCHEDULE: &str = "select schedule from operations where id = ?1";

/// An operation's schedule.
pub(super) fn schedule(connection: &Connection, id: OperationId) -> Stored<Option<Schedule>> {
    let mut statement = connection.prepare_cached(SCHEDULE)?;
    let found = statement.query_row([id.to_string()], |row| maybe_json(row, "schedule"));
    Ok(found.optional()?.flatten())
}

const SAVE: &str =
    "update assignments set state = ?3, reason = ?4, planned_runs = ?5, results = ?6,
    delivered_at_ms = ?7, accepted_at_ms = ?8, ended_at_ms = ?9, ends_at_ms = ?10
    where operation = ?1 and probe = ?2";

fn save(connection: &Connection, held: &Held) -> Stored<()> {
    let it = &held.assignment;
    let ends_at = lifecycle::open_until(it.state, held.terms.expires_at, held.terms.closes_at);
    connection.prepare_cached(SAVE)?.execute(params![
        it.operation.to_string(),
        it.probe.to_string(),
        it.state.as_str(),
        it.reason,
        it.planned_runs,
        it.results,
        it.delivered_at.map(ms),
        it.accepted_at.map(ms),
        it.ended_at.map(ms),
        (!it.state.is_ended()).then(|| ms(ends_at)),
    ])?;
    Ok(())
}

/// Moves an assignment on, keeping `paid` of its planned runs; `None` where its state does not allow it.
pub(super) fn step(
    connection: &Connection,
    held: &mut Held,
    next: AssignmentState,
    paid: u32,
    at: DateTime<Utc>,
) -> Stored<Option<Change>> {
    let at = as_kept(at);
    let Some(given_back) = lifecycle::advance(&mut held.assignment, next, paid, at) else {
        return Ok(None);
    };
    let (operation, probe) = (held.assignment.operation, held.assignment.probe);
    save(connection, held)?;
    give_back(connection, held, given_back, at)?;
    let operation_ended = next.is_ended() && leave(connection, held, at)?;
    Ok(Some(Change {
        operation,
        probe,
        state: next,
        operation_ended,
    }))
}

/// The probe has taken it on, by its own word or by acting as if; then it moves to `next`, which may be that.
pub(super) fn accept(
    connection: &Connection,
    held: &mut Held,
    next: AssignmentState,
    at_least: u32,
    at: DateTime<Utc>,
) -> Stored<Option<Change>> {
    // Only where it is known when it was delivered do runs get lost, and a schedule is worth reading.
    let schedule = match held.assignment.delivered_at {
        Some(_) => schedule(connection, held.assignment.operation)?,
        None => None,
    };
    let paid = lifecycle::paid_when_accepted(&held.assignment, schedule.as_ref()).max(at_least);
    held.assignment.accepted_at = Some(as_kept(at));
    step(connection, held, next, paid, at)
}

const REFUNDED: &str = "update operations set refunded = refunded + ?2 where id = ?1";

fn give_back(connection: &Connection, held: &Held, runs: u32, at: DateTime<Utc>) -> Stored<()> {
    let credits = i64::from(runs).saturating_mul(i64::from(held.terms.run_price));
    if credits == 0 {
        return Ok(());
    }
    let it = &held.assignment;
    let mut statement = connection.prepare_cached(REFUNDED)?;
    statement.execute(params![it.operation.to_string(), credits])?;
    let cause = Cause {
        reason: LedgerReason::Refund,
        operation: Some(it.operation),
        probe: Some(it.probe),
        at,
    };
    balance::credit(connection, held.terms.owner, credits, cause)
}

const UNLOAD: &str = "update probes set load = load - ?2 where id = ?1";
const LEAVE: &str = "update operations set open_assignments = open_assignments - 1,
    ended_at_ms = case when open_assignments = 1 then ?2 end
    where id = ?1 returning open_assignments";

/// An assignment ended: frees its probe; whether it was its operation's last.
fn leave(connection: &Connection, held: &Held, at: DateTime<Utc>) -> Stored<bool> {
    let it = &held.assignment;
    let mut unload = connection.prepare_cached(UNLOAD)?;
    unload.execute(params![it.probe.to_string(), held.terms.run_price])?;
    let mut leave = connection.prepare_cached(LEAVE)?;
    let open: i64 = leave.query_row(params![it.operation.to_string(), ms(at)], |row| row.get(0))?;
    Ok(open == 0)
}

/// Cancels an open assignment; what its probe may have run stays paid.
pub(super) fn cancel(
    connection: &Connection,
    held: &mut Held,
    ahead: Option<u32>,
    at: DateTime<Utc>,
) -> Stored<Option<Change>> {
    let paid = lifecycle::paid_when_cancelled(&held.assignment, ahead);
    step(connection, held, AssignmentState::Cancelled, paid, at)
}

/// Ends an open assignment whose time is over.
pub(super) fn end(
    connection: &Connection,
    held: &mut Held,
    next: AssignmentState,
    at: DateTime<Utc>,
) -> Stored<Option<Change>> {
    let paid = lifecycle::paid_when_ended(&held.assignment, next);
    step(connection, held, next, paid, at)
}

const COUNT: &str = "update assignments set results = ?3 where operation = ?1 and probe = ?2";

/// Writes how many results an assignment has, where nothing else of it changed.
pub(super) fn count(connection: &Connection, held: &Held) -> Stored<()> {
    let it = &held.assignment;
    let mut statement = connection.prepare_cached(COUNT)?;
    statement.execute(params![
        it.operation.to_string(),
        it.probe.to_string(),
        it.results
    ])?;
    Ok(())
}

const OF_OPERATION: &str = "select * from assignments where operation = ?1 order by probe";

/// All assignments of an operation, in the order of their probes' ids.
pub(super) fn of_operation(connection: &Connection, id: OperationId) -> Stored<Vec<Assignment>> {
    let mut statement = connection.prepare_cached(OF_OPERATION)?;
    let found = statement.query_map([id.to_string()], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

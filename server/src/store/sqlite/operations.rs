//! Operations: reading them, cancelling them, and ending what only time ends. [`super::opening`] creates them,
//! [`super::recording`] takes what probes report of them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{ContentFormat, OperationId, ProbeId, Schedule, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore, assignments,
    codec::{as_kept, json, maybe_json, maybe_time, ms, parsed, time, whole, word},
    opening,
    paging::{self, List},
    recording, results,
};
use crate::{
    domain::{
        Assignment, Candidate, Operation, Plan, Refusal, lifecycle, operation::remaining_runs,
    },
    store::{
        Brief, Change, Created, IdempotencyKey, Lease, Opened, OperationStore, Outcome, Progress,
        Report, ResultRow, Span, Stored, Work,
    },
};

#[async_trait]
impl OperationStore for SqliteStore {
    async fn open(
        &self,
        plan: Plan,
        candidates: Vec<Candidate>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Result<Created<Opened>, Refusal>> {
        self.write(move |connection| opening::open(connection, plan, &candidates, key.as_ref()))
            .await
    }

    async fn operation(&self, id: OperationId) -> Stored<Option<Operation>> {
        self.read(move |connection| one(connection, id)).await
    }

    async fn whole_operation(
        &self,
        id: OperationId,
        reader: Option<UserId>,
    ) -> Stored<Option<(Operation, Vec<Assignment>)>> {
        self.read(move |connection| {
            with(connection, id, reader, |moment| {
                assignments::of_operation(moment, id)
            })
        })
        .await
    }

    async fn assignments(&self, id: OperationId) -> Stored<Vec<Assignment>> {
        self.read(move |connection| assignments::of_operation(connection, id))
            .await
    }

    async fn operations(
        &self,
        owner: Option<UserId>,
        span: Span<OperationId>,
        limit: usize,
    ) -> Stored<Vec<Operation>> {
        self.read(move |connection| paging::page(connection, &LIST, owner, span, limit, read))
            .await
    }

    async fn cancel(
        &self,
        id: OperationId,
        at: DateTime<Utc>,
    ) -> Stored<Option<(Operation, Vec<Change>)>> {
        self.write(move |connection| cancel(connection, id, at))
            .await
    }

    async fn briefs(&self, ids: Vec<OperationId>) -> Stored<Vec<Brief>> {
        self.read(move |connection| briefs(connection, &ids)).await
    }

    async fn progress(&self, ids: Vec<OperationId>) -> Stored<Vec<Progress>> {
        self.read(move |connection| progress(connection, &ids))
            .await
    }

    async fn record(&self, reports: Arc<Vec<Report>>) -> Stored<Vec<Outcome>> {
        self.write(move |connection| recording::record(connection, &reports))
            .await
    }

    async fn results(
        &self,
        id: OperationId,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<ResultRow>> {
        self.read(move |connection| results::list(connection, id, after, limit, most_bytes))
            .await
    }

    async fn operation_with_results(
        &self,
        id: OperationId,
        reader: Option<UserId>,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Option<(Operation, Vec<ResultRow>)>> {
        self.read(move |connection| {
            with(connection, id, reader, |moment| {
                results::list(moment, id, after, limit, most_bytes)
            })
        })
        .await
    }

    async fn raw(&self, id: OperationId, seq: u64) -> Stored<Option<(ContentFormat, Bytes)>> {
        self.read(move |connection| results::raw(connection, id, seq))
            .await
    }

    async fn end_overdue(
        &self,
        lease: &Lease,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Vec<Change>> {
        lease.is_for(Work::EndOverdue)?;
        self.write(move |connection| end_overdue(connection, now, limit))
            .await
    }
}

fn read_plan(row: &Row<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan {
        id: parsed(row, "id")?,
        owner: parsed(row, "owner")?,
        kind: word(row, "kind")?,
        params: json(row, "params")?,
        targets: json(row, "targets")?,
        schedule: maybe_json(row, "schedule")?.map(|schedule: Schedule| Schedule {
            stop_time: as_kept(schedule.stop_time),
            ..schedule
        }),
        result_format: word(row, "result_format")?,
        offline: word(row, "offline")?,
        run_price: row.get("run_price")?,
        planned_runs: row.get("planned_runs")?,
        created_at: time(row, "created_at_ms")?,
        expires_at: time(row, "expires_at_ms")?,
        closes_at: time(row, "closes_at_ms")?,
        as_sent: maybe_json(row, "as_sent")?,
    })
}

/// An operation.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Operation> {
    Ok(Operation {
        plan: read_plan(row)?,
        charged: row.get("charged")?,
        refunded: row.get("refunded")?,
        last_seq: whole(row, "last_seq")?,
        cancelled_at: maybe_time(row, "cancelled_at_ms")?,
        ended_at: maybe_time(row, "ended_at_ms")?,
    })
}

const ONE: &str = "select * from operations where id = ?1";

/// An operation.
pub(super) fn one(connection: &Connection, id: OperationId) -> Stored<Option<Operation>> {
    let mut statement = connection.prepare_cached(ONE)?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// An operation and what belongs to it, at one moment; without that where `reader` may not have it.
fn with<T>(
    connection: &Connection,
    id: OperationId,
    reader: Option<UserId>,
    read: impl FnOnce(&Connection) -> Stored<Vec<T>>,
) -> Stored<Option<(Operation, Vec<T>)>> {
    let moment = connection.unchecked_transaction()?;
    let Some(operation) = one(&moment, id)? else {
        return Ok(None);
    };
    let is_theirs = reader.is_none_or(|reader| reader == operation.plan.owner);
    let found = if is_theirs {
        read(&moment)?
    } else {
        Vec::new()
    };
    Ok(Some((operation, found)))
}

/// What an operation was planned as.
pub(super) fn plan(connection: &Connection, id: OperationId) -> Stored<Option<Plan>> {
    let mut statement = connection.prepare_cached(ONE)?;
    Ok(statement
        .query_row([id.to_string()], read_plan)
        .optional()?)
}

const PROBES_OF: &str = "select probe from assignments where operation = ?1 order by probe";

/// The probes of an operation, in the order of their ids.
pub(super) fn probes_of(connection: &Connection, id: OperationId) -> Stored<Vec<ProbeId>> {
    let mut statement = connection.prepare_cached(PROBES_OF)?;
    let found = statement.query_map([id.to_string()], |row| parsed(row, "probe"))?;
    Ok(found.collect::<Result<_, _>>()?)
}

const LIST: List = List {
    table: "operations",
    condition: "true",
};

const CANCEL: &str = "update operations set cancelled_at_ms = ?2
    where id = ?1 and cancelled_at_ms is null and ended_at_ms is null";

/// Cancels what has not ended; what has, stays as it ended.
fn cancel(
    connection: &Connection,
    id: OperationId,
    at: DateTime<Utc>,
) -> Stored<Option<(Operation, Vec<Change>)>> {
    let mut statement = connection.prepare_cached(CANCEL)?;
    let mut changes = Vec::new();
    if statement.execute(params![id.to_string(), ms(at)])? > 0 {
        let schedule = assignments::schedule(connection, id)?;
        let ahead = schedule.map(|schedule| remaining_runs(Some(&schedule), at));
        for mut held in assignments::open_of_operation(connection, id)? {
            changes.extend(assignments::cancel(connection, &mut held, ahead, at)?);
        }
    }
    Ok(one(connection, id)?.map(|operation| (operation, changes)))
}

fn end_overdue(connection: &Connection, now: DateTime<Utc>, limit: usize) -> Stored<Vec<Change>> {
    let mut changes = Vec::new();
    for mut held in assignments::overdue(connection, now, limit)? {
        let next = lifecycle::overdue(held.assignment.state);
        changes.extend(assignments::end(connection, &mut held, next, now)?);
    }
    Ok(changes)
}

const BRIEFS: &str = "select o.id, o.kind, o.result_format from json_each(?1) asked
    cross join operations o on o.id = asked.value";

fn briefs(connection: &Connection, ids: &[OperationId]) -> Stored<Vec<Brief>> {
    let mut statement = connection.prepare_cached(BRIEFS)?;
    let found = statement.query_map([serde_json::to_string(ids)?], |row| {
        Ok(Brief {
            operation: parsed(row, "id")?,
            kind: word(row, "kind")?,
            result_format: word(row, "result_format")?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

const PROGRESS: &str = "select id, last_seq, ended_at_ms is not null as ended from operations
    where id in (select value from json_each(?1))";

fn progress(connection: &Connection, ids: &[OperationId]) -> Stored<Vec<Progress>> {
    let mut statement = connection.prepare_cached(PROGRESS)?;
    let found = statement.query_map([serde_json::to_string(ids)?], |row| {
        Ok(Progress {
            operation: parsed(row, "id")?,
            last_seq: whole(row, "last_seq")?,
            ended: row.get("ended")?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

//! Records become rows. What is there stays: each statement leaves out a row whose key there is.

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, UserId};
use rusqlite::{Connection, params};

use super::super::codec::{self, ms};
use crate::{
    domain::{Assignment, Operation, Probe, User},
    store::{IdempotencyKey, LedgerEntry, Record, ResultRow, StoreError, Stored},
};

/// Writes those of these records that are not there; how many.
pub(super) fn fill(connection: &Connection, records: &[Record]) -> Stored<usize> {
    records
        .iter()
        .map(|record| match record {
            Record::User {
                user,
                password_hash,
            } => add_user(connection, user, password_hash),
            Record::Probe { probe, deleted_at } => add_probe(connection, probe, *deleted_at),
            Record::Operation {
                operation,
                open_assignments,
            } => add_operation(connection, operation, *open_assignments),
            Record::Assignment {
                assignment,
                created_at,
                ends_at,
            } => add_assignment(connection, assignment, *created_at, *ends_at),
            Record::Result { operation, row } => add_result(connection, *operation, row),
            Record::Ledger { user, entry } => add_entry(connection, *user, entry),
            Record::Key {
                key,
                subject,
                answer,
                created_at,
            } => add_key(connection, key, subject, answer.as_deref(), *created_at),
        })
        .sum()
}

// Without a target the conflict may be over the id or over the address.
const USER: &str =
    "insert into users (id, email, password_hash, is_superuser, credits, created_at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing";
const IS_USER: &str = "select 1 from users where id = ?1";

fn add_user(connection: &Connection, user: &User, password_hash: &str) -> Stored<usize> {
    let id = user.id.to_string();
    let added = connection.prepare_cached(USER)?.execute(params![
        id,
        user.email,
        password_hash,
        user.is_superuser,
        user.credits,
        ms(user.created_at),
    ])?;
    if added == 0 && !connection.prepare_cached(IS_USER)?.exists([id])? {
        return Err(StoreError::EmailTaken);
    }
    Ok(added)
}

const PROBE: &str = "insert into probes (id, owner, name, longitude, latitude, token_generation, created_at_ms,
    deleted_at_ms, last_seen_ms, agent, agent_version, capabilities, total_credits, load, refused_results, sessions)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    on conflict (id) do nothing";

fn add_probe(
    connection: &Connection,
    probe: &Probe,
    deleted_at: Option<DateTime<Utc>>,
) -> Stored<usize> {
    let agent = probe.agent.as_ref();
    let capabilities = agent.map(|agent| serde_json::to_string(&agent.capabilities));
    Ok(connection.prepare_cached(PROBE)?.execute(params![
        probe.id.to_string(),
        probe.owner.to_string(),
        probe.name,
        probe.location.longitude,
        probe.location.latitude,
        probe.token_generation,
        ms(probe.created_at),
        deleted_at.map(ms),
        probe.last_seen.map(ms),
        agent.map(|agent| &agent.name),
        agent.map(|agent| &agent.version),
        capabilities.transpose()?,
        agent.map(|agent| agent.total_credits),
        probe.load,
        i64::try_from(probe.refused_results)?,
        i64::try_from(probe.sessions)?,
    ])?)
}

const OPERATION: &str = "insert into operations (id, owner, kind, result_format, offline, run_price, planned_runs,
    charged, refunded, last_seq, open_assignments, created_at_ms, expires_at_ms, closes_at_ms, stop_time_ms,
    cancelled_at_ms, ended_at_ms, schedule, params, targets, as_sent)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
    on conflict (id) do nothing";

fn add_operation(
    connection: &Connection,
    operation: &Operation,
    open_assignments: u32,
) -> Stored<usize> {
    let plan = &operation.plan;
    let schedule = plan.schedule.as_ref();
    Ok(connection.prepare_cached(OPERATION)?.execute(params![
        plan.id.to_string(),
        plan.owner.to_string(),
        plan.kind.as_str(),
        codec::result_format(plan.result_format),
        codec::offline(plan.offline),
        plan.run_price,
        plan.planned_runs,
        operation.charged,
        operation.refunded,
        i64::try_from(operation.last_seq)?,
        open_assignments,
        ms(plan.created_at),
        ms(plan.expires_at),
        ms(plan.closes_at),
        schedule.map(|schedule| ms(schedule.stop_time)),
        operation.cancelled_at.map(ms),
        operation.ended_at.map(ms),
        schedule.map(serde_json::to_string).transpose()?,
        plan.params.to_string(),
        serde_json::to_string(&plan.targets)?,
        plan.as_sent.as_ref().map(ToString::to_string),
    ])?)
}

const ASSIGNMENT: &str = "insert into assignments (operation, probe, state, planned_runs, results, created_at_ms,
    delivered_at_ms, accepted_at_ms, ended_at_ms, ends_at_ms, reason)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict (operation, probe) do nothing";

fn add_assignment(
    connection: &Connection,
    it: &Assignment,
    created_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
) -> Stored<usize> {
    Ok(connection.prepare_cached(ASSIGNMENT)?.execute(params![
        it.operation.to_string(),
        it.probe.to_string(),
        it.state.as_str(),
        it.planned_runs,
        it.results,
        ms(created_at),
        it.delivered_at.map(ms),
        it.accepted_at.map(ms),
        it.ended_at.map(ms),
        ends_at.map(ms),
        it.reason,
    ])?)
}

const RESULT: &str = "insert into results (operation, seq, probe, code, format, undecoded, measured, rewarded,
    received_at_ms, started_at_ms, finished_at_ms, clock_offset_us, clock_error_us, summary, document, raw)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    on conflict (operation, probe, code) do nothing";

fn add_result(connection: &Connection, operation: OperationId, row: &ResultRow) -> Stored<usize> {
    let result = &row.result;
    Ok(connection.prepare_cached(RESULT)?.execute(params![
        operation.to_string(),
        i64::try_from(row.seq)?,
        row.probe.to_string(),
        result.code.as_str(),
        result.format.as_str(),
        result.undecoded,
        result.measured,
        row.rewarded,
        ms(row.received_at),
        ms(result.started_at),
        ms(result.finished_at),
        result.clock.map(|clock| clock.offset_us),
        result.clock.map(|clock| clock.error_us),
        result.summary,
        result.document,
        &result.raw[..],
    ])?)
}

const ENTRY: &str =
    "insert into ledger (user, number, amount, balance, reason, operation, probe, at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (user, number) do nothing";

fn add_entry(connection: &Connection, user: UserId, entry: &LedgerEntry) -> Stored<usize> {
    Ok(connection.prepare_cached(ENTRY)?.execute(params![
        user.to_string(),
        entry.id,
        entry.amount,
        entry.balance,
        entry.reason.as_str(),
        entry.operation.map(|id| id.to_string()),
        entry.probe.map(|id| id.to_string()),
        ms(entry.at),
    ])?)
}

const KEY: &str =
    "insert into idempotency_keys (user, key, fingerprint, subject, answer, created_at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (user, key) do nothing";

fn add_key(
    connection: &Connection,
    key: &IdempotencyKey,
    subject: &str,
    answer: Option<&str>,
    created_at: DateTime<Utc>,
) -> Stored<usize> {
    Ok(connection.prepare_cached(KEY)?.execute(params![
        key.user.to_string(),
        key.key,
        key.fingerprint,
        subject,
        answer,
        ms(created_at),
    ])?)
}

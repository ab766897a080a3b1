//! Creating an operation: who runs it, what it costs, and the rows of it, in one transaction. Whatever is refused is
//! refused before the first row is written.

use probe_protocol::ProbeId;
use rusqlite::{Connection, params};

use super::{
    balance::{self, Cause},
    codec::{self, as_kept, ms},
    keys::{self, Known},
    operations, probes,
};
use crate::{
    domain::{
        AssignmentState, Candidate, Operation, Plan, Refusal, credits::LedgerReason, lifecycle,
        selection,
    },
    store::{Created, IdempotencyKey, Opened, StoreError, Stored},
};

/// Creates an operation.
pub(super) fn open(
    connection: &Connection,
    mut plan: Plan,
    candidates: &[Candidate],
    key: Option<&IdempotencyKey>,
) -> Stored<Result<Created<Opened>, Refusal>> {
    if let Some(known) = keys::find(connection, key)? {
        return opened_before(connection, &known).map(|opened| Ok(Created::Before(opened)));
    }
    plan.created_at = as_kept(plan.created_at);
    plan.expires_at = as_kept(plan.expires_at);
    plan.closes_at = as_kept(plan.closes_at);
    let ids: Vec<ProbeId> = candidates.iter().map(|candidate| candidate.probe).collect();
    let known = probes::capacities(connection, &ids)?;
    let (chosen, left_out) = selection::select(&plan, candidates, known);
    if chosen.is_empty() {
        return Ok(Err(Refusal::NoAvailableProbe(left_out)));
    }
    let price = plan
        .price_per_probe()
        .saturating_mul(i64::try_from(chosen.len())?);
    let cause = Cause {
        reason: LedgerReason::Charge,
        operation: Some(plan.id),
        probe: None,
        at: plan.created_at,
    };
    let balance = balance::of(connection, plan.owner)?.unwrap_or(0);
    if balance < price {
        return Ok(Err(Refusal::NotEnoughCredits { price, balance }));
    }
    insert(connection, &plan, price, chosen.len())?;
    if !balance::charge(connection, plan.owner, price, cause)? {
        return Err(StoreError::Corrupt(
            "a balance changed by itself".to_owned(),
        ));
    }
    assign(connection, &plan, &chosen)?;
    let answer = serde_json::to_string(&left_out)?;
    keys::keep(
        connection,
        key,
        &plan.id.to_string(),
        Some(&answer),
        plan.created_at,
    )?;
    Ok(Ok(Created::New(Opened {
        operation: Operation {
            plan,
            charged: price,
            refunded: 0,
            last_seq: 0,
            cancelled_at: None,
            ended_at: None,
        },
        probes: chosen,
        left_out,
    })))
}

/// What a repeated request opened, as it stands now.
fn opened_before(connection: &Connection, known: &Known) -> Stored<Opened> {
    let missing = || {
        StoreError::Corrupt(format!(
            "an idempotency key names no operation: {}",
            known.subject
        ))
    };
    let id = known.subject.parse().map_err(|_| missing())?;
    let operation = operations::one(connection, id)?.ok_or_else(missing)?;
    Ok(Opened {
        operation,
        probes: operations::probes_of(connection, id)?,
        left_out: known
            .answer
            .as_deref()
            .map(serde_json::from_str)
            .transpose()?
            .unwrap_or_default(),
    })
}

const INSERT: &str =
    "insert into operations (id, owner, kind, result_format, offline, run_price, planned_runs,
    charged, open_assignments, created_at_ms, expires_at_ms, closes_at_ms, stop_time_ms,
    schedule, params, targets, as_sent)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

fn insert(connection: &Connection, plan: &Plan, price: i64, assigned: usize) -> Stored<()> {
    let schedule = plan.schedule.as_ref();
    connection.prepare_cached(INSERT)?.execute(params![
        plan.id.to_string(),
        plan.owner.to_string(),
        plan.kind.as_str(),
        codec::result_format(plan.result_format),
        codec::offline(plan.offline),
        plan.run_price,
        plan.planned_runs,
        price,
        i64::try_from(assigned)?,
        ms(plan.created_at),
        ms(plan.expires_at),
        ms(plan.closes_at),
        schedule.map(|schedule| ms(schedule.stop_time)),
        schedule.map(serde_json::to_string).transpose()?,
        plan.params.to_string(),
        serde_json::to_string(&plan.targets)?,
        plan.as_sent.as_ref().map(ToString::to_string),
    ])?;
    Ok(())
}

const ASSIGN: &str =
    "insert into assignments (operation, probe, state, planned_runs, created_at_ms, ends_at_ms)
    select ?1, value, ?2, ?3, ?4, ?5 from json_each(?6)";
const LOAD: &str =
    "update probes set load = load + ?1 where id in (select value from json_each(?2))";

fn assign(connection: &Connection, plan: &Plan, chosen: &[ProbeId]) -> Stored<()> {
    let chosen = serde_json::to_string(chosen)?;
    let state = AssignmentState::Pending;
    connection.prepare_cached(ASSIGN)?.execute(params![
        plan.id.to_string(),
        state.as_str(),
        plan.planned_runs,
        ms(plan.created_at),
        ms(lifecycle::open_until(
            state,
            plan.expires_at,
            plan.closes_at
        )),
        chosen,
    ])?;
    let mut load = connection.prepare_cached(LOAD)?;
    load.execute(params![plan.run_price, chosen])?;
    Ok(())
}

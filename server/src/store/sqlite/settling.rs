//! What a probe finds when it connects, and what is pending for those that are connected.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    assignments::{self, Held},
    codec::{self, ms, parsed, whole, word},
    operations,
};
use crate::{
    domain::{
        Agent, AssignmentState, Holdings, Plan,
        lifecycle::{self, Share},
    },
    store::{Change, Settled, Stored},
};

const HELLO: &str =
    "update probes set agent = ?2, agent_version = ?3, capabilities = ?4, total_credits = ?5,
    last_seen_ms = ?6, sessions = sessions + 1
    where id = ?1 and token_generation = ?7 and deleted_at_ms is null returning sessions";

/// Keeps what the probe said and numbers its session; `None` where its token is not good any more.
pub(super) fn number(
    connection: &Connection,
    id: ProbeId,
    generation: u32,
    agent: &Agent,
    at: DateTime<Utc>,
) -> Stored<Option<u64>> {
    let said = params![
        id.to_string(),
        agent.name,
        agent.version,
        serde_json::to_string(&agent.capabilities)?,
        agent.total_credits,
        ms(at),
        generation,
    ];
    let session = connection
        .prepare_cached(HELLO)?
        .query_row(said, |row| whole(row, "sessions"));
    Ok(session.optional()?)
}

/// Settles what was open, and offers what is pending then.
pub(super) fn settle(
    connection: &Connection,
    id: ProbeId,
    session: u64,
    holdings: &Holdings,
    at: DateTime<Utc>,
    limit: usize,
) -> Stored<Settled> {
    let named = match holdings {
        Holdings::Exactly(operations) => operations.as_slice(),
        Holdings::Worth { .. } => &[],
    };
    let mut settled = Settled {
        session,
        ..Settled::default()
    };
    let mut open = assignments::open_of_probe(connection, id)?;
    let shares: Vec<Share> = open.iter().map(share).collect();
    for (held, holds) in open.iter_mut().zip(lifecycle::holds(holdings, &shares)) {
        if let Some(holds) = holds {
            let changed = settle_one(connection, held, holds, at)?;
            settled.changed.extend(changed);
        }
    }
    let mut seen: HashSet<OperationId> = shares.iter().map(|share| share.operation).collect();
    for &operation in named {
        let ended = seen.insert(operation);
        if ended && state(connection, operation, id)? != Some(AssignmentState::Finished) {
            settled.cancel.push(operation);
        }
    }
    settled.offers = offers(connection, id, at, limit)?;
    Ok(settled)
}

fn share(held: &Held) -> Share {
    Share {
        operation: held.assignment.operation,
        state: held.assignment.state,
        moved_at: held
            .assignment
            .delivered_at
            .max(held.assignment.accepted_at),
        runs_until: held.terms.is_repeated.then_some(held.terms.expires_at),
        run_price: held.terms.run_price,
    }
}

fn settle_one(
    connection: &Connection,
    held: &mut Held,
    holds: bool,
    at: DateTime<Utc>,
) -> Stored<Option<Change>> {
    match lifecycle::settled(&held.assignment, holds, held.terms.expires_at, at) {
        None => Ok(None),
        Some(AssignmentState::Accepted) => {
            assignments::accept(connection, held, AssignmentState::Accepted, 0, at)
        }
        Some(next) => assignments::end(connection, held, next, at),
    }
}

const STATE: &str = "select state from assignments where operation = ?1 and probe = ?2";

fn state(
    connection: &Connection,
    operation: OperationId,
    probe: ProbeId,
) -> Stored<Option<AssignmentState>> {
    let mut statement = connection.prepare_cached(STATE)?;
    let keys = [operation.to_string(), probe.to_string()];
    Ok(statement
        .query_row(keys, |row| word(row, "state"))
        .optional()?)
}

const PENDING: &str = "select operation from assignments
    where probe = ?1 and state = 'pending' and ended_at_ms is null and ends_at_ms > ?2
    order by created_at_ms, operation limit ?3";

fn pending_of(
    connection: &Connection,
    probe: ProbeId,
    until_after_ms: i64,
    limit: i64,
) -> Stored<Vec<OperationId>> {
    let mut statement = connection.prepare_cached(PENDING)?;
    let parameters = params![probe.to_string(), until_after_ms, limit];
    let found = statement.query_map(parameters, |row| parsed(row, "operation"))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn offers(
    connection: &Connection,
    id: ProbeId,
    at: DateTime<Utc>,
    limit: usize,
) -> Stored<Vec<Plan>> {
    let pending = pending_of(connection, id, ms(at), codec::limit(limit))?;
    let plans = pending
        .into_iter()
        .map(|operation| operations::plan(connection, operation));
    Ok(plans
        .collect::<Stored<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// Up to `limit` pending assignments of each probe. One lookup in the index for each; an operation that many of them
/// have is read once.
pub(super) fn pending(
    connection: &Connection,
    probes: &[ProbeId],
    limit: usize,
) -> Stored<Vec<(ProbeId, Plan)>> {
    let limit = codec::limit(limit);
    let mut plans: HashMap<OperationId, Option<Plan>> = HashMap::new();
    let mut found = Vec::new();
    for &probe in probes {
        for operation in pending_of(connection, probe, i64::MIN, limit)? {
            let plan = match plans.get(&operation) {
                Some(plan) => plan.clone(),
                None => {
                    let plan = operations::plan(connection, operation)?;
                    plans.insert(operation, plan.clone());
                    plan
                }
            };
            found.extend(plan.map(|plan| (probe, plan)));
        }
    }
    Ok(found)
}

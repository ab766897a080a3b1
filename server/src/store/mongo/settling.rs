//! What a probe finds when it connects, and what is pending for those that are connected.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use probe_protocol::{OperationId, ProbeId};
use serde::Deserialize;

use super::{
    Kept,
    books::{Books, Key},
    documents::{AgentDoc, AssignmentId, OnlyId, date, operation_ids, probe_ids},
    error::Attempt,
    link::Tx,
    paging,
    schema::{BY_PROBE, along},
};
use crate::{
    domain::{
        Agent, AssignmentState, Holdings, Plan,
        lifecycle::{self, Share},
    },
    store::Settled,
};

/// What a probe says when it connects.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) probe: ProbeId,
    pub(super) agent: Agent,
    pub(super) holdings: Holdings,
    pub(super) at: DateTime<Utc>,
    pub(super) limit: usize,
}

/// How many sessions a probe has had.
#[derive(Debug, Deserialize)]
struct SessionsDoc {
    sessions: i64,
}

/// The states of open assignments, as a condition.
pub(super) fn is_open() -> Document {
    doc! { "$in": AssignmentState::OPEN.map(AssignmentState::as_str).to_vec() }
}

/// Reads the open assignments of a probe and their operations.
pub(super) async fn load_open(books: &mut Books, tx: &mut Tx, probe: ProbeId) -> Attempt<Vec<Key>> {
    let assignments = tx.kept.assignments.clone();
    let open = doc! { "_id.probe": probe.object_id(), "state": is_open() };
    books.load_found(tx, assignments.find(open)).await
}

/// Keeps what the probe said, settles what was open, and offers what is pending then.
pub(super) async fn settle(tx: &mut Tx, hello: &Hello) -> Attempt<Settled> {
    let (id, at) = (hello.probe, hello.at);
    let named = match &hello.holdings {
        Holdings::Exactly(operations) => operations.as_slice(),
        Holdings::Worth { .. } => &[],
    };
    let agent = bson::serialize_to_bson(&AgentDoc::from(&hello.agent))?;
    let change = doc! {
        "$set": { "agent": agent, "last_seen": date(at) },
        "$inc": { "sessions": 1_i64 },
    };
    let probes = tx.kept.probes.clone_with_type::<SessionsDoc>();
    let alive = doc! { "_id": id.object_id(), "deleted_at": { "$exists": false } };
    let Some(SessionsDoc { sessions }) = tx.change(&probes, alive, change).await? else {
        // Deleted while it connected: nothing it holds is wanted.
        return Ok(Settled {
            cancel: named.to_vec(),
            ..Settled::default()
        });
    };
    let mut settled = Settled {
        session: u64::try_from(sessions)?,
        ..Settled::default()
    };
    let mut books = Books::default();
    let open = load_open(&mut books, tx, id).await?;
    let shares: Vec<Share> = open.iter().filter_map(|&key| share(&books, key)).collect();
    for (share, holds) in shares
        .iter()
        .zip(lifecycle::holds(&hello.holdings, &shares))
    {
        if let Some(holds) = holds {
            let changed = settle_one(&mut books, (share.operation, id), holds, at);
            settled.changed.extend(changed);
        }
    }
    books.write(tx).await?;
    settled.cancel = unwanted(tx, id, named, &shares).await?;
    let pending = pending_in(tx, id, at, hello.limit).await?;
    settled.offers = plans_in(tx, &pending).await?;
    Ok(settled)
}

fn share(books: &Books, key: Key) -> Option<Share> {
    let (assignment, terms) = books.get(key)?;
    Some(Share {
        operation: key.0,
        state: assignment.state,
        moved_at: assignment.delivered_at.max(assignment.accepted_at),
        runs_until: terms.schedule.as_ref().map(|_| terms.expires_at),
        run_price: terms.run_price,
    })
}

fn settle_one(
    books: &mut Books,
    key: Key,
    holds: bool,
    at: DateTime<Utc>,
) -> Option<crate::store::Change> {
    let (assignment, terms) = books.get(key)?;
    match lifecycle::settled(assignment, holds, terms.expires_at, at)? {
        AssignmentState::Accepted => books.accept(key, AssignmentState::Accepted, 0, at),
        next => books.end(key, next, at),
    }
}

/// What the probe holds and shall not: what is not open here, but for what it finished.
async fn unwanted(
    tx: &mut Tx,
    probe: ProbeId,
    named: &[OperationId],
    open: &[Share],
) -> Attempt<Vec<OperationId>> {
    let mut seen: HashSet<OperationId> = open.iter().map(|share| share.operation).collect();
    let mut unwanted: Vec<OperationId> = named
        .iter()
        .copied()
        .filter(|&id| seen.insert(id))
        .collect();
    if unwanted.is_empty() {
        return Ok(unwanted);
    }
    let ids = unwanted
        .iter()
        .map(|operation| doc! { "operation": operation.object_id(), "probe": probe.object_id() });
    let ids: Vec<Document> = ids.collect();
    let filter = doc! { "_id": { "$in": ids }, "state": AssignmentState::Finished.as_str() };
    let assignments = tx
        .kept
        .assignments
        .clone_with_type::<OnlyId<AssignmentId>>();
    let finished = tx
        .all(assignments.find(filter).projection(doc! { "_id": 1 }))
        .await?;
    let finished: HashSet<OperationId> = finished
        .into_iter()
        .map(|only| only.id.operation.into())
        .collect();
    unwanted.retain(|id| !finished.contains(id));
    Ok(unwanted)
}

fn pending_of(probe: impl Into<Bson>) -> Document {
    doc! { "_id.probe": probe, "state": AssignmentState::Pending.as_str() }
}

fn oldest_first() -> Document {
    doc! { "created_at": 1, "_id.operation": 1 }
}

async fn pending_in(
    tx: &mut Tx,
    probe: ProbeId,
    at: DateTime<Utc>,
    limit: usize,
) -> Attempt<Vec<OperationId>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let assignments = tx
        .kept
        .assignments
        .clone_with_type::<OnlyId<AssignmentId>>();
    let mut filter = pending_of(probe.object_id());
    filter.insert("ends_at", doc! { "$gt": date(at) });
    let find = assignments
        .find(filter)
        .hint(along(BY_PROBE))
        .projection(doc! { "_id": 1 })
        .sort(oldest_first())
        .limit(paging::limit(limit));
    let found = tx.all(find).await?;
    Ok(found
        .into_iter()
        .map(|only| only.id.operation.into())
        .collect())
}

async fn plans_in(tx: &mut Tx, ids: &[OperationId]) -> Attempt<Vec<Plan>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let operations = tx.kept.operations.clone();
    let found = tx
        .all(operations.find(doc! { "_id": { "$in": operation_ids(ids) } }))
        .await?;
    let mut plans = HashMap::with_capacity(found.len());
    for document in found {
        plans.insert(OperationId::from(document.id), document.plan()?);
    }
    Ok(ids.iter().filter_map(|id| plans.remove(id)).collect())
}

/// Up to `limit` pending assignments of each probe, in one walk along the index; an operation that many of them have is
/// read once.
pub(super) async fn pending(
    kept: &Kept,
    probes: &[ProbeId],
    limit: usize,
) -> Attempt<Vec<(ProbeId, Plan)>> {
    let assignments = kept.assignments.clone_with_type::<OnlyId<AssignmentId>>();
    let of_these = doc! { "$in": probe_ids(probes) };
    let mut cursor = assignments
        .find(pending_of(of_these))
        .projection(doc! { "_id": 1 })
        .sort(doc! { "_id.probe": 1, "state": 1, "created_at": 1, "_id.operation": 1 })
        .await?;
    let mut found: Vec<(ProbeId, OperationId)> = Vec::new();
    let mut of_probe = 0_usize;
    while let Some(OnlyId { id }) = cursor.try_next().await? {
        let probe = ProbeId::from(id.probe);
        let same = found.last().is_some_and(|last| last.0 == probe);
        of_probe = if same { of_probe + 1 } else { 1 };
        if of_probe <= limit {
            found.push((probe, id.operation.into()));
        }
    }
    let mut ids: Vec<OperationId> = found.iter().map(|pair| pair.1).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut plans = HashMap::with_capacity(ids.len());
    if !ids.is_empty() {
        let find = kept
            .operations
            .find(doc! { "_id": { "$in": operation_ids(&ids) } });
        let operations: Vec<_> = find.await?.try_collect().await?;
        for document in operations {
            plans.insert(OperationId::from(document.id), document.plan()?);
        }
    }
    let with_plan = |(probe, id): (ProbeId, OperationId)| Some((probe, plans.get(&id)?.clone()));
    Ok(found.into_iter().filter_map(with_plan).collect())
}

//! What probes find when they connect, and what is pending for those that are connected.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document, doc};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use futures::TryStreamExt as _;
use probe_protocol::{OperationId, ProbeId};

use super::{
    Kept,
    books::{Books, Key},
    documents::{
        AgentDoc, AssignmentId, OnlyId, OperationDoc, StandingDoc, date, operation_ids, probe_ids,
    },
    error::Attempt,
    link::{Alike, Tx},
    probes::{standing, these},
};
use crate::{
    domain::{
        Agent, AssignmentState, Holdings, Plan,
        lifecycle::{self, Share},
    },
    store::{Change, Settled, Standing},
};

/// What a probe says when it connects.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    pub(super) probe: ProbeId,
    pub(super) generation: u32,
    pub(super) agent: Agent,
    pub(super) holdings: Holdings,
    pub(super) at: DateTime<Utc>,
    pub(super) limit: usize,
}

/// The states of open assignments, as a condition.
pub(super) fn is_open() -> Document {
    doc! { "$in": AssignmentState::OPEN.map(AssignmentState::as_str).to_vec() }
}

/// Reads the open assignments of probes and their operations.
pub(super) async fn load_open(
    books: &mut Books,
    tx: &mut Tx,
    probes: &[ProbeId],
) -> Attempt<Vec<Key>> {
    let assignments = tx.kept.assignments.clone();
    let open = doc! { "_id.probe": { "$in": probe_ids(probes) }, "state": is_open() };
    books.load_found(tx, assignments.find(open)).await
}

/// Keeps what probes said, settles what was open, and offers what is pending then; one answer for each, `None` where its
/// token is not good any more. No probe is there twice.
pub(super) async fn settle(tx: &mut Tx, hellos: &[Hello]) -> Attempt<Vec<Option<Settled>>> {
    let sessions = number(tx, hellos).await?;
    let mut books = Books::default();
    let welcome: Vec<ProbeId> = sessions.keys().copied().collect();
    let open = load_open(&mut books, tx, &welcome).await?;
    let mut settled = Vec::with_capacity(hellos.len());
    for hello in hellos {
        let Some(&session) = sessions.get(&hello.probe) else {
            settled.push(None);
            continue;
        };
        let of_probe = open.iter().filter(|key| key.1 == hello.probe);
        let shares: Vec<Share> = of_probe.filter_map(|&key| share(&books, key)).collect();
        settled.push(Some(Settled {
            session,
            changed: settle_open(&mut books, hello, &shares),
            cancel: not_open(hello, &shares),
            ..Settled::default()
        }));
    }
    // Before they are written, which takes the books along.
    let pending: Vec<Vec<OperationId>> = hellos
        .iter()
        .map(|hello| books.pending_of(hello.probe, hello.at, hello.limit))
        .collect();
    books.write(tx).await?;
    spare_finished(tx, hellos, &mut settled).await?;
    offer(tx, &pending, &mut settled).await?;
    Ok(settled)
}

/// Keeps what probes said of themselves and numbers their sessions, of those whose token is good.
async fn number(tx: &mut Tx, hellos: &[Hello]) -> Attempt<HashMap<ProbeId, u64>> {
    let ids: Vec<ProbeId> = hellos.iter().map(|hello| hello.probe).collect();
    let probes = tx.kept.probes.clone_with_type::<StandingDoc>();
    let find = probes.find(these(&ids)).projection(standing());
    let found = tx.all(find).await?.into_iter().map(Standing::from);
    let found: HashMap<ProbeId, Standing> = found.map(|it| (it.probe, it)).collect();
    let mut sessions = HashMap::new();
    // Many have the same agent, and a statement for all of them costs a fraction of one for each.
    let mut alike: HashMap<(AgentDoc, DateTime<Utc>), Vec<Bson>> = HashMap::new();
    for hello in hellos {
        let standing = found.get(&hello.probe);
        let Some(standing) = standing.filter(|it| it.token_generation == hello.generation) else {
            continue;
        };
        let said = (AgentDoc::from(&hello.agent), about(hello.at));
        alike
            .entry(said)
            .or_default()
            .push(hello.probe.object_id().into());
        // Who counts at the same time is in conflict with this, so it is the number that is written.
        sessions.insert(hello.probe, standing.sessions + 1);
    }
    let change = |((agent, at), ids): ((AgentDoc, DateTime<Utc>), Vec<Bson>)| {
        let agent = bson::serialize_to_bson(&agent)?;
        Ok(Alike {
            ids,
            change: doc! {
                "$set": { "agent": agent, "last_seen": date(at) },
                "$inc": { "sessions": 1_i64 },
            },
        })
    };
    let changes = alike.into_iter().map(change).collect::<Attempt<Vec<_>>>()?;
    let probes = tx.kept.probes.clone();
    tx.update_alike(&probes, changes).await?;
    Ok(sessions)
}

/// When a probe was seen: people look at it, for whom a tenth of a second is at the same time.
fn about(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::milliseconds(100))
        .unwrap_or(at)
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

/// Brings what is open on a probe to the state of what it holds.
fn settle_open(books: &mut Books, hello: &Hello, shares: &[Share]) -> Vec<Change> {
    let holds = lifecycle::holds(&hello.holdings, shares);
    let settle_one = |(share, holds): (&Share, Option<bool>)| {
        let (key, at) = ((share.operation, hello.probe), hello.at);
        let (assignment, terms) = books.get(key)?;
        match lifecycle::settled(assignment, holds?, terms.expires_at, at)? {
            AssignmentState::Accepted => books.accept(key, AssignmentState::Accepted, 0, at),
            next => books.end(key, next, at),
        }
    };
    shares.iter().zip(holds).filter_map(settle_one).collect()
}

/// What a probe holds and is not open here, each once.
fn not_open(hello: &Hello, open: &[Share]) -> Vec<OperationId> {
    let Holdings::Exactly(named) = &hello.holdings else {
        return Vec::new();
    };
    let mut seen: HashSet<OperationId> = open.iter().map(|share| share.operation).collect();
    named
        .iter()
        .copied()
        .filter(|&id| seen.insert(id))
        .collect()
}

/// What probes hold and is not open they shall stop, but for what they finished.
async fn spare_finished(
    tx: &mut Tx,
    hellos: &[Hello],
    settled: &mut [Option<Settled>],
) -> Attempt<()> {
    let mut ids = Vec::new();
    for (hello, settled) in hellos.iter().zip(&*settled) {
        let cancel = settled.iter().flat_map(|settled| &settled.cancel);
        ids.extend(cancel.map(|&id| Bson::from(AssignmentId::of(id, hello.probe))));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let filter = doc! { "_id": { "$in": ids }, "state": AssignmentState::Finished.as_str() };
    let assignments = tx
        .kept
        .assignments
        .clone_with_type::<OnlyId<AssignmentId>>();
    let find = assignments.find(filter).projection(doc! { "_id": 1 });
    let finished: HashSet<Key> = tx
        .all(find)
        .await?
        .into_iter()
        .map(|only| (only.id.operation.into(), only.id.probe.into()))
        .collect();
    for (hello, settled) in hellos.iter().zip(settled) {
        if let Some(settled) = settled {
            let is_finished = |&id: &OperationId| finished.contains(&(id, hello.probe));
            settled.cancel.retain(|id| !is_finished(id));
        }
    }
    Ok(())
}

/// Adds the plans of what is pending for each.
async fn offer(
    tx: &mut Tx,
    pending: &[Vec<OperationId>],
    settled: &mut [Option<Settled>],
) -> Attempt<()> {
    let ids: HashSet<OperationId> = pending.iter().flatten().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<OperationId> = ids.into_iter().collect();
    let operations = tx.kept.operations.clone();
    let find = operations.find(doc! { "_id": { "$in": operation_ids(&ids) } });
    let plans = plans_of(tx.all(find).await?)?;
    for (settled, pending) in settled.iter_mut().zip(pending) {
        if let Some(settled) = settled {
            let plans = pending.iter().filter_map(|id| plans.get(id).cloned());
            settled.offers = plans.collect();
        }
    }
    Ok(())
}

fn plans_of(found: Vec<OperationDoc>) -> Attempt<HashMap<OperationId, Plan>> {
    let plan = |document: OperationDoc| Ok((document.id.into(), document.plan()?));
    found.into_iter().map(plan).collect()
}

fn pending_of(probe: impl Into<Bson>) -> Document {
    doc! { "_id.probe": probe, "state": AssignmentState::Pending.as_str() }
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
    // Of the identifier only what the index has, so that no document is read.
    let mut cursor = assignments
        .find(pending_of(of_these))
        .projection(doc! { "_id.probe": 1, "_id.operation": 1 })
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
    let mut plans = HashMap::new();
    if !ids.is_empty() {
        let find = kept
            .operations
            .find(doc! { "_id": { "$in": operation_ids(&ids) } });
        plans = plans_of(find.await?.try_collect().await?)?;
    }
    let with_plan = |(probe, id): (ProbeId, OperationId)| Some((probe, plans.get(&id)?.clone()));
    Ok(found.into_iter().filter_map(with_plan).collect())
}

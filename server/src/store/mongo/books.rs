//! The books of a transaction: the assignments, operations and balances that it works on, read in few queries, changed in
//! memory by the domain's rules, written in few commands. Every change of an assignment's state goes through
//! [`Books::step`], which keeps in line what hangs on it: the operation's count of open assignments and its end, and what
//! is given back to its owner.
//!
//! Written first is what others want too, balances and operations: who comes too late learns it before the long work.

use std::collections::HashMap;

use bson::{Bson, DateTime as Date, Document, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use mongodb::action::Find;
use probe_protocol::{OperationId, ProbeId, Schedule, UserId};
use serde::Deserialize;

use super::{
    balances::{self, Cause, Entry},
    documents::{AssignmentDoc, AssignmentId, ScheduleDoc, as_kept, date, operation_ids, time},
    error::Attempt,
    link::{Tx, Update},
};
use crate::{
    domain::{Assignment, AssignmentState, credits::LedgerReason, lifecycle},
    store::Change,
};

mod changes;

/// What an operation adds to every decision about its assignments.
#[derive(Debug, Clone, Deserialize)]
struct TermsDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    owner: ObjectId,
    run_price: u32,
    expires_at: Date,
    closes_at: Date,
    #[serde(default)]
    schedule: Option<ScheduleDoc>,
    last_seq: i64,
    refunded: i64,
    open_assignments: i64,
    #[serde(default)]
    ended_at: Option<Date>,
}

const TERMS: [&str; 9] = [
    "owner",
    "run_price",
    "expires_at",
    "closes_at",
    "schedule",
    "last_seq",
    "refunded",
    "open_assignments",
    "ended_at",
];

/// An operation in the books.
#[derive(Debug)]
pub(super) struct Terms {
    owner: UserId,
    pub(super) run_price: u32,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) closes_at: DateTime<Utc>,
    pub(super) schedule: Option<Schedule>,
    last_seq: u64,
    refunded: i64,
    open_assignments: i64,
    ended_at: Option<Date>,
    changed: bool,
}

/// An assignment in the books.
#[derive(Debug)]
struct Held {
    assignment: Assignment,
    created_at: Date,
    /// Results that were counted.
    counted: u32,
    /// Whether anything else changed.
    changed: bool,
}

/// Names an assignment.
pub(super) type Key = (OperationId, ProbeId);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Books {
    operations: HashMap<OperationId, Terms>,
    assignments: HashMap<Key, Held>,
    entries: Vec<Entry>,
}

impl Books {
    /// Reads these assignments and their operations.
    pub(super) async fn load(&mut self, tx: &mut Tx, keys: &[Key]) -> Attempt<()> {
        let ids = keys.iter().map(|key| AssignmentId::of(key.0, key.1));
        let ids: Vec<Bson> = ids.map(Bson::from).collect();
        let filter = doc! { "_id": { "$in": ids } };
        let found = tx.kept.assignments.clone();
        self.load_found(tx, found.find(filter)).await?;
        // Also those of which the probe has no assignment: whoever asks tells them from unknown ones.
        let operations: Vec<OperationId> = keys.iter().map(|key| key.0).collect();
        self.load_operations(tx, operations).await
    }

    /// Reads the assignments that a query finds, and their operations; answers with them in the query's order.
    pub(super) async fn load_found(
        &mut self,
        tx: &mut Tx,
        find: Find<'_, AssignmentDoc>,
    ) -> Attempt<Vec<Key>> {
        let found = tx.all(find).await?;
        let mut keys = Vec::with_capacity(found.len());
        for document in found {
            let assignment = Assignment::from(&document);
            let key = (assignment.operation, assignment.probe);
            keys.push(key);
            self.assignments.entry(key).or_insert(Held {
                assignment,
                created_at: document.created_at,
                counted: 0,
                changed: false,
            });
        }
        self.load_operations(tx, keys.iter().map(|key| key.0).collect())
            .await?;
        Ok(keys)
    }

    async fn load_operations(&mut self, tx: &mut Tx, mut ids: Vec<OperationId>) -> Attempt<()> {
        ids.retain(|id| !self.operations.contains_key(id));
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let operations = tx.kept.operations.clone_with_type::<TermsDoc>();
        let fields: Document = TERMS
            .iter()
            .map(|&name| (name.to_owned(), Bson::Int32(1)))
            .collect();
        let find = operations
            .find(doc! { "_id": { "$in": operation_ids(&ids) } })
            .projection(fields);
        for document in tx.all(find).await? {
            let terms = Terms {
                owner: document.owner.into(),
                run_price: document.run_price,
                expires_at: time(document.expires_at),
                closes_at: time(document.closes_at),
                schedule: document.schedule.map(Into::into),
                last_seq: u64::try_from(document.last_seq)?,
                refunded: document.refunded,
                open_assignments: document.open_assignments,
                ended_at: document.ended_at,
                changed: false,
            };
            self.operations.insert(document.id.into(), terms);
        }
        Ok(())
    }

    /// An assignment and its operation.
    pub(super) fn get(&self, key: Key) -> Option<(&Assignment, &Terms)> {
        Some((
            &self.assignments.get(&key)?.assignment,
            self.operations.get(&key.0)?,
        ))
    }

    /// What is pending for a probe and not over then, oldest first, at most so many.
    pub(super) fn pending_of(
        &self,
        probe: ProbeId,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Vec<OperationId> {
        let is_pending = |held: &&Held| {
            let it = &held.assignment;
            let terms = self.operations.get(&it.operation);
            let ends_at = terms.map(|it| {
                lifecycle::open_until(AssignmentState::Pending, it.expires_at, it.closes_at)
            });
            it.probe == probe && it.state == AssignmentState::Pending && ends_at > Some(at)
        };
        let mut pending: Vec<&Held> = self.assignments.values().filter(is_pending).collect();
        pending.sort_unstable_by_key(|held| (held.created_at, held.assignment.operation));
        let ids = pending.iter().map(|held| held.assignment.operation);
        ids.take(limit).collect()
    }

    /// Whether there is such an operation.
    pub(super) fn knows(&self, operation: OperationId) -> bool {
        self.operations.contains_key(&operation)
    }

    /// Notes why the probe would not run it.
    pub(super) fn set_reason(&mut self, key: Key, reason: &str) {
        if let Some(held) = self.assignments.get_mut(&key) {
            held.assignment.reason = Some(lifecycle::short_reason(reason).to_owned());
        }
    }

    /// Moves an assignment on, keeping `paid` of its planned runs; `None` where its state does not allow it.
    pub(super) fn step(
        &mut self,
        key: Key,
        next: AssignmentState,
        paid: u32,
        at: DateTime<Utc>,
    ) -> Option<Change> {
        let at = as_kept(at);
        let held = self.assignments.get_mut(&key)?;
        let terms = self.operations.get_mut(&key.0)?;
        let given_back = lifecycle::advance(&mut held.assignment, next, paid, at)?;
        held.changed = true;
        let credits = i64::from(given_back).saturating_mul(i64::from(terms.run_price));
        if credits > 0 {
            terms.refunded = terms.refunded.saturating_add(credits);
            terms.changed = true;
            let cause = Cause {
                reason: LedgerReason::Refund,
                operation: Some(key.0),
                probe: Some(key.1),
                at,
            };
            self.entries.push((terms.owner, credits, cause));
        }
        let mut operation_ended = false;
        if next.is_ended() {
            terms.open_assignments -= 1;
            terms.changed = true;
            operation_ended = terms.open_assignments == 0;
            if operation_ended {
                terms.ended_at = Some(date(at));
            }
        }
        Some(Change {
            operation: key.0,
            probe: key.1,
            state: next,
            operation_ended,
        })
    }

    /// The probe has taken it on, by its own word or by acting as if; then it moves to `next`, which may be that.
    pub(super) fn accept(
        &mut self,
        key: Key,
        next: AssignmentState,
        at_least: u32,
        at: DateTime<Utc>,
    ) -> Option<Change> {
        let (assignment, terms) = self.get(key)?;
        let paid = lifecycle::paid_when_accepted(assignment, terms.schedule.as_ref()).max(at_least);
        if let Some(held) = self.assignments.get_mut(&key) {
            held.assignment.accepted_at = Some(as_kept(at));
        }
        self.step(key, next, paid, at)
    }

    /// Cancels an open assignment; what its probe may have run stays paid. `ahead` are the runs its schedule still has.
    pub(super) fn cancel(
        &mut self,
        key: Key,
        ahead: Option<u32>,
        at: DateTime<Utc>,
    ) -> Option<Change> {
        let paid = lifecycle::paid_when_cancelled(self.get(key)?.0, ahead);
        self.step(key, AssignmentState::Cancelled, paid, at)
    }

    /// Ends an open assignment whose time is over.
    pub(super) fn end(
        &mut self,
        key: Key,
        next: AssignmentState,
        at: DateTime<Utc>,
    ) -> Option<Change> {
        let paid = lifecycle::paid_when_ended(self.get(key)?.0, next);
        self.step(key, next, paid, at)
    }

    /// Counts a result that is stored: its number. It shows that the probe runs the assignment, and may be the last one.
    pub(super) fn count(&mut self, key: Key, at: DateTime<Utc>) -> Option<(u64, Option<Change>)> {
        let terms = self.operations.get_mut(&key.0)?;
        terms.last_seq += 1;
        terms.changed = true;
        let seq = terms.last_seq;
        let assignment = &self.assignments.get(&key)?.assignment;
        let counted = assignment.results.saturating_add(1);
        let mut changed = None;
        if matches!(
            assignment.state,
            AssignmentState::Pending | AssignmentState::Delivered
        ) {
            changed = self.accept(key, AssignmentState::Accepted, counted, at);
        }
        let held = self.assignments.get_mut(&key)?;
        held.assignment.results = counted;
        held.counted = held.counted.saturating_add(1);
        let planned = held.assignment.planned_runs;
        if counted >= planned {
            let ended = self.step(key, AssignmentState::Finished, planned, at);
            changed = ended.or(changed);
        }
        Some((seq, changed))
    }

    /// Adds credits to a balance.
    pub(super) fn credit(&mut self, user: UserId, credits: i64, cause: Cause) {
        self.entries.push((user, credits, cause));
    }

    /// Writes everything that changed.
    pub(super) fn write<'t>(self, tx: &'t mut Tx) -> BoxFuture<'t, Attempt<()>> {
        Box::pin(async move {
            let Self {
                operations,
                assignments,
                entries,
            } = self;
            balances::enter(tx, entries).await?;
            let changed = operations.iter().filter(|(_, terms)| terms.changed);
            let updates = changed
                .map(|(id, terms)| operation_update(*id, terms))
                .collect::<Attempt<Vec<_>>>()?;
            let collection = tx.kept.operations.clone();
            tx.update(&collection, updates).await?;
            let collection = tx.kept.assignments.clone();
            let changes = changes::of(&operations, assignments.values());
            tx.update_alike(&collection, changes).await
        })
    }
}

fn operation_update(id: OperationId, terms: &Terms) -> Attempt<Update> {
    let mut set = doc! {
        "last_seq": i64::try_from(terms.last_seq)?,
        "refunded": terms.refunded,
        "open_assignments": terms.open_assignments,
    };
    if let Some(ended_at) = terms.ended_at {
        set.insert("ended_at", ended_at);
    }
    Ok(Update {
        filter: doc! { "_id": id.object_id() },
        change: doc! { "$set": set },
    })
}

//! What a store holds, read to be judged ([`crate::domain::audit`]): in pages by key, each as of one moment, so that a hub
//! that works meanwhile does no harm. What cannot be read is named, and the rest is read all the same. Repairs are here too:
//! each works out its answer anew, in the transaction that writes it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use super::{Lease, Stored};
use crate::domain::audit::{
    AssignmentFacts, EntryFacts, OperationFacts, ProbeFacts, Repair, ResultFacts, Thing, UserFacts,
};

/// A page of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts<T> {
    /// Those that can be read.
    pub(crate) read: Vec<T>,
    /// The others.
    pub(crate) unreadable: Vec<Unreadable>,
    /// The page ends here, and the next one begins behind it; `None` where nothing is left.
    pub(crate) end: Option<Edge>,
}

/// Where a page ends: names in the order of a store's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The first part of the key, as text: a user, a probe, an operation.
    pub(crate) id: String,
    /// The second one, where there is one; [`Edge::WHOLE`] is behind all of them.
    pub(crate) number: i64,
}

impl Edge {
    /// Behind everything of one identifier.
    pub(crate) const WHOLE: i64 = i64::MAX;

    /// Behind that thing and all of it.
    pub(crate) fn behind(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            number: Self::WHOLE,
        }
    }
}

/// Something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// What it is called, with the name of its part: `users 5f…`.
    pub(crate) name: String,
    /// Why.
    pub(crate) why: String,
    /// The user it is of, if that is known.
    pub(crate) user: Option<UserId>,
    /// The probe it is of.
    pub(crate) probe: Option<ProbeId>,
    /// The operation it is of.
    pub(crate) operation: Option<OperationId>,
    /// Its number and balance, where it is an entry of a ledger.
    pub(crate) entry: Option<(i64, Option<i64>)>,
}

impl Unreadable {
    /// Something of a part that cannot be read.
    pub(crate) fn of(name: String, why: impl Into<String>) -> Self {
        Self {
            name,
            why: why.into(),
            user: None,
            probe: None,
            operation: None,
            entry: None,
        }
    }
}

/// Operations, with all assignments of operations between the page's edges as of the same moment: also those of operations
/// that are not there.
pub(crate) type OperationsFacts = (Facts<OperationFacts>, Facts<AssignmentFacts>);

/// Reading everything to judge it, and putting right what has one right answer.
#[async_trait]
pub(crate) trait AuditStore: Send + Sync {
    /// Up to `limit` users behind an edge.
    async fn user_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<UserFacts>>;
    /// Up to `limit` probes behind an edge, deleted ones too.
    async fn probe_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<ProbeFacts>>;
    /// Up to `limit` operations behind an edge, with their assignments. Where it is the last page, with those of whatever
    /// comes behind it.
    async fn operation_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<OperationsFacts>;
    /// Up to `limit` results behind an edge, of operations up to `last`, or of all that come; in the order of operations
    /// and numbers.
    async fn result_facts(
        &self,
        after: Option<&Edge>,
        last: Option<&Edge>,
        limit: usize,
    ) -> Stored<Facts<ResultFacts>>;
    /// Up to `limit` entries of ledgers behind an edge, in the order of users and numbers.
    async fn entry_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<EntryFacts>>;
    /// When the first entry of a user's ledger was made.
    async fn first_entry(&self, user: UserId) -> Stored<Option<DateTime<Utc>>>;
    /// Those of these that are not there.
    async fn absent(&self, things: Vec<Thing>) -> Stored<Vec<Thing>>;
    /// What the database finds wrong with itself, in words; it may take long.
    async fn inspect(&self) -> Stored<Vec<String>>;
    /// Puts something right; what was done, in words, or `None` where there was nothing to do, or no right answer.
    async fn repair(&self, repair: Repair) -> Stored<Option<String>>;
    /// Keeps the newest report, in the place of the one before. [`super::StoreError::LeaseLost`] where the lease is no longer
    /// the newest.
    async fn keep_report(&self, lease: &Lease, report: String) -> Stored<()>;
    /// The newest report.
    async fn report(&self) -> Stored<Option<String>>;
}

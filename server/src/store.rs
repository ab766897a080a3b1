//! The port to where truth is kept, in the domain's words. One method is one transaction: it happens whole or not at
//! all, and when it has returned it is durable.
//!
//! Adapters implement it and are named by `app` alone; `contract` is the suite that each of them passes. A store
//! announces nothing: who writes tells the bus afterwards.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{ContentFormat, OperationId, ProbeId, UserId};

use crate::domain::{
    Agent, Assignment, AssignmentState, Candidate, Holdings, LeftOut, Location, Operation, Plan,
    Presence, Probe, Refusal, User, credits::LedgerReason, probe::ProbeCard,
};

mod audit;
#[cfg(test)]
mod contract;
mod glance;
mod lease;
pub(crate) mod mongo;
mod moving;
mod report;
pub(crate) mod sqlite;
mod stamp;
mod upgrade;

pub(crate) use audit::{AuditStore, Edge, Facts, OperationsFacts, Unreadable};
pub(crate) use glance::{Progress, Standing};
pub(crate) use lease::{Lease, Work};
pub(crate) use moving::{MoveStore, Part, Record};
pub(crate) use report::{Brief, Clock, Move, NewResult, Outcome, Report, ResultRow, Verdict, What};
pub(crate) use stamp::{OtherEnvironment, Stamp};
pub(crate) use upgrade::{Step, Upgrade};

/// A store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// It does not answer, or not in time; trying again later may help.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What it holds cannot be read; trying again will not help.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// An e-mail address is taken.
    #[error("that e-mail address is already registered")]
    EmailTaken,
    /// An idempotency key came with a different request.
    #[error("that idempotency key was used for a different request")]
    KeyReused,
    /// The balance would leave the range that can be kept.
    #[error("the balance would become too large")]
    BalanceTooLarge,
    /// Others change the same things all the time; nothing was done, and less at once may get through.
    #[error("others change the same things all the time")]
    Contended,
    /// Somebody else has the lease of a work; nothing was done.
    #[error("another hub has taken that work over")]
    LeaseLost,
}

/// Result of a store method.
pub(crate) type Stored<T> = Result<T, StoreError>;

/// Makes a creation safe to repeat: the same user, key and request create one thing, within a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    /// Who asks.
    pub(crate) user: UserId,
    /// What they call the request.
    pub(crate) key: String,
    /// Digest of the request, so that a key is not used for two different ones.
    pub(crate) fingerprint: String,
}

/// Whether a creation created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Created<T> {
    /// It did.
    New(T),
    /// The same request had created this before.
    Before(T),
}

impl<T> Created<T> {
    /// What there is now.
    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::New(value) | Self::Before(value) => value,
        }
    }
}

/// Which part of a list, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span<Id> {
    /// Newest first, with an id below this one; from the newest on where there is none.
    Before(Option<Id>),
    /// Oldest first, with an id above this one; from the oldest on where there is none.
    After(Option<Id>),
}

/// A user to be.
#[derive(Clone)]
pub(crate) struct NewUser {
    /// Address.
    pub(crate) email: String,
    /// Hashed password, with algorithm, salt and cost inside.
    pub(crate) password_hash: String,
    /// Whether it may grant credits.
    pub(crate) is_superuser: bool,
    /// When.
    pub(crate) created_at: DateTime<Utc>,
}

/// A probe to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewProbe {
    /// Who hosts it.
    pub(crate) owner: UserId,
    /// For people.
    pub(crate) name: Option<String>,
    /// Where it stands.
    pub(crate) location: Location,
    /// When.
    pub(crate) created_at: DateTime<Utc>,
}

/// One change of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    /// Number of the entry among those of its user: 1, 2, 3 …
    pub(crate) id: i64,
    /// Credits; negative where the balance fell.
    pub(crate) amount: i64,
    /// Balance after it.
    pub(crate) balance: i64,
    /// Why.
    pub(crate) reason: LedgerReason,
    /// The operation it is about.
    pub(crate) operation: Option<OperationId>,
    /// The probe it is about.
    pub(crate) probe: Option<ProbeId>,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

/// Users, balances and the ledger.
#[async_trait]
pub(crate) trait UserStore: Send + Sync {
    /// Registers a user with no credits; [`StoreError::EmailTaken`] where the address exists.
    async fn create_user(&self, user: NewUser) -> Stored<User>;
    /// A user.
    async fn user(&self, id: UserId) -> Stored<Option<User>>;
    /// A user with the hashed password, by address.
    async fn credentials(&self, email: String) -> Stored<Option<(User, String)>>;
    /// Replaces a hashed password.
    async fn set_password_hash(&self, id: UserId, password_hash: String) -> Stored<()>;
    /// Adds credits with a ledger entry; `None` where there is no such user.
    async fn grant(
        &self,
        id: UserId,
        credits: i64,
        at: DateTime<Utc>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Option<User>>;
    /// Ledger entries of a user, newest first, with an id below `before`.
    async fn ledger(
        &self,
        id: UserId,
        before: Option<i64>,
        limit: usize,
    ) -> Stored<Vec<LedgerEntry>>;
}

/// What a probe finds when it connects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settled {
    /// The number of the session that begins: 1, 2, 3 … for each probe, whatever hub it connects to.
    pub(crate) session: u64,
    /// To be sent now, oldest first, at most as many as were asked for; the rest stays pending.
    pub(crate) offers: Vec<Plan>,
    /// Held by the probe but ended or unknown here: it is told to stop them.
    pub(crate) cancel: Vec<OperationId>,
    /// Assignments whose state changed.
    pub(crate) changed: Vec<Change>,
}

/// An assignment's state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    /// The operation.
    pub(crate) operation: OperationId,
    /// The probe.
    pub(crate) probe: ProbeId,
    /// The new state.
    pub(crate) state: AssignmentState,
    /// Whether this was the operation's last open assignment.
    pub(crate) operation_ended: bool,
}

/// Says of probes who is connected, in the order in which they are asked for.
pub(crate) type Who = Arc<dyn Fn(&[ProbeId]) -> Vec<Option<Presence>> + Send + Sync>;

/// Probes.
#[async_trait]
pub(crate) trait ProbeStore: Send + Sync {
    /// Registers a probe, token generation 1.
    async fn create_probe(
        &self,
        probe: NewProbe,
        key: Option<IdempotencyKey>,
    ) -> Stored<Created<Probe>>;
    /// A probe that was not deleted.
    async fn probe(&self, id: ProbeId) -> Stored<Option<Probe>>;
    /// Up to `limit` probes of a span, of one owner where one is given, each with what `who` knows of it. Loads count for
    /// those that somebody knows; a store that has to sum them up spares itself the others'.
    async fn seen_probes(
        &self,
        owner: Option<UserId>,
        span: Span<ProbeId>,
        limit: usize,
        who: Who,
    ) -> Stored<Vec<(Probe, Option<Presence>)>>;
    /// The same as if all were connected.
    #[cfg(test)]
    async fn probes(
        &self,
        owner: Option<UserId>,
        span: Span<ProbeId>,
        limit: usize,
    ) -> Stored<Vec<Probe>> {
        let who: Who = Arc::new(|ids| vec![Some(Presence::default()); ids.len()]);
        let seen = self.seen_probes(owner, span, limit, who).await?;
        Ok(seen.into_iter().map(|(probe, _)| probe).collect())
    }
    /// These probes, in any order; unknown ones are left out.
    async fn probes_by_id(&self, ids: Vec<ProbeId>) -> Stored<Vec<Probe>>;
    /// Which tokens and sessions of these probes are good, each once, in any order; unknown and deleted ones are left out.
    /// Up to 5,000 at a time.
    async fn standings(&self, ids: Vec<ProbeId>) -> Stored<Vec<Standing>>;
    /// Changes what is given; `None` where there is no such probe.
    async fn change_probe(&self, id: ProbeId, card: ProbeCard) -> Stored<Option<Probe>>;
    /// Makes every token of the probe invalid but those of the new generation.
    async fn rotate_token(&self, id: ProbeId) -> Stored<Option<Probe>>;
    /// Deletes a probe: its open assignments are cancelled and the unspent part given back; results stay. Answers with
    /// what changed, `None` where there is no such probe.
    async fn delete_probe(&self, id: ProbeId, at: DateTime<Utc>) -> Stored<Option<Vec<Change>>>;
    /// A probe connected: numbers the session, keeps what it said of itself and settles what was open by what it holds
    /// ([`crate::domain::lifecycle`]). What it holds and is open becomes accepted; what it should hold and does not
    /// becomes pending again (or ends, when its time is over). Then offers up to `limit` of what is pending. `None`, and nothing
    /// is done, where its token is not of this generation any more or it was deleted.
    async fn settle(
        &self,
        id: ProbeId,
        generation: u32,
        agent: Agent,
        holdings: Holdings,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Option<Settled>>;
    /// Up to `limit` pending assignments of each of these probes, oldest first.
    async fn pending(&self, probes: Vec<ProbeId>, limit: usize) -> Stored<Vec<(ProbeId, Plan)>>;
}

/// An operation and the assignments it got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    /// The operation.
    pub(crate) operation: Operation,
    /// Probes that were assigned.
    pub(crate) probes: Vec<ProbeId>,
    /// Probes that were asked for and left out.
    pub(crate) left_out: Vec<(ProbeId, LeftOut)>,
}

/// Operations, assignments and results.
#[async_trait]
pub(crate) trait OperationStore: Send + Sync {
    /// Creates an operation: selects among the candidates ([`crate::domain::selection::fits`]), charges, assigns.
    /// Where it cannot be created nothing changes.
    async fn open(
        &self,
        plan: Plan,
        candidates: Vec<Candidate>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Result<Created<Opened>, Refusal>>;
    /// An operation.
    async fn operation(&self, id: OperationId) -> Stored<Option<Operation>>;
    /// An operation with its assignments, in the order of their probes' ids; there are none where `reader` is somebody and
    /// the operation is another's.
    async fn whole_operation(
        &self,
        id: OperationId,
        reader: Option<UserId>,
    ) -> Stored<Option<(Operation, Vec<Assignment>)>>;
    /// Assignments of an operation, in the order of their probes' ids.
    async fn assignments(&self, id: OperationId) -> Stored<Vec<Assignment>>;
    /// Up to `limit` operations of a span; of one owner where one is given.
    async fn operations(
        &self,
        owner: Option<UserId>,
        span: Span<OperationId>,
        limit: usize,
    ) -> Stored<Vec<Operation>>;
    /// Cancels an operation: its open assignments end, the unspent part is given back. Cancelling again changes
    /// nothing. `None` where there is no such operation.
    async fn cancel(
        &self,
        id: OperationId,
        at: DateTime<Utc>,
    ) -> Stored<Option<(Operation, Vec<Change>)>>;
    /// What is needed to read results of these operations; unknown ones are left out.
    async fn briefs(&self, ids: Vec<OperationId>) -> Stored<Vec<Brief>>;
    /// How far these operations are, each once, in any order; unknown ones are left out. Up to 5,000 at a time.
    async fn progress(&self, ids: Vec<OperationId>) -> Stored<Vec<Progress>>;
    /// Takes reports in order, all in one transaction; one outcome for each. What is rejected or unusable is counted on
    /// its probe. [`StoreError::Contended`] where there are several and fewer may get through.
    async fn record(&self, reports: Arc<Vec<Report>>) -> Stored<Vec<Outcome>>;
    /// Results of an operation with a number above `after`, in order: at most `limit`, and no more after
    /// the documents exceed `most_bytes` together. The raw bytes are left empty.
    async fn results(
        &self,
        id: OperationId,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<ResultRow>>;
    /// An operation and such results of it; there are none where `reader` is somebody and the operation is another's.
    async fn operation_with_results(
        &self,
        id: OperationId,
        reader: Option<UserId>,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Option<(Operation, Vec<ResultRow>)>>;
    /// The raw bytes of one result.
    async fn raw(&self, id: OperationId, seq: u64) -> Stored<Option<(ContentFormat, Bytes)>>;
    /// Ends what only time ends, at most `limit` assignments a call: what was never delivered in time expires and is
    /// given back, what runs past its stop time and grace is finished. [`StoreError::LeaseLost`] where the lease is no
    /// longer the newest; where nothing is overdue either may be said.
    async fn end_overdue(
        &self,
        lease: &Lease,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Vec<Change>>;
}

/// What keeps a store tidy, and its end.
#[async_trait]
pub(crate) trait UpkeepStore: Send + Sync {
    /// What the database is called; the same for all hubs on it.
    fn name(&self) -> &str;
    /// The environment that the database belongs to; none before a hub has used it.
    async fn environment(&self) -> Stored<Option<String>>;
    /// Stamps the database with an environment, where it has none. Answers with the one that it has then: of several that
    /// ask at the same time, one decides.
    async fn stamp(&self, environment: &str) -> Stored<String>;
    /// Takes the lease of a work, for so long from now on by the store's clock, if nobody has it or its time is over;
    /// renews it where `holder` has it. `None` where somebody else has it. A store that is embedded has one hub, which has
    /// its file locked: that is the lease, and it is granted whenever it is asked for, with fence 1.
    async fn lease(&self, work: Work, holder: &str, length: Duration) -> Stored<Option<Lease>>;
    /// Gives a lease up before its time is over. Nothing happens where it is not the newest any more.
    async fn release(&self, lease: &Lease) -> Stored<()>;
    /// Forgets idempotency keys made before. [`StoreError::LeaseLost`] where the lease is no longer the newest.
    async fn forget_keys(&self, lease: &Lease, before: DateTime<Utc>) -> Stored<()>;
    /// Forgets results that were stored before, at most `limit` a call; how many. Nothing where the store does so by
    /// itself, else [`StoreError::LeaseLost`] where the lease is no longer the newest.
    async fn forget_results(
        &self,
        lease: &Lease,
        before: DateTime<Utc>,
        limit: usize,
    ) -> Stored<usize>;
    /// Deletes everything there is and keeps the schema and the leases, which are the hubs' own; answers with the probes
    /// there were.
    async fn delete_all(&self) -> Stored<Vec<ProbeId>>;
    /// Whether it answers and can be written.
    async fn ping(&self) -> Stored<()>;
    /// Takes no more writes and waits until those that were taken are durable or given up.
    async fn close(&self);
}

/// All of it.
pub(crate) trait Store:
    UserStore + ProbeStore + OperationStore + UpkeepStore + MoveStore + AuditStore
{
}
impl<T: UserStore + ProbeStore + OperationStore + UpkeepStore + MoveStore + AuditStore> Store
    for T
{
}

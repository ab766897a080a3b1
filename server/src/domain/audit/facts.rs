//! What is read of a store to be judged. Numbers have signs, though they should never be below zero: a store may hold
//! anything.

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use crate::domain::{AssignmentState, credits::LedgerReason};

/// Something that others name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// A user.
    User(UserId),
    /// A probe, deleted or not.
    Probe(ProbeId),
    /// An operation.
    Operation(OperationId),
}

/// A user and the end of its ledger, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserFacts {
    /// Who.
    pub(crate) id: UserId,
    /// Balance.
    pub(crate) credits: i64,
    /// Number of the newest entry as the user has it, where a store keeps it.
    pub(crate) entries: Option<i64>,
    /// Number and balance of the newest entry; where `entries` is known, of that entry or a later one.
    pub(crate) newest: Option<(i64, i64)>,
}

/// An entry of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryFacts {
    /// Whose.
    pub(crate) user: UserId,
    /// Number among the user's entries.
    pub(crate) number: i64,
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
}

/// A probe, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeFacts {
    /// Which.
    pub(crate) id: ProbeId,
    /// Who hosts it.
    pub(crate) owner: UserId,
    /// Its load as it is kept, and that of its open assignments, where a store keeps it.
    pub(crate) load: Option<(i64, i64)>,
}

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OperationFacts {
    /// Which.
    pub(crate) id: OperationId,
    /// Who pays.
    pub(crate) owner: UserId,
    /// Price of a run, credits.
    pub(crate) run_price: i64,
    /// Credits charged.
    pub(crate) charged: i64,
    /// Credits given back.
    pub(crate) refunded: i64,
    /// Number of its newest result.
    pub(crate) last_seq: i64,
    /// Assignments that are open.
    pub(crate) open_assignments: i64,
    /// When created.
    pub(crate) created_at: DateTime<Utc>,
    /// What was not delivered by then expires.
    pub(crate) expires_at: DateTime<Utc>,
    /// What was accepted is over then.
    pub(crate) closes_at: DateTime<Utc>,
    /// Whether it runs by a schedule.
    pub(crate) is_repeated: bool,
    /// When its last assignment ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// An assignment, of the moment of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AssignmentFacts {
    /// The operation.
    pub(crate) operation: OperationId,
    /// The probe.
    pub(crate) probe: ProbeId,
    /// Where it stands.
    pub(crate) state: AssignmentState,
    /// Runs that are paid for.
    pub(crate) planned_runs: i64,
    /// Results that it counts.
    pub(crate) results: i64,
    /// Price of a run, where a store keeps it here too.
    pub(crate) run_price: Option<i64>,
    /// When it ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// When time alone ends it.
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

/// How far a probe's clock was from the hub's, µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockFacts {
    /// Probe minus hub.
    pub(crate) offset_us: i64,
    /// How wrong that may be.
    pub(crate) error_us: i64,
}

/// A result. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResultFacts {
    /// The operation.
    pub(crate) operation: OperationId,
    /// Number among the operation's results.
    pub(crate) seq: i64,
    /// The probe.
    pub(crate) probe: ProbeId,
    /// Whether it was rewarded.
    pub(crate) rewarded: bool,
    /// When the run began, by the hub's clock.
    pub(crate) started_at: DateTime<Utc>,
    /// When it was stored.
    pub(crate) received_at: DateTime<Utc>,
    /// The probe's clock then, where it is known.
    pub(crate) clock: Option<ClockFacts>,
}

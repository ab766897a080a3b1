//! What must be true of everything that a store holds together, and what is found where it is not: facts in, [`Finding`]s
//! out. [`crate::diagnosis`] reads the facts, a piece of the store at a time; each piece is of one moment, so what a hub
//! does meanwhile is never taken for damage.

use probe_protocol::{OperationId, ProbeId, UserId};
use serde::{Deserialize, Serialize};

mod books;
mod facts;
mod measured;
mod operations;
#[cfg(test)]
mod tests;

pub(crate) use books::{Ledger, Sums, account, is_older_than_its_ledger, load, sums};
pub(crate) use facts::{
    AssignmentFacts, ClockFacts, EntryFacts, OperationFacts, ProbeFacts, ResultFacts, Thing,
    UserFacts,
};
pub(crate) use measured::Tally;
pub(crate) use operations::operation;

/// What was broken.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// A balance is what its ledger's newest entry leaves.
    Balance,
    /// Nobody has less than nothing.
    Negative,
    /// An entry's balance follows from the one before.
    LedgerBreak,
    /// Entries of a user are numbered 1, 2, 3 ….
    LedgerNumbers,
    /// What an operation was charged is in the ledger, once.
    LedgerCharge,
    /// What was given back is in the ledger.
    LedgerRefund,
    /// Each rewarded result is in the ledger.
    LedgerReward,
    /// Results of an operation are numbered 1, 2, 3 … up to its count.
    ResultNumbers,
    /// No result counts whose run began after the operation closed.
    ResultLate,
    /// An assignment counts its results.
    AssignmentResults,
    /// There are no more results than paid runs.
    OverPlan,
    /// What was charged and not given back is the price of what is still planned.
    Price,
    /// No more is given back than was charged.
    Refunded,
    /// An operation counts its open assignments.
    OpenAssignments,
    /// An operation has ended when nothing of it is open, and only then.
    Ended,
    /// An assignment has ended when its state says so, and only then.
    AssignmentState,
    /// An open assignment ends when its state tells.
    AssignmentEnd,
    /// An assignment has the price of its operation.
    AssignmentPrice,
    /// An operation closes when its time is over, and not before.
    Closes,
    /// A probe's load is that of its open assignments.
    ProbeLoad,
    /// What is named is there.
    Orphan,
    /// What is there can be read.
    Unreadable,
    /// The database finds nothing wrong with itself.
    Store,
    /// The clock of the hub's host is right.
    HostClock,
    /// The clock of a probe is right.
    ProbeClock,
}

impl Rule {
    /// All of them.
    pub(crate) const ALL: [Self; 25] = [
        Self::Balance,
        Self::Negative,
        Self::LedgerBreak,
        Self::LedgerNumbers,
        Self::LedgerCharge,
        Self::LedgerRefund,
        Self::LedgerReward,
        Self::ResultNumbers,
        Self::ResultLate,
        Self::AssignmentResults,
        Self::OverPlan,
        Self::Price,
        Self::Refunded,
        Self::OpenAssignments,
        Self::Ended,
        Self::AssignmentState,
        Self::AssignmentEnd,
        Self::AssignmentPrice,
        Self::Closes,
        Self::ProbeLoad,
        Self::Orphan,
        Self::Unreadable,
        Self::Store,
        Self::HostClock,
        Self::ProbeClock,
    ];

    /// Its name, as in reports and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Negative => "negative",
            Self::LedgerBreak => "ledger_break",
            Self::LedgerNumbers => "ledger_numbers",
            Self::LedgerCharge => "ledger_charge",
            Self::LedgerRefund => "ledger_refund",
            Self::LedgerReward => "ledger_reward",
            Self::ResultNumbers => "result_numbers",
            Self::ResultLate => "result_late",
            Self::AssignmentResults => "assignment_results",
            Self::OverPlan => "over_plan",
            Self::Price => "price",
            Self::Refunded => "refunded",
            Self::OpenAssignments => "open_assignments",
            Self::Ended => "ended",
            Self::AssignmentState => "assignment_state",
            Self::AssignmentEnd => "assignment_end",
            Self::AssignmentPrice => "assignment_price",
            Self::Closes => "closes",
            Self::ProbeLoad => "probe_load",
            Self::Orphan => "orphan",
            Self::Unreadable => "unreadable",
            Self::Store => "store",
            Self::HostClock => "host_clock",
            Self::ProbeClock => "probe_clock",
        }
    }

    /// Whether it says that the ledger has lost or changed something: then no balance follows from it for certain.
    pub(crate) const fn is_of_the_ledger(self) -> bool {
        matches!(
            self,
            Self::LedgerBreak
                | Self::LedgerNumbers
                | Self::LedgerCharge
                | Self::LedgerRefund
                | Self::LedgerReward
                | Self::Unreadable
                | Self::Store
        )
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Finding {
    /// What was broken.
    pub(crate) rule: Rule,
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<UserId>,
    /// Of which probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<ProbeId>,
    /// Of which operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<OperationId>,
    /// What is wrong, in words.
    pub(crate) what: String,
    /// Whether `pladmed diagnose --repair` may put it right.
    pub(crate) repairable: bool,
    /// How.
    #[serde(skip)]
    pub(crate) repair: Option<Repair>,
}

impl Finding {
    /// A finding of a rule, in words.
    pub(crate) fn of(rule: Rule, what: impl Into<String>) -> Self {
        Self {
            rule,
            user: None,
            probe: None,
            operation: None,
            what: what.into(),
            repairable: false,
            repair: None,
        }
    }

    /// The same with its user.
    pub(crate) fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// The same with its probe.
    pub(crate) fn probe(mut self, probe: ProbeId) -> Self {
        self.probe = Some(probe);
        self
    }

    /// The same with its operation.
    pub(crate) fn operation(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The same with what puts it right.
    pub(crate) fn repair(mut self, repair: Repair) -> Self {
        self.repairable = true;
        self.repair = Some(repair);
        self
    }
}

/// What has one right answer, which follows from what else the store holds. Whoever repairs works it out anew, in the
/// transaction that writes it. Nothing is deleted, and no entry of a ledger is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Repair {
    /// The results that an assignment counts, where all results of its operation are there.
    Results(OperationId, ProbeId),
    /// When an open assignment ends.
    Ends(OperationId, ProbeId),
    /// An operation's count of open assignments, and when it ended.
    Open(OperationId),
    /// A user's balance and count of entries, where the ledger is whole.
    Balance(UserId),
    /// A probe's load.
    Load(ProbeId),
}

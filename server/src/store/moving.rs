//! Everything that a store holds as plain records, so that it can be carried into another store: the port behind
//! `pladmed copy` and `pladmed import`.
//!
//! Records keep identifiers, numbers and times as they are. Nothing is charged, rewarded or counted here: what a record
//! says is written as it stands, so whoever makes records answers for the promises they must keep together.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, UserId};

use super::{IdempotencyKey, LedgerEntry, ResultRow, Stored};
use crate::domain::{Assignment, Operation, Probe, User};

/// What a store holds, in the order in which it can be carried: nothing names what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Users with their balances.
    Users,
    /// Probes, deleted ones too.
    Probes,
    /// Operations.
    Operations,
    /// Assignments.
    Assignments,
    /// Results.
    Results,
    /// Entries of the ledger.
    Ledger,
    /// Idempotency keys.
    Keys,
}

impl Part {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Users,
        Self::Probes,
        Self::Operations,
        Self::Assignments,
        Self::Results,
        Self::Ledger,
        Self::Keys,
    ];

    /// For people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Probes => "probes",
            Self::Operations => "operations",
            Self::Assignments => "assignments",
            Self::Results => "results",
            Self::Ledger => "ledger entries",
            Self::Keys => "idempotency keys",
        }
    }
}

/// One of the things that a store holds.
#[derive(Clone, PartialEq)]
pub(crate) enum Record {
    /// A user and the hashed password.
    User {
        /// The user.
        user: User,
        /// Hashed password, with algorithm, salt and cost inside.
        password_hash: String,
    },
    /// A probe.
    Probe {
        /// The probe. Its load may be wrong until it is counted anew ([`MoveStore::count_loads`]).
        probe: Probe,
        /// When it was deleted.
        deleted_at: Option<DateTime<Utc>>,
    },
    /// An operation.
    Operation {
        /// The operation.
        operation: Box<Operation>,
        /// How many of its assignments are open.
        open_assignments: u32,
    },
    /// An assignment.
    Assignment {
        /// The assignment.
        assignment: Assignment,
        /// When it was made.
        created_at: DateTime<Utc>,
        /// When time alone ends it; none once it has ended.
        ends_at: Option<DateTime<Utc>>,
    },
    /// A result with its raw bytes.
    Result {
        /// The operation.
        operation: OperationId,
        /// The result.
        row: Box<ResultRow>,
    },
    /// An entry of the ledger. Its number is the user's own: 1, 2, 3 …
    Ledger {
        /// Whose.
        user: UserId,
        /// The entry.
        entry: LedgerEntry,
    },
    /// An idempotency key.
    Key {
        /// The key.
        key: IdempotencyKey,
        /// What the request created or changed.
        subject: String,
        /// What its answer said beside the subject: JSON text.
        answer: Option<String>,
        /// When it was made.
        created_at: DateTime<Utc>,
    },
}

impl Record {
    /// The part it belongs to.
    pub(crate) const fn part(&self) -> Part {
        match self {
            Self::User { .. } => Part::Users,
            Self::Probe { .. } => Part::Probes,
            Self::Operation { .. } => Part::Operations,
            Self::Assignment { .. } => Part::Assignments,
            Self::Result { .. } => Part::Results,
            Self::Ledger { .. } => Part::Ledger,
            Self::Key { .. } => Part::Keys,
        }
    }
}

/// Carrying everything into another store.
#[async_trait]
pub(crate) trait MoveStore: Send + Sync {
    /// Records of a part in the order of their keys, behind `after`, from the first on where it is none: at most `limit`,
    /// and no more after raw bytes and documents exceed `most_bytes` together.
    async fn records(
        &self,
        part: Part,
        after: Option<&Record>,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<Record>>;
    /// Writes those of these records that are not there, all in one transaction; how many were new. Records that are
    /// there stay as they are, also where they differ. [`super::StoreError::EmailTaken`] where a new user has the
    /// address of another.
    async fn fill(&self, records: Vec<Record>) -> Stored<usize>;
    /// Counts anew what open assignments weigh on their probes, which are written before them.
    async fn count_loads(&self) -> Stored<()>;
    /// How many records a part holds.
    async fn count(&self, part: Part) -> Stored<u64>;
    /// Notes that a move from somewhere begins: until [`MoveStore::end_move`] a hub must not start on this store. Again
    /// from the same place is the same move. Answers with the place of another one that has not ended, which stays.
    async fn begin_move(&self, from: &str, at: DateTime<Utc>) -> Stored<Option<String>>;
    /// Notes that the move is complete.
    async fn end_move(&self, at: DateTime<Utc>) -> Stored<()>;
    /// Where a move that has not ended comes from.
    async fn unfinished_move(&self) -> Stored<Option<String>>;
}

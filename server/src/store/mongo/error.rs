//! How the driver's errors become the port's, and which of them are worth another attempt: the only place.

use std::fmt;

use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::store::StoreError;

/// A key is there already (MongoDB's error code).
const DUPLICATE_KEY: i32 = 11_000;

/// An index is not there.
const INDEX_NOT_FOUND: i32 = 27;
/// A collection is there already.
const NAMESPACE_EXISTS: i32 = 48;
/// Another transaction has changed the same document, and has not ended or ended later.
const WRITE_CONFLICT: i32 = 112;

/// Codes of a server that is going down, coming up or losing an election, and of conflicts and lack of room, which pass:
/// HostUnreachable, HostNotFound, NetworkTimeout, ShutdownInProgress, PrimarySteppedDown, ExceededTimeLimit, WriteConflict,
/// NotWritablePrimary, LockTimeout, SnapshotUnavailable, NoSuchTransaction, SnapshotTooOld, InterruptedAtShutdown,
/// Interrupted, InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary, SocketException,
/// TemporarilyUnavailable, PooledConnectionAcquisitionExceededTimeLimit, MaxTimeMSExpired; CursorNotFound, QueryPlanKilled
/// and CursorKilled, where it went down between two parts of an answer; NotYetInitialized and
/// ReadConcernMajorityNotAvailableYet. And of a server that does not let us in, until its operator does: Unauthorized,
/// AuthenticationFailed.
const PASSING: &[i32] = &[
    6, 7, 89, 91, 189, 262, 112, 10_107, 24, 246, 251, 239, 11_600, 11_601, 11_602, 13_435, 13_436,
    9_001, 365, 202, 50, 43, 175, 237, 94, 134, 13, 18,
];

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver or the server.
    Driver(Error),
    /// Something that another attempt would not change.
    Final(StoreError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => f.write_str(&words(error)),
            Self::Final(error) => error.fmt(f),
        }
    }
}

/// Result of an attempt.
pub(super) type Attempt<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Final(StoreError::Corrupt(error.to_string()))
    }
}

impl From<bson::error::Error> for Failure {
    fn from(error: bson::error::Error) -> Self {
        Self::Final(StoreError::Corrupt(error.to_string()))
    }
}

impl From<std::num::TryFromIntError> for Failure {
    fn from(error: std::num::TryFromIntError) -> Self {
        Self::Final(StoreError::Corrupt(error.to_string()))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Final(error) => error,
            Failure::Driver(error) if is_passing(&error) || is_duplicate(&error) => {
                Self::Unavailable(words(&error))
            }
            Failure::Driver(error) => match *error.kind {
                ErrorKind::Authentication { .. } => Self::Unavailable(words(&error)),
                _ => Self::Corrupt(words(&error)),
            },
        }
    }
}

impl Failure {
    /// Whether a key is there already.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Driver(error) if is_duplicate(error))
    }

    /// Whether another transaction is in the way.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Driver(error) if code(error) == Some(WRITE_CONFLICT))
    }

    /// Whether another attempt may succeed. A key that is there already means that another hub was faster: the next
    /// attempt sees what it wrote.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Driver(error) => is_passing(error) || is_duplicate(error),
            Self::Final(_) => false,
        }
    }
}

/// What happened, without the bytes of the server's answer that the driver adds.
pub(super) fn words(error: &Error) -> String {
    error.kind.to_string()
}

/// Whether nobody knows if a commit happened; committing again tells.
pub(super) fn is_unknown_commit(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

fn is_passing(error: &Error) -> bool {
    let kind = matches!(
        *error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            // Said of a server that the driver has not heard of since it came up.
            | ErrorKind::SessionsNotSupported
    );
    kind || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
        || code(error).is_some_and(|code| PASSING.contains(&code))
}

/// Whether an index is not there.
pub(super) fn is_not_indexed(error: &Error) -> bool {
    code(error) == Some(INDEX_NOT_FOUND)
}

/// Whether a key is there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::InsertMany(error) => error
            .write_errors
            .iter()
            .flatten()
            .any(|e| e.code == DUPLICATE_KEY),
        _ => code(error) == Some(DUPLICATE_KEY),
    }
}

/// Whether a collection was made before.
pub(super) fn is_there_already(error: &Error) -> bool {
    code(error) == Some(NAMESPACE_EXISTS)
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

//! The port by which instances tell each other what happened. Events are hints: the store is the truth, and whoever
//! misses one reads there again. A hub alone is a bus of one.
//!
//! Adapters implement it and are named by `app` alone. Publishing never waits: where an event cannot be queued it is lost.

use std::sync::Arc;

use probe_protocol::{OperationId, ProbeId};
use tokio::sync::broadcast;

use crate::store::{Change, ResultRow};

pub(crate) mod local;

/// Something that happened, after it was committed.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A result was stored.
    Recorded(Arc<Recorded>),
    /// An assignment's state changed.
    Changed(Change),
    /// Tokens of a probe became invalid: its session must end.
    Revoked(ProbeId),
}

/// A stored result.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The operation.
    pub(crate) operation: OperationId,
    /// The result, without its raw bytes.
    pub(crate) row: ResultRow,
}

/// Where events go.
pub(crate) trait Bus: Send + Sync {
    /// Announces something that was committed.
    fn publish(&self, event: Event);
    /// Hears everything from now on. `Lagged` means that events were lost: read the store.
    fn subscribe(&self) -> broadcast::Receiver<Event>;
}

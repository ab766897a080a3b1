//! The port by which instances tell each other what happened. What they say are hints: the store is the truth, and
//! whoever misses something finds it there. A hub alone is a bus of one.
//!
//! Three ways: events, which every listener of this process hears; gossip about who is connected where, for
//! [`crate::roster`]; errands, for [`crate::dispatch`]. Adapters implement it and are named by `app` alone. Nothing here
//! waits: what cannot be queued is lost.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use probe_protocol::{OperationId, ProbeId};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use crate::{
    domain::Presence,
    store::{Change, ResultRow},
};

pub(crate) mod local;
pub(crate) mod redis;

/// One running hub process; another one after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct InstanceId(Uuid);

impl InstanceId {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened, after it was committed.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A result was stored, by this instance.
    Recorded(Arc<Recorded>),
    /// Another instance stored results of this operation, up to this number.
    Numbered(OperationId, u64),
    /// An assignment's state changed.
    Changed(Change),
    /// Tokens of a probe became invalid: its session must end.
    Revoked(ProbeId),
    /// Events about this operation may have been missed until now, or about any.
    Missed(Option<OperationId>),
}

/// A stored result.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The operation.
    pub(crate) operation: OperationId,
    /// The result, without its raw bytes.
    pub(crate) row: ResultRow,
}

/// What instances tell each other about the probes that they hold.
///
/// An instance numbers what it tells of changes, 1, 2, 3 …, so that whoever misses something notices and asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(crate) enum Gossip {
    /// Still there; the last change told so far had this number.
    Beat {
        /// That number.
        number: u64,
    },
    /// Some seats changed.
    Seats {
        /// Number of this change.
        number: u64,
        /// Taken, or still taken and different.
        taken: Vec<SeatNote>,
        /// Free.
        left: Vec<ProbeId>,
    },
    /// Tell me all your seats.
    Ask {
        /// Told back with the answer, so that a late answer is not taken for a new one.
        round: u64,
    },
    /// A part of the answer.
    All {
        /// That of the question.
        round: u64,
        /// Number of the last change that is in it.
        number: u64,
        /// How many parts follow this one.
        more: u32,
        /// Seats.
        taken: Vec<SeatNote>,
    },
    /// Gone, with all seats.
    Goodbye,
}

/// A seat as other instances are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeatNote {
    /// Who has it.
    pub(crate) probe: ProbeId,
    /// Number of its session among all it ever had, anywhere: the highest is the newest.
    pub(crate) session: u64,
    /// What is known of the probe.
    #[serde(flatten)]
    pub(crate) presence: Presence,
}

/// What one instance does for another: something for probes that sit there. It names an operation and says nothing of it,
/// so that what reaches a probe always comes from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Errand {
    /// Hand them a new operation.
    Assign {
        /// The operation.
        operation: OperationId,
        /// Who gets it.
        probes: Vec<ProbeId>,
    },
    /// Tell them that they need not go on.
    Cancel {
        /// The operation.
        operation: OperationId,
        /// Who hears it.
        probes: Vec<ProbeId>,
    },
}

/// To whom gossip goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// All instances, this one too.
    Everyone,
    /// One of them.
    One(InstanceId),
}

/// What arrives for this instance. Each has one reader.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Gossip, with who said it; one's own words to everyone come back too, which is how one knows that one is heard.
    pub(crate) gossip: mpsc::Receiver<(InstanceId, Gossip)>,
    /// Errands.
    pub(crate) errands: mpsc::Receiver<Errand>,
}

/// Where events go.
#[async_trait]
pub(crate) trait Bus: Send + Sync {
    /// Announces something that was committed.
    fn publish(&self, event: Event);
    /// Hears all events from now on. `Lagged` means that some were lost: read the store.
    fn subscribe(&self) -> broadcast::Receiver<Event>;
    /// From soon on hears what other instances announce of this operation; then [`Event::Missed`] tells that it does.
    fn watch(&self, operation: OperationId);
    /// Hears no more of it.
    fn unwatch(&self, operation: OperationId);
    /// Tells other instances something of seats.
    fn tell(&self, to: To, gossip: Gossip);
    /// Has another instance do something.
    fn hand(&self, to: InstanceId, errand: Errand);
    /// Waits until what was said so far has left, as far as that is soon.
    async fn flush(&self);
}

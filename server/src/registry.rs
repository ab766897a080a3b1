//! Who is connected to this instance: one seat a probe, the newest connection has it.
//!
//! Others reach a session by its [`SessionHandle`]: they queue frames and tell it to stop. The queue is bounded and
//! never waited for. Seats that changed are noted for [`crate::roster`]. Nothing here touches a socket or the store.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use axum::extract::ws::Utf8Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{Assign, Close, HubFrame, OperationId, ProbeId, Target};
use tokio::sync::{Notify, SetOnce, mpsc};

use crate::domain::Presence;

/// Frames that may wait for one probe. A probe that lets so many pile up does not read.
pub(crate) const OUTBOX: usize = 256;

/// One connection; never used twice in a process, so that a late goodbye cannot hit a newer session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Something on its way down to one probe.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    /// An operation.
    Assign(Arc<Offer>),
    /// Anything else.
    Say(Box<HubFrame>),
    /// Answer to [`crate::ingest::Said::Claimed`]: whether the operation may leave now.
    Claimed {
        /// The operation.
        operation: OperationId,
        /// Whether it was pending until now.
        granted: bool,
    },
    /// The addresses of an operation's targets.
    Resolved(Box<Resolved>),
}

// Every session's queue has room for 32 of them from its beginning.
const _: () = assert!(size_of::<Down>() <= 16);

/// The addresses of an operation's targets, or why there are none.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// The operation.
    pub(crate) operation: OperationId,
    /// As many as the operation has, all of them addresses.
    pub(crate) targets: Result<Vec<Target>, String>,
}

/// An operation on its way down, shared by all sessions that send it.
#[derive(Debug)]
pub(crate) struct Offer {
    /// The operation as probes get it.
    pub(crate) assign: Assign,
    /// The same as a frame of protocol version 1.
    pub(crate) frame: Utf8Bytes,
    /// When the operation was created.
    pub(crate) created_at: DateTime<Utc>,
}

/// Reaches one session from anywhere.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// Generation of the token that let it in.
    pub(crate) token_generation: u32,
    standing: Arc<Standing>,
    changes: Arc<Changes>,
    outbox: mpsc::Sender<Down>,
    stop: Arc<SetOnce<Close>>,
}

/// What a session knows of its probe and others look at.
#[derive(Debug, Default)]
struct Standing {
    in_use: AtomicU32,
    sick: AtomicBool,
    session_number: AtomicU64,
    is_confirmed: AtomicBool,
}

/// Probes whose seats changed since they were last taken; at most those there are.
#[derive(Debug, Default)]
struct Changes {
    probes: Mutex<HashSet<ProbeId>>,
    some: Notify,
}

impl Changes {
    fn note(&self, probe: ProbeId) {
        self.probes().insert(probe);
        self.some.notify_one();
    }

    fn probes(&self) -> MutexGuard<'_, HashSet<ProbeId>> {
        // No code panics while it holds the lock, and a set is whole after every call.
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's own ends.
#[derive(Debug)]
pub(crate) struct SessionEnds {
    /// Frames to send.
    pub(crate) outbox: mpsc::Receiver<Down>,
    /// Set when the session must end; the first reason wins.
    pub(crate) stop: Arc<SetOnce<Close>>,
}

impl SessionHandle {
    /// What is known of the probe.
    pub(crate) fn presence(&self) -> Presence {
        Presence {
            in_use: self.standing.in_use.load(Ordering::Relaxed),
            sick: self.standing.sick.load(Ordering::Relaxed),
        }
    }

    /// Notes how many credits the probe says are in use.
    pub(crate) fn set_in_use(&self, credits: u32) {
        if self.standing.in_use.swap(credits, Ordering::Relaxed) != credits {
            self.changes.note(self.probe);
        }
    }

    /// Notes whether the probe leaves operations unanswered.
    pub(crate) fn set_sick(&self, sick: bool) {
        if self.standing.sick.swap(sick, Ordering::Relaxed) != sick {
            self.changes.note(self.probe);
        }
    }

    /// The session's number among all that its probe ever had, anywhere; 0 before the store gave it one.
    pub(crate) fn session_number(&self) -> u64 {
        self.standing.session_number.load(Ordering::Relaxed)
    }

    /// Notes that number.
    pub(crate) fn set_session_number(&self, number: u64) {
        self.standing
            .session_number
            .store(number, Ordering::Relaxed);
    }

    /// Whether the probe was heard since its session has a number: only then somebody is there, and not just a
    /// connection that was given up while the store was slow.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.standing.is_confirmed.load(Ordering::Relaxed)
    }

    /// Notes that the probe was heard.
    pub(crate) fn confirm(&self) {
        if !self.standing.is_confirmed.swap(true, Ordering::Relaxed) {
            self.changes.note(self.probe);
        }
    }

    /// Queues something without waiting. A full queue ends the session as slow: what it carried is still in the store.
    pub(crate) fn offer(&self, down: Down) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outbox.try_send(down) {
            self.stop(Close::Slow);
        }
    }

    /// Queues a frame that delivers nothing.
    pub(crate) fn tell(&self, frame: HubFrame) {
        self.offer(Down::Say(Box::new(frame)));
    }

    /// How many more frames fit while the queue stays half free for what is urgent.
    pub(crate) fn room(&self) -> usize {
        self.outbox.capacity().saturating_sub(OUTBOX / 2)
    }

    /// How many frames wait.
    pub(crate) fn waiting(&self) -> usize {
        OUTBOX.saturating_sub(self.outbox.capacity())
    }

    /// Tells the session to end.
    pub(crate) fn stop(&self, close: Close) {
        let _ = self.stop.set(close);
    }
}

/// Who is connected here. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry(Arc<Seats>);

#[derive(Debug, Default)]
struct Seats {
    by_probe: Mutex<HashMap<ProbeId, SessionHandle>>,
    last_connection: AtomicU64,
    changes: Arc<Changes>,
}

/// Holds a probe's place; gives it back when dropped, if it is still this connection's.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Registry,
    probe: ProbeId,
    connection: ConnectionId,
}

impl Registry {
    /// A handle for a new connection that was let in by a token of that generation, and the ends that its session holds.
    pub(crate) fn session(
        &self,
        probe: ProbeId,
        token_generation: u32,
        in_use: u32,
    ) -> (SessionHandle, SessionEnds) {
        let (sender, outbox) = mpsc::channel(OUTBOX);
        let stop = Arc::new(SetOnce::new());
        let standing = Arc::new(Standing::default());
        standing.in_use.store(in_use, Ordering::Relaxed);
        let last = self.0.last_connection.fetch_add(1, Ordering::Relaxed);
        let handle = SessionHandle {
            probe,
            connection: ConnectionId(last + 1),
            token_generation,
            standing,
            changes: self.0.changes.clone(),
            outbox: sender,
            stop: stop.clone(),
        };
        (handle, SessionEnds { outbox, stop })
    }

    /// Waits until seats have changed.
    pub(crate) async fn changed(&self) {
        self.0.changes.some.notified().await;
    }

    /// Probes whose seats changed since the last call.
    pub(crate) fn take_changed(&self) -> Vec<ProbeId> {
        self.0.changes.probes().drain().collect()
    }

    /// Takes a probe's place; whoever had it is told that it was replaced.
    pub(crate) fn join(&self, handle: SessionHandle) -> Seat {
        let (probe, connection) = (handle.probe, handle.connection);
        if let Some(older) = self.seats().insert(probe, handle) {
            older.stop(Close::Replaced);
        }
        Seat {
            registry: self.clone(),
            probe,
            connection,
        }
    }

    /// The session of a probe, if it is connected here.
    pub(crate) fn get(&self, probe: ProbeId) -> Option<SessionHandle> {
        self.seats().get(&probe).cloned()
    }

    /// What is known of each of these probes; `None` for those that are not connected.
    pub(crate) fn presence(&self, probes: &[ProbeId]) -> Vec<Option<Presence>> {
        let seats = self.seats();
        let presence = |probe| seats.get(probe).map(SessionHandle::presence);
        probes.iter().map(presence).collect()
    }

    /// All sessions.
    pub(crate) fn sessions(&self) -> Vec<SessionHandle> {
        self.seats().values().cloned().collect()
    }

    /// Probes that are connected, newest identifier first.
    pub(crate) fn connected(&self) -> Vec<ProbeId> {
        let mut probes: Vec<ProbeId> = self.seats().keys().copied().collect();
        probes.sort_unstable_by(|a, b| b.cmp(a));
        probes
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<ProbeId, SessionHandle>> {
        // No code panics while it holds the lock, and a map is whole after every call.
        self.0
            .by_probe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whose place it is.
    pub(crate) fn probe(&self) -> ProbeId {
        self.probe
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.registry.seats();
        if seats
            .get(&self.probe)
            .is_some_and(|handle| handle.connection == self.connection)
        {
            seats.remove(&self.probe);
            drop(seats);
            self.registry.0.changes.note(self.probe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(registry: &Registry, probe: ProbeId) -> (SessionHandle, SessionEnds) {
        registry.session(probe, 1, 0)
    }

    #[test]
    fn the_newest_connection_has_the_seat() {
        let (registry, probe) = (Registry::default(), ProbeId::new());
        let (first, first_ends) = session(&registry, probe);
        let (second, second_ends) = session(&registry, probe);
        let first_seat = registry.join(first);
        let second_seat = registry.join(second.clone());
        assert_eq!(first_ends.stop.get(), Some(&Close::Replaced));
        drop(first_seat);
        assert_eq!(
            registry.get(probe).map(|handle| handle.connection),
            Some(second.connection)
        );
        assert_eq!(second_ends.stop.get(), None);
        drop(second_seat);
        assert!(registry.get(probe).is_none());
    }

    #[test]
    fn a_full_outbox_ends_its_session_only() {
        let registry = Registry::default();
        let (slow, slow_ends) = session(&registry, ProbeId::new());
        let (other, other_ends) = session(&registry, ProbeId::new());
        for _ in 0..=OUTBOX {
            slow.tell(HubFrame::Time { sent: 0 });
        }
        other.tell(HubFrame::Time { sent: 0 });
        assert_eq!((slow.waiting(), other.waiting()), (OUTBOX, 1));
        assert_eq!(slow_ends.stop.get(), Some(&Close::Slow));
        assert_eq!(other_ends.stop.get(), None);
    }
}

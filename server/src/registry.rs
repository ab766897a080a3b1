//! Who is connected to this instance: one seat a probe, the newest connection has it.
//!
//! Others reach a session by its [`SessionHandle`]: they queue frames and tell it to stop. The queue is bounded and
//! never waited for. Nothing here touches a socket or the store.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use axum::extract::ws::Utf8Bytes;
use probe_protocol::{Close, HubFrame, OperationId, ProbeId};
use tokio::sync::{SetOnce, mpsc};

/// Frames that may wait for one probe. A probe that lets so many pile up does not read.
pub(crate) const OUTBOX: usize = 256;

/// One connection; never used twice in a process, so that a late goodbye cannot hit a newer session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// A frame on its way down.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    /// The frame, shared by all sessions that send it.
    pub(crate) frame: Utf8Bytes,
    /// The operation that is delivered once the frame has left.
    pub(crate) delivers: Option<OperationId>,
}

/// Reaches one session from anywhere.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// Credits that the probe says are in use.
    pub(crate) in_use: Arc<AtomicU32>,
    outbox: mpsc::Sender<Down>,
    stop: Arc<SetOnce<Close>>,
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
    /// A handle and the ends that its session holds.
    pub(crate) fn new(
        probe: ProbeId,
        connection: ConnectionId,
        in_use: u32,
    ) -> (Self, SessionEnds) {
        let (sender, outbox) = mpsc::channel(OUTBOX);
        let stop = Arc::new(SetOnce::new());
        let in_use = Arc::new(AtomicU32::new(in_use));
        let handle = Self {
            probe,
            connection,
            in_use,
            outbox: sender,
            stop: stop.clone(),
        };
        (handle, SessionEnds { outbox, stop })
    }

    /// Queues a frame without waiting. A full queue ends the session as slow: what it carried is still in the store.
    pub(crate) fn offer(&self, down: Down) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outbox.try_send(down) {
            self.stop(Close::Slow);
        }
    }

    /// Queues a frame that delivers nothing.
    pub(crate) fn tell(&self, frame: &HubFrame) {
        match frame.to_text() {
            Ok(text) => self.offer(Down {
                frame: text.into(),
                delivers: None,
            }),
            Err(error) => tracing::error!(probe.id = %self.probe, %error, "cannot write a frame"),
        }
    }

    /// How many more frames fit while the queue stays half free for what is urgent.
    pub(crate) fn room(&self) -> usize {
        self.outbox.capacity().saturating_sub(OUTBOX / 2)
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
}

/// Holds a probe's place; gives it back when dropped, if it is still this connection's.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Registry,
    probe: ProbeId,
    connection: ConnectionId,
}

impl Registry {
    /// A number for a new connection.
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.0.last_connection.fetch_add(1, Ordering::Relaxed) + 1)
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

    /// What each of these probes says is in use; `None` for those that are not connected.
    pub(crate) fn in_use(&self, probes: &[ProbeId]) -> Vec<Option<u32>> {
        let seats = self.seats();
        let declared = |probe| {
            seats
                .get(probe)
                .map(|handle: &SessionHandle| handle.in_use.load(Ordering::Relaxed))
        };
        probes.iter().map(declared).collect()
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

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.registry.seats();
        if seats
            .get(&self.probe)
            .is_some_and(|handle| handle.connection == self.connection)
        {
            seats.remove(&self.probe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(registry: &Registry, probe: ProbeId) -> (SessionHandle, SessionEnds) {
        SessionHandle::new(probe, registry.next_connection(), 0)
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
            slow.offer(Down {
                frame: "x".into(),
                delivers: None,
            });
        }
        other.offer(Down {
            frame: "x".into(),
            delivers: None,
        });
        assert_eq!(slow_ends.stop.get(), Some(&Close::Slow));
        assert_eq!(other_ends.stop.get(), None);
    }
}

//! Subscribers of operations: turns the bus's events into one small channel per operation that someone watches.
//!
//! An event is rendered once, whoever watches. A subscriber that is too slow, or a bus that lost events, hears
//! [`Live::Gap`] and reads the store again; nobody waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use probe_protocol::{OperationId, ProbeId};
use tokio::sync::broadcast;

use crate::{
    bus::{Bus, Event, Recorded},
    domain::AssignmentState,
    store::Change,
    views::ResultView,
};

/// Events a subscriber may be behind before it must read the store again.
const BEHIND: usize = 256;

/// Something that a subscriber hears.
#[derive(Debug, Clone)]
pub(crate) enum Live {
    /// A result, as JSON.
    Result {
        /// Its number.
        seq: u64,
        /// The result as JSON text, shared by all subscribers.
        json: Arc<str>,
    },
    /// An assignment's state changed.
    Assignment {
        /// The probe.
        probe: ProbeId,
        /// Its new state.
        state: AssignmentState,
    },
    /// The last assignment of the operation ended.
    Ended,
    /// Something was missed.
    Gap,
}

/// Who watches which operation. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveHub(Arc<Mutex<HashMap<OperationId, broadcast::Sender<Live>>>>);

/// One subscriber's end.
#[derive(Debug)]
pub(crate) struct Subscription {
    events: broadcast::Receiver<Live>,
    hub: LiveHub,
    operation: OperationId,
}

impl Subscription {
    /// The next event; `None` when the hub stops.
    pub(crate) async fn next(&mut self) -> Option<Live> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Live::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.hub.watched();
        // This one is still counted.
        if watched
            .get(&self.operation)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            watched.remove(&self.operation);
        }
    }
}

impl LiveHub {
    /// Subscribes to an operation: everything from now on is heard.
    pub(crate) fn subscribe(&self, operation: OperationId) -> Subscription {
        let mut watched = self.watched();
        let sender = watched
            .entry(operation)
            .or_insert_with(|| broadcast::Sender::new(BEHIND));
        Subscription {
            events: sender.subscribe(),
            hub: self.clone(),
            operation,
        }
    }

    /// Passes the bus's events on until the bus is gone.
    pub(crate) async fn run(self, bus: Arc<dyn Bus>) {
        let mut events = bus.subscribe();
        // The receiver must not keep its own bus alive.
        drop(bus);
        loop {
            match events.recv().await {
                Ok(Event::Recorded(recorded)) => self.tell_result(&recorded),
                Ok(Event::Changed(change)) => self.tell_change(change),
                Ok(Event::Revoked(_)) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "live events were lost; streams read the store");
                    self.tell_all_gap();
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn tell_result(&self, recorded: &Recorded) {
        let Some(sender) = self.watched().get(&recorded.operation).cloned() else {
            return;
        };
        let view = ResultView::of(recorded.operation, &recorded.row);
        let event = match view.and_then(|view| serde_json::to_string(&view)) {
            Ok(json) => Live::Result {
                seq: recorded.row.seq,
                json: json.into(),
            },
            Err(_) => Live::Gap,
        };
        let _ = sender.send(event);
    }

    fn tell_change(&self, change: Change) {
        let watched = self.watched();
        let Some(sender) = watched.get(&change.operation) else {
            return;
        };
        let _ = sender.send(Live::Assignment {
            probe: change.probe,
            state: change.state,
        });
        if change.operation_ended {
            let _ = sender.send(Live::Ended);
        }
    }

    fn tell_all_gap(&self) {
        for sender in self.watched().values() {
            let _ = sender.send(Live::Gap);
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<OperationId, broadcast::Sender<Live>>> {
        // No code panics while it holds the lock, and a map is whole after every call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

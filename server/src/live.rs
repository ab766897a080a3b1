//! Subscribers of operations: turns the bus's events into one small channel per operation that someone watches.
//!
//! An event is rendered once, whoever watches. Results that other instances stored are announced by number only, and read
//! here once for all subscribers; so are those whose announcement was lost, which a look at the store every few seconds
//! finds. A subscriber that is too slow, or a bus that lost events, hears [`Live::Gap`] and reads the store again; nobody
//! waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use probe_protocol::{OperationId, ProbeId};
use tokio::sync::{Notify, broadcast};

use crate::{
    bus::{Bus, Event},
    domain::AssignmentState,
    store::{Change, ResultRow, Store},
    views::ResultView,
};

mod behind;

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
#[derive(Clone)]
pub(crate) struct LiveHub {
    operations: Arc<Mutex<HashMap<OperationId, Watched>>>,
    /// Some operations are behind.
    some_behind: Arc<Notify>,
    bus: Arc<dyn Bus>,
    look_every: Duration,
}

/// An operation that somebody watches.
#[derive(Debug)]
struct Watched {
    subscribers: broadcast::Sender<Live>,
    /// Number of the last result that was told; none before the first.
    last: Option<u64>,
    /// Whether the store may hold results after it.
    is_behind: bool,
}

/// One subscriber's end.
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
        let mut operations = self.hub.operations();
        // This one is still counted.
        if operations
            .get(&self.operation)
            .is_some_and(|watched| watched.subscribers.receiver_count() <= 1)
        {
            operations.remove(&self.operation);
            self.hub.bus.unwatch(self.operation);
        }
    }
}

impl LiveHub {
    /// Nobody watches anything; events come from `bus`, and every `look_every` the store is asked what watched operations
    /// have that nobody announced.
    pub(crate) fn new(bus: Arc<dyn Bus>, look_every: Duration) -> Self {
        Self {
            operations: Arc::default(),
            some_behind: Arc::default(),
            bus,
            look_every,
        }
    }

    /// Subscribes to an operation: everything from now on is heard.
    pub(crate) fn subscribe(&self, operation: OperationId) -> Subscription {
        let mut operations = self.operations();
        let watched = operations.entry(operation).or_insert_with(|| {
            self.bus.watch(operation);
            Watched {
                subscribers: broadcast::Sender::new(BEHIND),
                last: None,
                is_behind: false,
            }
        });
        Subscription {
            events: watched.subscribers.subscribe(),
            hub: self.clone(),
            operation,
        }
    }

    /// Passes the bus's events on, and what is found in the store, until it is aborted.
    pub(crate) async fn run(self, store: Arc<dyn Store>) {
        let events = self.bus.subscribe();
        tokio::join!(self.pass_all_on(events), self.find_out(&*store));
    }

    async fn pass_all_on(&self, mut events: broadcast::Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) => self.pass_on(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "live events were lost; streams read the store");
                    self.tell_all_gap();
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn pass_on(&self, event: Event) {
        match event {
            Event::Recorded(recorded) => self.tell_result(recorded.operation, &recorded.row),
            Event::Numbered(operation, seq) => self.set_behind(operation, Some(seq)),
            Event::Changed(change) => self.tell_change(change),
            Event::Missed(Some(operation)) => self.set_behind(operation, None),
            Event::Missed(None) => self.tell_all_gap(),
            Event::Revoked(_) => {}
        }
    }

    /// Notes that an operation has results up to this number, or may have some, that were not told.
    fn set_behind(&self, operation: OperationId, up_to: Option<u64>) {
        let mut operations = self.operations();
        if let Some(watched) = operations.get_mut(&operation)
            && up_to.is_none_or(|seq| watched.last < Some(seq))
        {
            watched.is_behind = true;
            self.some_behind.notify_one();
        }
    }

    fn tell_result(&self, operation: OperationId, row: &ResultRow) {
        let subscribers = {
            let mut operations = self.operations();
            let Some(watched) = operations.get_mut(&operation) else {
                return;
            };
            watched.last = watched.last.max(Some(row.seq));
            watched.subscribers.clone()
        };
        let view = ResultView::of(operation, row);
        let event = match view.and_then(|view| serde_json::to_string(&view)) {
            Ok(json) => Live::Result {
                seq: row.seq,
                json: json.into(),
            },
            Err(_) => Live::Gap,
        };
        let _ = subscribers.send(event);
    }

    fn tell_change(&self, change: Change) {
        let operations = self.operations();
        let Some(watched) = operations.get(&change.operation) else {
            return;
        };
        let _ = watched.subscribers.send(Live::Assignment {
            probe: change.probe,
            state: change.state,
        });
        if change.operation_ended {
            let _ = watched.subscribers.send(Live::Ended);
        }
    }

    fn tell_all_gap(&self) {
        for watched in self.operations().values() {
            let _ = watched.subscribers.send(Live::Gap);
        }
    }

    fn operations(&self) -> MutexGuard<'_, HashMap<OperationId, Watched>> {
        // No code panics while it holds the lock, and a map is whole after every call.
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

//! The bus of a hub that runs alone: events go to this process's own listeners, and there is nobody else.

use async_trait::async_trait;
use probe_protocol::OperationId;
use tokio::sync::broadcast;

use super::{Bus, Errand, Event, Gossip, InstanceId, To};

/// Events a slow listener may be behind before it loses the oldest: a second of results at the rate one disk stores.
pub(super) const BACKLOG: usize = 16_384;

/// Events within this process.
#[derive(Debug)]
pub(crate) struct LocalBus(broadcast::Sender<Event>);

impl LocalBus {
    /// A bus without listeners.
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, event: Event) {
        // Fails only where nobody listens.
        let _ = self.0.send(event);
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    fn watch(&self, _operation: OperationId) {}

    fn unwatch(&self, _operation: OperationId) {}

    fn tell(&self, _to: To, _gossip: Gossip) {}

    fn hand(&self, _to: InstanceId, _errand: Errand) {}

    async fn flush(&self) {}
}

//! DOWN, last step before the session: hands operations to the seats of their probes.
//!
//! Best effort, nobody is waited for: what does not leave is still pending in the store and is offered again by the
//! next session or the sweep.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use probe_protocol::{FrameError, HubFrame, OperationId, ProbeId};

use crate::{
    domain::Plan,
    registry::{Down, Offer, Registry},
};

/// Offers kept for probes that come back: a reconnect storm asks for the same few operations again and again.
const OFFERS_KEPT: NonZeroUsize = NonZeroUsize::new(1024).expect("is not zero");

/// Hands operations to connected probes. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    registry: Registry,
    offers: Arc<Mutex<LruCache<OperationId, Arc<Offer>>>>,
}

impl Dispatch {
    /// A dispatch to the seats of `registry`.
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            offers: Arc::new(Mutex::new(LruCache::new(OFFERS_KEPT))),
        }
    }

    /// Sends a new operation to those of its probes that are connected.
    pub(crate) fn send(&self, plan: &Plan, probes: &[ProbeId]) {
        let Some(down) = self.offer(plan) else { return };
        for handle in probes.iter().filter_map(|probe| self.registry.get(*probe)) {
            handle.offer(down.clone());
        }
    }

    /// Offers again what stayed pending, as far as the probe has room for it.
    pub(crate) fn offer_again(&self, probe: ProbeId, plan: &Plan) {
        let Some(handle) = self.registry.get(probe) else {
            return;
        };
        if handle.room() > 0
            && let Some(down) = self.offer(plan)
        {
            handle.offer(down);
        }
    }

    /// Tells connected probes that they need not go on.
    pub(crate) fn cancel(&self, operation: OperationId, probes: impl IntoIterator<Item = ProbeId>) {
        let frame = HubFrame::Cancel { operation };
        for handle in probes
            .into_iter()
            .filter_map(|probe| self.registry.get(probe))
        {
            handle.tell(frame.clone());
        }
    }

    /// An operation on its way down, its frame written once.
    pub(crate) fn offer(&self, plan: &Plan) -> Option<Down> {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        let offer = offers.try_get_or_insert(plan.id, || {
            let assign = plan.assign();
            let frame = HubFrame::Assign(assign.clone()).to_text()?.into();
            Ok::<_, FrameError>(Arc::new(Offer { assign, frame }))
        });
        match offer {
            Ok(offer) => Some(Down::Assign(offer.clone())),
            Err(error) => {
                tracing::error!(operation.id = %plan.id, %error, "cannot write the operation's frame");
                None
            }
        }
    }
}

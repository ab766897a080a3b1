//! DOWN, last step before the session: hands operations to the seats of their probes. For those that sit at other
//! instances, each instance gets one errand with all of its probes.
//!
//! Best effort, nobody is waited for: what does not leave is still pending in the store and is offered again by the
//! next session or the sweep.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use probe_protocol::{FrameError, HubFrame, OperationId, ProbeId};

use tokio::sync::mpsc;

use crate::{
    bus::{Bus, Errand},
    domain::Plan,
    registry::{Down, Offer, SessionHandle},
    roster::Roster,
    store::Store,
};

/// Offers kept for probes that come back: a reconnect storm asks for the same few operations again and again.
const OFFERS_KEPT: NonZeroUsize = NonZeroUsize::new(1024).expect("is not zero");

/// Probes of one errand: half a megabyte of JSON, so that nobody waits long for a message behind it.
const PROBES_AT_ONCE: usize = 20_000;

/// Hands operations to connected probes. A cheap handle.
#[derive(Clone)]
pub(crate) struct Dispatch {
    roster: Roster,
    bus: Arc<dyn Bus>,
    offers: Arc<Mutex<LruCache<OperationId, Arc<Offer>>>>,
}

impl Dispatch {
    /// A dispatch to the seats of `roster`.
    pub(crate) fn new(roster: Roster, bus: Arc<dyn Bus>) -> Self {
        Self {
            roster,
            bus,
            offers: Arc::new(Mutex::new(LruCache::new(OFFERS_KEPT))),
        }
    }

    /// Sends a new operation to those of its probes that are connected.
    pub(crate) fn send(&self, plan: &Plan, probes: &[ProbeId]) {
        let Some(down) = self.offer(plan) else { return };
        let absent = self.put(probes.iter().copied(), &down);
        let operation = plan.id;
        self.send_away(absent, |probes| Errand::Assign { operation, probes });
    }

    /// Offers again what stayed pending, as far as the probe has room for it.
    pub(crate) fn offer_again(&self, probe: ProbeId, plan: &Plan) {
        let Some(handle) = self.seat(probe) else {
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
        let down = cancelled(operation);
        let absent = self.put(probes, &down);
        self.send_away(absent, |probes| Errand::Cancel { operation, probes });
    }

    /// Does what other instances ask for, until there is no bus any more. What it hands out is what `store` has: whoever
    /// can write to the bus decides nothing about what probes do.
    pub(crate) async fn run(self, store: Arc<dyn Store>, mut errands: mpsc::Receiver<Errand>) {
        while let Some(errand) = errands.recv().await {
            match errand {
                Errand::Assign { operation, probes } => match store.operation(operation).await {
                    Ok(Some(found)) if found.ended_at.is_none() => {
                        if let Some(down) = self.offer(&found.plan) {
                            // Who has left since finds it where it connects.
                            self.put(probes, &down);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(operation.id = %operation, %error, "an operation for another hub's user waits for the sweep");
                    }
                },
                Errand::Cancel { operation, probes } => {
                    self.put(probes, &cancelled(operation));
                }
            }
        }
    }

    fn seat(&self, probe: ProbeId) -> Option<SessionHandle> {
        self.roster.registry().get(probe)
    }

    /// Puts something into the outboxes of those who sit here; the others.
    fn put(&self, probes: impl IntoIterator<Item = ProbeId>, down: &Down) -> Vec<ProbeId> {
        let mut absent = Vec::new();
        for probe in probes {
            match self.seat(probe) {
                Some(handle) => handle.offer(down.clone()),
                None => absent.push(probe),
            }
        }
        absent
    }

    fn send_away(&self, absent: Vec<ProbeId>, errand: impl Fn(Vec<ProbeId>) -> Errand) {
        for (instance, probes) in self.roster.elsewhere_of(absent) {
            for probes in probes.chunks(PROBES_AT_ONCE) {
                self.bus.hand(instance, errand(probes.to_vec()));
            }
        }
    }

    /// An operation on its way down, its frame written once.
    pub(crate) fn offer(&self, plan: &Plan) -> Option<Down> {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        let offer = offers.try_get_or_insert(plan.id, || {
            let assign = plan.assign();
            let frame = HubFrame::Assign(assign.clone()).to_text()?.into();
            Ok::<_, FrameError>(Arc::new(Offer {
                assign,
                frame,
                created_at: plan.created_at,
            }))
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

fn cancelled(operation: OperationId) -> Down {
    Down::Say(Box::new(HubFrame::Cancel { operation }))
}

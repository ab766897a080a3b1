//! Who is connected anywhere: here, as the registry knows, and at other instances, as they told.
//!
//! Nothing of it is kept: an instance that starts asks the others. What is known of others may be a moment old; who acts
//! on it writes to the store first, so being wrong costs time and nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use probe_protocol::{Close, ProbeId};
use tokio::time::Instant;

use crate::{
    bus::InstanceId,
    domain::Presence,
    registry::{Registry, SessionHandle},
};

mod elsewhere;
pub(crate) mod gossip;

use elsewhere::Elsewhere;

/// Who is connected anywhere. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    registry: Registry,
    elsewhere: Arc<Mutex<Elsewhere>>,
}

impl Roster {
    /// Those of `registry`, and nobody elsewhere until [`gossip`] tells.
    pub(crate) fn new(registry: Registry) -> Self {
        // Answers to a process that was before must not fit this one's questions.
        let round = u64::from(rand::random::<u32>());
        Self {
            registry,
            elsewhere: Arc::new(Mutex::new(Elsewhere::new(round))),
        }
    }

    /// Who is connected here.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is known of each of these probes; `None` for those that are not connected.
    pub(crate) fn presence(&self, probes: &[ProbeId]) -> Vec<Option<Presence>> {
        let mut presence = self.registry.presence(probes);
        let elsewhere = self.elsewhere();
        for (probe, known) in probes.iter().zip(&mut presence) {
            if known.is_none() {
                *known = elsewhere.place(*probe).map(|place| place.presence);
            }
        }
        presence
    }

    /// Probes that are connected, newest identifier first.
    pub(crate) fn connected(&self) -> Vec<ProbeId> {
        let mut probes = self.registry.connected();
        probes.extend(self.elsewhere().probes());
        probes.sort_unstable_by(|a, b| b.cmp(a));
        probes.dedup();
        probes
    }

    /// Whether a probe is connected.
    pub(crate) fn is_connected(&self, probe: ProbeId) -> bool {
        self.registry.get(probe).is_some() || self.elsewhere().place(probe).is_some()
    }

    /// Which of these probes sit at other instances, by instance.
    pub(crate) fn elsewhere_of(
        &self,
        probes: impl IntoIterator<Item = ProbeId>,
    ) -> HashMap<InstanceId, Vec<ProbeId>> {
        let elsewhere = self.elsewhere();
        let mut by_instance: HashMap<InstanceId, Vec<ProbeId>> = HashMap::new();
        for probe in probes {
            if let Some(place) = elsewhere.place(probe) {
                by_instance.entry(place.instance).or_default().push(probe);
            }
        }
        by_instance
    }

    /// A session learned its number: it ends where another instance has a newer one.
    pub(crate) fn seat(&self, handle: &SessionHandle, session: u64) {
        handle.set_session_number(session);
        let place = self.elsewhere().place(handle.probe);
        if place.is_some_and(|place| place.session > session) {
            handle.stop(Close::Replaced);
        }
    }

    /// Whether this instance hears what it says to others.
    pub(crate) fn hears_itself(&self) -> bool {
        !self.elsewhere().is_cut_off(Instant::now())
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        // No code panics while it holds the lock, and what it holds is whole after every call.
        self.elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

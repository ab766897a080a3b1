//! What a hub looks for on behalf of those who are connected to it, because what tells of it may have been lost:
//! operations that stayed pending, and sessions that should have ended.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use probe_protocol::{Close, ProbeId};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    domain::Plan,
    registry::{Registry, SessionHandle},
    store::{Standing, Store, StoreError},
};

/// Pending assignments offered to one probe at a time.
const OFFERS_PER_PROBE: usize = 64;
/// Probes asked for in one query.
const PROBES_AT_ONCE: usize = 1000;
/// What is younger is still on its first way down.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Looks after the seats of this hub.
pub(crate) struct Seats {
    /// Where truth is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Who is connected.
    pub(crate) registry: Registry,
    /// The way down.
    pub(crate) dispatch: Dispatch,
    /// What was not told is found within this time.
    pub(crate) within: Duration,
}

impl Seats {
    /// Runs until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut looks = interval(self.within.saturating_sub(ON_ITS_WAY));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            for sessions in self.registry.sessions().chunks(PROBES_AT_ONCE) {
                if let Err(error) = self.look_after(sessions).await {
                    tracing::warn!(%error, "the store was not asked what is pending; it is asked again");
                    break;
                }
            }
        }
    }

    async fn look_after(&self, sessions: &[SessionHandle]) -> Result<(), StoreError> {
        let probes: Vec<ProbeId> = sessions.iter().map(|session| session.probe).collect();
        self.end_outdated(sessions, probes.clone()).await?;
        self.offer_again(probes).await
    }

    /// Ends sessions whose token was rotated, whose probe was deleted, or which are not their probe's newest any more.
    async fn end_outdated(
        &self,
        sessions: &[SessionHandle],
        probes: Vec<ProbeId>,
    ) -> Result<(), StoreError> {
        let standings = self.store.standings(probes).await?;
        let standings: HashMap<ProbeId, Standing> =
            standings.into_iter().map(|one| (one.probe, one)).collect();
        for session in sessions {
            match standings.get(&session.probe) {
                None => session.stop(Close::Revoked),
                Some(standing) if standing.token_generation != session.token_generation => {
                    session.stop(Close::Revoked);
                }
                // The newer one may be a connection that the probe gave up: whoever is there comes back at once and is the
                // newest then.
                Some(standing) if (1..standing.sessions).contains(&session.session_number()) => {
                    session.stop(Close::Restart);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn offer_again(&self, probes: Vec<ProbeId>) -> Result<(), StoreError> {
        let now = Utc::now();
        let on_its_way = TimeDelta::from_std(ON_ITS_WAY).unwrap_or_default();
        let due = |plan: &Plan| plan.created_at < now - on_its_way && plan.expires_at > now;
        for (probe, plan) in self.store.pending(probes, OFFERS_PER_PROBE).await? {
            if due(&plan) {
                self.dispatch.offer_again(probe, &plan);
            }
        }
        Ok(())
    }
}

//! Probes that connect at the same time are looked up and settled together. [`super::settling`] says what a transaction does.

use std::{collections::HashMap, sync::Arc};

use futures::FutureExt as _;
use probe_protocol::ProbeId;

use super::{
    MongoStore,
    link::{READ_DEADLINE, WRITE_DEADLINE},
    settling::{self, Hello},
    together::Together,
};
use crate::store::{Settled, Standing, StoreError, Stored};

/// Probes of one transaction: as many as are worth a commit, few enough that one that is in conflict holds up few others.
const MOST_SETTLED: usize = 128;
/// Probes that are looked up at once: a query of some kilobytes.
const MOST_LOOKED_UP: usize = 512;

/// Those that wait to be looked up, and to be settled.
#[derive(Debug)]
pub(super) struct Arrivals {
    looked_up: Together<ProbeId, ProbeId, Option<Standing>>,
    /// The sessions of one probe are numbered one after the other.
    settled: Together<Hello, ProbeId, Option<Settled>>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            looked_up: Together::new(MOST_LOOKED_UP, READ_DEADLINE, |probe| *probe),
            settled: Together::new(MOST_SETTLED, WRITE_DEADLINE, |hello| hello.probe),
        }
    }
}

impl MongoStore {
    /// Looks up one probe, with those that come at the same time.
    pub(super) async fn look_up(&self, probe: ProbeId) -> Stored<Option<Standing>> {
        let look_up_all = |probes: Vec<ProbeId>| {
            let all = async move {
                match self.look_up_all(probes.clone()).await {
                    Ok(found) => probes
                        .iter()
                        .map(|probe| Ok(found.get(probe).copied()))
                        .collect(),
                    Err(error) => probes.iter().map(|_| Err(error.clone())).collect(),
                }
            };
            all.boxed()
        };
        self.arrivals.looked_up.ask(probe, look_up_all).await
    }

    async fn look_up_all(&self, probes: Vec<ProbeId>) -> Stored<HashMap<ProbeId, Standing>> {
        let found = self.all_standings(probes).await?.into_iter();
        Ok(found.map(|standing| (standing.probe, standing)).collect())
    }

    /// Settles a probe, with those that come at the same time.
    pub(super) async fn arrive(&self, hello: Hello) -> Stored<Option<Settled>> {
        let settle_all = |hellos| self.settle_all(Arc::new(hellos)).boxed();
        self.arrivals.settled.ask(hello, settle_all).await
    }

    /// One answer for each, in their order. What cannot be written together is written by halves, so that one probe is in
    /// nobody else's way.
    async fn settle_all(&self, hellos: Arc<Vec<Hello>>) -> Vec<Stored<Option<Settled>>> {
        let mut answers = Vec::with_capacity(hellos.len());
        // The next part is the last one.
        let mut parts = vec![hellos];
        while let Some(part) = parts.pop() {
            match self.settle_together(part.clone()).await {
                Ok(settled) => answers.extend(settled.into_iter().map(Ok)),
                Err(error) if part.len() < 2 || matches!(error, StoreError::Unavailable(_)) => {
                    answers.extend(part.iter().map(|_| Err(error.clone())));
                }
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first].map(|half| Arc::new(half.to_vec())));
                }
            }
        }
        answers
    }

    async fn settle_together(&self, hellos: Arc<Vec<Hello>>) -> Stored<Vec<Option<Settled>>> {
        self.write_parts(hellos.len() > 1, move |tx| {
            let hellos = hellos.clone();
            Box::pin(async move { settling::settle(tx, &hellos).await })
        })
        .await
    }
}

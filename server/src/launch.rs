//! DOWN: a checked order becomes an operation: plan → store → dispatch. Also its end by the user's hand.
//!
//! Write, then tell: nothing is sent before it is committed. Each call runs in a task of its own, so that a client that
//! goes away cannot drop it half-way.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use crate::{
    bus::{Bus, Event},
    dispatch::Dispatch,
    domain::{Candidate, Operation, Order, Plan, Refusal},
    roster::Roster,
    store::{Change, Created, IdempotencyKey, Opened, Store, StoreError},
};

/// Creates and cancels operations. A cheap handle.
#[derive(Clone)]
pub(crate) struct Launch {
    store: Arc<dyn Store>,
    roster: Roster,
    dispatch: Dispatch,
    bus: Arc<dyn Bus>,
    stop_grace: TimeDelta,
}

/// An operation was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// A rule refuses it.
    #[error("refused")]
    Refused(Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task that wrote was cut off; whether it was created must be looked up.
    #[error("the write was interrupted")]
    Interrupted,
}

impl Launch {
    /// Operations in `store`, sent by `dispatch`; runs count until `stop_grace` after their stop time.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        roster: Roster,
        dispatch: Dispatch,
        bus: Arc<dyn Bus>,
        stop_grace: TimeDelta,
    ) -> Self {
        Self {
            store,
            roster,
            dispatch,
            bus,
            stop_grace,
        }
    }

    /// Creates an operation and sends it to its probes.
    pub(crate) async fn run(
        &self,
        owner: UserId,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> Result<Created<Opened>, LaunchError> {
        let this = self.clone();
        let write = tokio::spawn(async move { this.open(owner, order, key).await });
        write.await.map_err(|_| LaunchError::Interrupted)?
    }

    async fn open(
        &self,
        owner: UserId,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> Result<Created<Opened>, LaunchError> {
        let candidates = self.candidates(&order.probes);
        let plan = Plan::of(
            order,
            OperationId::new(),
            owner,
            self.stop_grace,
            Utc::now(),
        )
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let created = self
            .store
            .open(plan, candidates, key)
            .await?
            .map_err(LaunchError::Refused)?;
        if let Created::New(opened) = &created {
            self.dispatch.send(&opened.operation.plan, &opened.probes);
        }
        Ok(created)
    }

    fn candidates(&self, probes: &[ProbeId]) -> Vec<Candidate> {
        let connected = self.roster.presence(probes);
        probes
            .iter()
            .zip(connected)
            .map(|(probe, connected)| Candidate {
                probe: *probe,
                connected,
            })
            .collect()
    }

    /// Cancels an operation and tells its probes; `None` where there is none.
    pub(crate) async fn cancel(&self, id: OperationId) -> Result<Option<Operation>, LaunchError> {
        let this = self.clone();
        let write = tokio::spawn(async move {
            let Some((operation, changes)) = this.store.cancel(id, Utc::now()).await? else {
                return Ok(None);
            };
            this.dispatch
                .cancel(id, changes.iter().map(|change| change.probe));
            this.announce(&changes);
            Ok(Some(operation))
        });
        write.await.map_err(|_| LaunchError::Interrupted)?
    }

    /// Deletes a probe: its session ends, its open assignments are cancelled. Whether there was one.
    pub(crate) async fn delete_probe(&self, id: ProbeId) -> Result<bool, LaunchError> {
        let this = self.clone();
        let write = tokio::spawn(async move {
            let Some(changes) = this.store.delete_probe(id, Utc::now()).await? else {
                return Ok(false);
            };
            this.bus.publish(Event::Revoked(id));
            this.announce(&changes);
            Ok(true)
        });
        write.await.map_err(|_| LaunchError::Interrupted)?
    }

    fn announce(&self, changes: &[Change]) {
        for change in changes {
            self.bus.publish(Event::Changed(*change));
        }
    }
}

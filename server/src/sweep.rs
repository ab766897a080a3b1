//! What only time triggers: assignments that are overdue end, old idempotency keys and old results are forgotten, and each
//! hub looks after its own [`seats`]. Everything is found in the store, so nothing is lost with a process.
//!
//! What is the same for all hubs that share a store is done by the one that has its lease.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{Bus, Event},
    store::{Lease, Store, StoreError, Stored, Work},
};

pub(crate) mod seats;

/// How often the store is asked what is overdue: states and refunds are at most this late.
const OVERDUE_EVERY: Duration = Duration::from_secs(1);
/// Ticks between two clean-ups.
const FORGET_EVERY: u64 = 600;
/// Results forgotten in one transaction: they may be big, and others must get their turn in between.
const FORGET_AT_ONCE: usize = 500;
/// Transactions of that kind in one tick; the rest waits for the next one. Ten thousand results a second is more than a
/// hub takes in.
const FORGET_TURNS: usize = 20;
/// Assignments ended in one transaction: others must get their turn in between.
const OVERDUE_AT_ONCE: usize = 500;
/// How long an idempotency key holds.
const KEYS_KEPT: TimeDelta = TimeDelta::hours(24);

/// How long a lease lasts from its last use. The one for what is overdue is renewed with each tick: its hub may miss
/// three of them, and when it dies the next one is at work so much later.
const LEASE: Duration = Duration::from_secs(4);
/// Longest a stop waits until the leases are given up; else they end by themselves.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// The leases that this hub has, as far as it knows.
type Leases = HashMap<Work, Lease>;

/// Does what only time triggers.
pub(crate) struct Sweep {
    /// Where truth is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Who wants to know.
    pub(crate) bus: Arc<dyn Bus>,
    /// How long results are kept; `None` is for ever.
    pub(crate) result_life: Option<TimeDelta>,
    /// This hub, among those that share the store.
    pub(crate) holder: Arc<str>,
}

impl Sweep {
    /// Runs until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(OVERDUE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut old_results, mut leases) = (false, Leases::new());
        for tick in 0_u64.. {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            // From the first tick on: a hub that is started every few minutes forgets too.
            old_results |= tick.is_multiple_of(FORGET_EVERY);
            if let Err(error) = self.turn(tick, &mut old_results, &mut leases).await {
                tracing::warn!(%error, "the sweep could not read or write the store; it tries again");
            }
        }
        if timeout(RELEASE_WITHIN, self.release(leases)).await.is_err() {
            tracing::debug!("leases are left to their time");
        }
    }

    /// Gives up what this hub has, so that another one goes on at once.
    async fn release(&self, leases: Leases) {
        for lease in leases.into_values() {
            if let Err(error) = self.store.release(&lease).await {
                tracing::debug!(%error, "a lease is left to its time");
            }
        }
    }

    /// The lease of a work, new or renewed; `None` where another hub has it.
    async fn lease(&self, work: Work, leases: &mut Leases) -> Stored<Option<Lease>> {
        let lease = self.store.lease(work, &self.holder, LEASE).await?;
        match &lease {
            Some(lease) => leases.insert(work, lease.clone()),
            None => leases.remove(&work),
        };
        Ok(lease)
    }

    /// `old_results` says whether there may be some, before and after.
    async fn turn(&self, tick: u64, old_results: &mut bool, leases: &mut Leases) -> Stored<()> {
        self.end_overdue(leases).await?;
        if tick.is_multiple_of(FORGET_EVERY) {
            self.forget_keys(leases).await?;
        }
        if *old_results {
            *old_results = self.forget_results(leases).await?;
        }
        Ok(())
    }

    async fn forget_keys(&self, leases: &mut Leases) -> Stored<()> {
        if let Some(lease) = self.lease(Work::ForgetKeys, leases).await? {
            let before = Utc::now() - KEYS_KEPT;
            unless_lost(self.store.forget_keys(&lease, before).await)?;
        }
        Ok(())
    }

    /// Forgets some old results; whether there may be more for this hub.
    async fn forget_results(&self, leases: &mut Leases) -> Stored<bool> {
        let life = self.result_life;
        let Some(before) = life.and_then(|life| Utc::now().checked_sub_signed(life)) else {
            return Ok(false);
        };
        let Some(lease) = self.lease(Work::ForgetResults, leases).await? else {
            return Ok(false);
        };
        let mut forgotten = 0;
        for _ in 0..FORGET_TURNS {
            let some = self.store.forget_results(&lease, before, FORGET_AT_ONCE);
            let some = unless_lost(some.await)?.unwrap_or_default();
            forgotten += some;
            if some < FORGET_AT_ONCE {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(results = forgotten, "old results were forgotten");
        }
        Ok(forgotten >= FORGET_TURNS * FORGET_AT_ONCE)
    }

    async fn end_overdue(&self, leases: &mut Leases) -> Stored<()> {
        loop {
            let Some(lease) = self.lease(Work::EndOverdue, leases).await? else {
                return Ok(());
            };
            let changes = self.store.end_overdue(&lease, Utc::now(), OVERDUE_AT_ONCE);
            let changes = unless_lost(changes.await)?.unwrap_or_default();
            for change in &changes {
                self.bus.publish(Event::Changed(*change));
            }
            if changes.len() < OVERDUE_AT_ONCE {
                return Ok(());
            }
        }
    }
}

/// What a work did; `None` where another hub has taken it over meanwhile, which is as well.
fn unless_lost<T>(done: Stored<T>) -> Stored<Option<T>> {
    match done {
        Err(StoreError::LeaseLost) => Ok(None),
        done => done.map(Some),
    }
}

//! What only time triggers: assignments that are overdue end, what stayed pending is offered again, old idempotency
//! keys and old results are forgotten. Everything is found in the store, so nothing is lost with a process.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{Bus, Event},
    dispatch::Dispatch,
    domain::Plan,
    registry::Registry,
    store::{Store, StoreError},
};

/// How often the store is asked what is overdue: states and refunds are at most this late.
const OVERDUE_EVERY: Duration = Duration::from_secs(1);
/// Ticks between two offers of what stayed pending: an operation that a full queue kept back waits at most this long.
const OFFER_EVERY: u64 = 5;
/// Ticks between two clean-ups.
const FORGET_EVERY: u64 = 600;
/// Results forgotten in one transaction: they may be big, and others must get their turn in between.
const FORGET_AT_ONCE: usize = 500;
/// Transactions of that kind in one tick; the rest waits for the next one. Ten thousand results a second is more than a
/// hub takes in.
const FORGET_TURNS: usize = 20;
/// Assignments ended in one transaction: others must get their turn in between.
const OVERDUE_AT_ONCE: usize = 500;
/// Pending assignments offered to one probe at a time.
const OFFERS_PER_PROBE: usize = 64;
/// Probes asked for in one query.
const PROBES_AT_ONCE: usize = 1000;
/// What is younger is still on its first way down.
const OFFER_AFTER: TimeDelta = TimeDelta::seconds(5);
/// How long an idempotency key holds.
const KEYS_KEPT: TimeDelta = TimeDelta::hours(24);

/// Does what only time triggers.
pub(crate) struct Sweep {
    /// Where truth is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Who is connected.
    pub(crate) registry: Registry,
    /// The way down.
    pub(crate) dispatch: Dispatch,
    /// Who wants to know.
    pub(crate) bus: Arc<dyn Bus>,
    /// How long results are kept; `None` is for ever.
    pub(crate) result_life: Option<TimeDelta>,
}

impl Sweep {
    /// Runs until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(OVERDUE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut old_results = false;
        for tick in 0_u64.. {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // From the first tick on: a hub that is started every few minutes forgets too.
            old_results |= tick.is_multiple_of(FORGET_EVERY);
            if let Err(error) = self.turn(tick, &mut old_results).await {
                tracing::warn!(%error, "the sweep could not read or write the store; it tries again");
            }
        }
    }

    /// `old_results` says whether there may be some, before and after.
    async fn turn(&self, tick: u64, old_results: &mut bool) -> Result<(), StoreError> {
        self.end_overdue().await?;
        if tick.is_multiple_of(OFFER_EVERY) {
            self.offer_again().await?;
        }
        if tick.is_multiple_of(FORGET_EVERY) {
            self.store.forget_keys(Utc::now() - KEYS_KEPT).await?;
        }
        if *old_results {
            *old_results = self.forget_results().await?;
        }
        Ok(())
    }

    /// Forgets some old results; whether there may be more.
    async fn forget_results(&self) -> Result<bool, StoreError> {
        let life = self.result_life;
        let Some(before) = life.and_then(|life| Utc::now().checked_sub_signed(life)) else {
            return Ok(false);
        };
        let mut forgotten = 0;
        for _ in 0..FORGET_TURNS {
            let some = self.store.forget_results(before, FORGET_AT_ONCE).await?;
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

    async fn end_overdue(&self) -> Result<(), StoreError> {
        loop {
            let changes = self.store.end_overdue(Utc::now(), OVERDUE_AT_ONCE).await?;
            for change in &changes {
                self.bus.publish(Event::Changed(*change));
            }
            if changes.len() < OVERDUE_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn offer_again(&self) -> Result<(), StoreError> {
        let now = Utc::now();
        let due = |plan: &Plan| plan.created_at < now - OFFER_AFTER && plan.expires_at > now;
        for probes in self.registry.connected().chunks(PROBES_AT_ONCE) {
            for (probe, plan) in self
                .store
                .pending(probes.to_vec(), OFFERS_PER_PROBE)
                .await?
            {
                if due(&plan) {
                    self.dispatch.offer_again(probe, &plan);
                }
            }
        }
        Ok(())
    }
}

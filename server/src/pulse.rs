//! Looks every few seconds how store and bus are, for those who watch the hub's metrics. Decides nothing: requests and
//! `/readyz` find out by themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{metrics, roster::Roster, store::Store};

/// How often is looked: several times between two scrapes of a usual Prometheus.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest the store may take to answer, as for `/readyz`.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The task.
pub(crate) struct Pulse {
    /// Where truth is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Knows whether this hub hears itself.
    pub(crate) roster: Roster,
    /// Whether there is a bus that others are on too.
    pub(crate) is_shared: bool,
}

impl Pulse {
    /// Looks until it is aborted; from `stop` on the hub is not ready.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_stopping = stop.is_cancelled();
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled(), if !is_stopping => {
                    metrics::ready(false);
                    continue;
                }
            }
            metrics::bus_up(!self.is_shared || self.roster.hears_itself());
            let answered = self.ask().await;
            metrics::store_asked(answered);
            metrics::ready(answered.is_some() && !stop.is_cancelled());
        }
    }

    /// How long the store took to answer, if it did.
    async fn ask(&self) -> Option<Duration> {
        let asked = Instant::now();
        let answer = timeout(ANSWERS_WITHIN, self.store.ping()).await;
        matches!(answer, Ok(Ok(()))).then(|| asked.elapsed())
    }
}

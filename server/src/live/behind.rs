//! Results of watched operations that this instance did not store, or not announce: read once for all who watch.

use futures::{StreamExt as _, stream};
use probe_protocol::OperationId;
use tokio::time::{MissedTickBehavior, interval};

use super::{Live, LiveHub};
use crate::store::{Store, StoreError};

/// Results read at a time.
const PAGE: usize = 100;
/// Bytes of documents read at a time.
const PAGE_BYTES: usize = 1 << 20;
/// Operations read at the same time.
const AT_ONCE: usize = 4;
/// Operations asked for in one query.
const LOOKED_AT_ONCE: usize = 5000;

impl LiveHub {
    /// Reads what operations are behind, until it is aborted.
    pub(super) async fn find_out(&self, store: &dyn Store) {
        let mut look = interval(self.look_every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.some_behind.notified() => {}
                _ = look.tick() => self.look(store).await,
            }
            let behind = stream::iter(self.take_behind());
            behind
                .for_each_concurrent(AT_ONCE, async |(operation, last)| {
                    if let Err(error) = self.read(store, operation, last).await {
                        // Whoever watches reads for itself, and is cut off where that fails too.
                        tracing::debug!(operation.id = %operation, %error, "cannot read what was announced");
                        self.tell_gap(operation);
                    }
                })
                .await;
        }
    }

    fn take_behind(&self) -> Vec<(OperationId, Option<u64>)> {
        let mut operations = self.operations();
        let behind = operations
            .iter_mut()
            .filter(|(_, watched)| watched.is_behind);
        behind
            .map(|(operation, watched)| {
                watched.is_behind = false;
                (*operation, watched.last)
            })
            .collect()
    }

    async fn read(
        &self,
        store: &dyn Store,
        operation: OperationId,
        last: Option<u64>,
    ) -> Result<(), StoreError> {
        let Some(mut last) = last else {
            // Nobody knows how far each subscriber has read by itself; from here on they go together.
            let progress = store.progress(vec![operation]).await?;
            if let Some(watched) = self.operations().get_mut(&operation) {
                let now = progress.first().map(|progress| progress.last_seq);
                watched.last = watched.last.max(now);
            }
            self.tell_gap(operation);
            return Ok(());
        };
        loop {
            let rows = store.results(operation, last, PAGE, PAGE_BYTES).await?;
            let Some(newest) = rows.last() else {
                return Ok(());
            };
            last = newest.seq;
            for row in &rows {
                self.tell_result(operation, row);
            }
        }
    }

    fn tell_gap(&self, operation: OperationId) {
        if let Some(watched) = self.operations().get(&operation) {
            let _ = watched.subscribers.send(Live::Gap);
        }
    }

    /// Looks for what was announced to nobody: a message that was lost, or a commit whose hub died before it could tell.
    async fn look(&self, store: &dyn Store) {
        let watched: Vec<OperationId> = self.operations().keys().copied().collect();
        for ids in watched.chunks(LOOKED_AT_ONCE) {
            let progress = match store.progress(ids.to_vec()).await {
                Ok(progress) => progress,
                Err(error) => {
                    tracing::debug!(%error, "cannot look for results that nobody announced");
                    return;
                }
            };
            for one in progress {
                self.set_behind(one.operation, Some(one.last_seq));
                if one.ended
                    && let Some(watched) = self.operations().get(&one.operation)
                {
                    let _ = watched.subscribers.send(Live::Ended);
                }
            }
        }
    }
}

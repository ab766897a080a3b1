//! Second task of ingest: one transaction a batch, which the [`super::teller`] then answers.

use std::{sync::Arc, time::Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Answer, Demand, retry, teller::Committed};
use crate::{
    metrics,
    store::{Outcome, Report, Store, Stored},
};

/// Makes reports durable.
pub(super) struct Recorder {
    pub(super) store: Arc<dyn Store>,
    pub(super) abandon: CancellationToken,
}

impl Recorder {
    /// Records until the reader has ended.
    pub(super) async fn run(
        self,
        demands: mpsc::Sender<Demand>,
        committed: mpsc::Sender<Committed>,
    ) {
        loop {
            let (demand, batch) = oneshot::channel();
            if demands.send(demand).await.is_err() {
                return;
            }
            let Ok(batch) = batch.await else {
                return;
            };
            let (reports, answers): (Vec<Report>, Vec<Answer>) = batch
                .into_iter()
                .map(|read| (read.report, read.answer))
                .unzip();
            let reports = Arc::new(reports);
            let Some(outcomes) = self.record(reports.clone()).await else {
                return;
            };
            let batch = Committed {
                reports,
                answers,
                outcomes,
            };
            if committed.send(batch).await.is_err() {
                return;
            }
        }
    }

    /// What became of each report. What the store does not take at once, for what is in it or because others are in its
    /// way, is tried by halves, so that one that cannot be stored holds up nobody else; it gets no outcome, and its probe
    /// no answer.
    async fn record(&self, reports: Arc<Vec<Report>>) -> Option<Vec<Option<Outcome>>> {
        let mut outcomes = Vec::with_capacity(reports.len());
        // The next part is the last one.
        let mut parts = vec![reports];
        while let Some(part) = parts.pop() {
            match retry(&self.abandon, || self.commit(part.clone())).await? {
                Ok(done) => outcomes.extend(done.into_iter().map(Some)),
                Err(error) => match &part[..] {
                    [] => {}
                    [one] => {
                        let (probe, operation) = (one.probe, one.operation);
                        tracing::error!(probe.id = %probe, operation.id = %operation, %error, "a report cannot be stored and stays unanswered");
                        outcomes.push(None);
                    }
                    many => {
                        tracing::debug!(reports = many.len(), %error, "half as much at once");
                        let (first, second) = many.split_at(many.len() / 2);
                        parts.extend([second, first].map(|half| Arc::new(half.to_vec())));
                    }
                },
            }
        }
        Some(outcomes)
    }

    async fn commit(&self, reports: Arc<Vec<Report>>) -> Stored<Vec<Outcome>> {
        let (count, begun) = (reports.len(), Instant::now());
        let outcomes = self.store.record(reports).await?;
        metrics::committed(count, begun.elapsed());
        Ok(outcomes)
    }
}

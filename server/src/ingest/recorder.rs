//! Second task of ingest: one transaction a batch; then the answers, then the announcements.

use std::{sync::Arc, time::Instant};

use probe_protocol::{HubFrame, OperationId, ResultCode};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Answer, Demand, reject, retry};
use crate::{
    bus::{Bus, Event, Recorded},
    metrics,
    registry::{Down, SessionHandle},
    store::{NewResult, Outcome, Report, ResultRow, Store, Stored, Verdict, What},
};

/// Makes reports durable and says so.
pub(super) struct Recorder {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) abandon: CancellationToken,
}

impl Recorder {
    /// Records until the reader has ended.
    pub(super) async fn run(self, demands: mpsc::Sender<Demand>) {
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
            let mut acks = Acks::default();
            for ((report, answer), outcome) in reports.iter().zip(&answers).zip(outcomes) {
                if let Some(outcome) = outcome {
                    self.settle(&answer.to, report, outcome, &mut acks);
                }
            }
            acks.send();
            // Only now: a session that ends waits for this.
            drop(answers);
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

    /// Announces what a report changed and notes what its probe is to hear.
    fn settle(&self, from: &SessionHandle, report: &Report, outcome: Outcome, acks: &mut Acks) {
        let operation = report.operation;
        match (&report.what, outcome.verdict) {
            (What::Result(result), Verdict::New { seq }) => {
                metrics::result_stored();
                acks.stored(from, operation, result.code.clone());
                self.announce(report, result, seq);
            }
            (What::Result(result), Verdict::Duplicate) => {
                metrics::result_repeated();
                acks.stored(from, operation, result.code.clone());
            }
            (What::Result(result), Verdict::Rejected(reason)) => {
                reject(from, operation, result.code.clone(), reason);
            }
            (What::Finished, _) => acks.closed(from, operation),
            (What::Claimed, _) => from.offer(Down::Claimed {
                operation,
                granted: outcome.changed.is_some(),
            }),
            _ => {}
        }
        if let Some(change) = outcome.changed {
            self.bus.publish(Event::Changed(change));
        }
    }

    fn announce(&self, report: &Report, result: &NewResult, seq: u64) {
        let Report {
            probe,
            operation,
            at,
            ..
        } = *report;
        let result = NewResult {
            raw: bytes::Bytes::new(),
            ..result.clone()
        };
        let row = ResultRow {
            seq,
            probe,
            received_at: at,
            rewarded: result.measured,
            result,
        };
        self.bus
            .publish(Event::Recorded(Arc::new(Recorded { operation, row })));
    }
}

/// Answers of one batch: the codes that one session hears of one operation go in one frame.
#[derive(Default)]
struct Acks(
    Vec<(SessionHandle, OperationId, Vec<ResultCode>)>,
    Vec<(SessionHandle, OperationId)>,
);

impl Acks {
    fn stored(&mut self, to: &SessionHandle, operation: OperationId, code: ResultCode) {
        let same = |(handle, id, _): &&mut (SessionHandle, OperationId, Vec<ResultCode>)| {
            handle.connection == to.connection && *id == operation
        };
        // Reports of one session stand close together, newest last.
        match self.0.iter_mut().rev().take(ACKS_LOOKED_AT).find(same) {
            Some((.., codes)) => codes.push(code),
            None => self.0.push((to.clone(), operation, vec![code])),
        }
    }

    fn closed(&mut self, to: &SessionHandle, operation: OperationId) {
        self.1.push((to.clone(), operation));
    }

    fn send(self) {
        for (to, operation, codes) in self.0 {
            to.tell(HubFrame::Stored { operation, codes });
        }
        for (to, operation) in self.1 {
            to.tell(HubFrame::Closed { operation });
        }
    }
}

/// How far back a frame to add a code to is looked for: one more frame costs less than a long search.
const ACKS_LOOKED_AT: usize = 16;

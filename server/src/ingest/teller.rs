//! Third task of ingest: what was committed is answered and announced, while the next batch is committed.

use std::sync::Arc;

use probe_protocol::{HubFrame, OperationId, ResultCode};
use tokio::sync::mpsc;

use super::{Answer, reject};
use crate::{
    bus::{Bus, Event, Recorded},
    metrics,
    registry::{Down, SessionHandle},
    store::{NewResult, Outcome, Report, ResultRow, Verdict, What},
};

/// A batch that is durable, and what became of each report; none of one that could not be stored.
pub(super) struct Committed {
    pub(super) reports: Arc<Vec<Report>>,
    pub(super) answers: Vec<Answer>,
    pub(super) outcomes: Vec<Option<Outcome>>,
}

/// Says what became of reports.
pub(super) struct Teller {
    pub(super) bus: Arc<dyn Bus>,
}

impl Teller {
    /// Tells until the recorder has ended.
    pub(super) async fn run(self, mut committed: mpsc::Receiver<Committed>) {
        while let Some(batch) = committed.recv().await {
            let mut acks = Acks::default();
            let Committed {
                reports,
                answers,
                outcomes,
            } = batch;
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

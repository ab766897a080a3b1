//! First task of ingest: contents become documents, off the async threads, while the recorder is busy with others. What is
//! ready when it asks is its next batch.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use lru::LruCache;
use probe_protocol::{OperationId, Rejection, RunResult};
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Answer, BATCH, Demand, Incoming, Queued, Read, Said, reject, retry};
use crate::{
    decode, metrics,
    store::{Brief, Clock, NewResult, Report, Store, StoreError, What},
};

/// Contents of one batch, bytes: a database keeps a transaction in memory until its end, and documents may be several
/// times as long as what they were made of.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Pause before more is read while the recorder is busy: a job for each few results would cost more than to read them, and
/// a commit takes far longer.
const GATHER: Duration = Duration::from_millis(1);

/// Operations whose kind and format are remembered.
const BRIEFS_KEPT: NonZeroUsize = NonZeroUsize::new(4096).expect("is not zero");

/// Turns what sessions pass on into reports.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    briefs: LruCache<OperationId, Brief>,
    abandon: CancellationToken,
}

impl Reader {
    /// A reader that knows no operation yet.
    pub(super) fn new(store: Arc<dyn Store>, abandon: CancellationToken) -> Self {
        Self {
            store,
            briefs: LruCache::new(BRIEFS_KEPT),
            abandon,
        }
    }

    /// Reads until every inbox is gone.
    pub(super) async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Queued>,
        mut demands: mpsc::Receiver<Demand>,
    ) {
        let mut ready = Ready::default();
        while let Some(incoming) = ready.gather(&mut waiting, &mut demands).await {
            for some in cut(incoming) {
                if self.add(some, &mut ready, &mut demands).await.is_none() {
                    return;
                }
            }
        }
        ready.hand_over(&mut demands).await;
    }

    /// Reads some, after what is ready was handed over where it would become too much; `None` when ingest ends.
    async fn add(
        &mut self,
        incoming: Vec<Queued>,
        ready: &mut Ready,
        demands: &mut mpsc::Receiver<Demand>,
    ) -> Option<()> {
        let bytes = incoming.iter().map(bytes_of).sum();
        if ready.bytes.saturating_add(bytes) > BATCH_BYTES {
            ready.hand_over(demands).await?;
        }
        let briefs = self.briefs(&incoming).await?;
        match spawn_blocking(move || read_all(incoming, &briefs)).await {
            Ok(reports) => ready.add(reports, bytes),
            // Decoders do not panic; if one did, its batch stays unanswered and is sent again.
            Err(error) => tracing::error!(%error, "a batch of results could not be read"),
        }
        Some(())
    }

    /// What is known of the operations of this batch, in the order of `incoming`; unknown ones are `None`.
    async fn briefs(&mut self, incoming: &[Queued]) -> Option<Vec<Option<Brief>>> {
        let results = || {
            incoming
                .iter()
                .filter_map(|one| result_of(one).map(|result| result.operation))
        };
        let mut missing: Vec<OperationId> =
            results().filter(|id| !self.briefs.contains(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut found = Vec::new();
        if !missing.is_empty() {
            // Whatever goes wrong: results of operations that are not known now must not be refused for that.
            let briefs = || async {
                let found = self.store.briefs(missing.clone()).await;
                found.map_err(|error| StoreError::Unavailable(error.to_string()))
            };
            found = retry(&self.abandon, briefs).await?.ok()?;
        }
        let mut brief_of = |id: OperationId| {
            let fresh = found.iter().find(|brief| brief.operation == id);
            fresh.or_else(|| self.briefs.get(&id)).copied()
        };
        let briefs = incoming
            .iter()
            .map(|one| result_of(one).and_then(|result| brief_of(result.operation)))
            .collect();
        for brief in found {
            self.briefs.put(brief.operation, brief);
        }
        Some(briefs)
    }
}

/// What was read and waits for the recorder: no more than a batch.
#[derive(Default)]
struct Ready {
    reports: Vec<Read>,
    /// Of their contents.
    bytes: usize,
}

impl Ready {
    /// What is to be read next, as far as there is room for it; who asks meanwhile gets what is ready. `None` when every
    /// inbox is gone, or the recorder.
    async fn gather(
        &mut self,
        waiting: &mut mpsc::Receiver<Queued>,
        demands: &mut mpsc::Receiver<Demand>,
    ) -> Option<Vec<Queued>> {
        loop {
            let mut incoming = Vec::new();
            let (room, some) = (
                BATCH - self.reports.len().min(BATCH),
                !self.reports.is_empty(),
            );
            let more = async {
                if some {
                    sleep(GATHER).await;
                }
                waiting.recv_many(&mut incoming, room).await
            };
            tokio::select! {
                biased;
                demand = demands.recv(), if some => self.give(demand?),
                count = more, if room > 0 => return (count > 0).then_some(incoming),
            }
        }
    }

    /// Waits until the recorder asks, where something is ready; `None` when it has ended.
    async fn hand_over(&mut self, demands: &mut mpsc::Receiver<Demand>) -> Option<()> {
        if !self.reports.is_empty() {
            let demand = demands.recv().await?;
            self.give(demand);
        }
        Some(())
    }

    fn give(&mut self, demand: Demand) {
        self.bytes = 0;
        // Who asked waits for nothing else, unless it has ended.
        drop(demand.send(std::mem::take(&mut self.reports)));
    }

    fn add(&mut self, reports: Vec<Read>, bytes: usize) {
        self.reports.extend(reports);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Parts that are no larger than a transaction should be, in the same order.
fn cut(incoming: Vec<Queued>) -> Vec<Vec<Queued>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0_usize);
    for queued in incoming {
        bytes = bytes.saturating_add(bytes_of(&queued));
        let is_full = bytes > BATCH_BYTES;
        match parts.last_mut() {
            Some(part) if !is_full || part.is_empty() => part.push(queued),
            _ => {
                bytes = bytes_of(&queued);
                parts.push(vec![queued]);
            }
        }
    }
    parts
}

fn bytes_of(queued: &Queued) -> usize {
    queued.incoming.said.bytes()
}

fn result_of(queued: &Queued) -> Option<&RunResult> {
    match &queued.incoming.said {
        Said::Result(result, _) => Some(result),
        _ => None,
    }
}

fn read_all(incoming: Vec<Queued>, briefs: &[Option<Brief>]) -> Vec<Read> {
    incoming
        .into_iter()
        .zip(briefs)
        .map(|(queued, brief)| read(queued, *brief))
        .collect()
}

/// Turns what was said into a report. A result of an unknown operation is refused right here.
fn read(queued: Queued, brief: Option<Brief>) -> Read {
    let Incoming {
        from,
        at,
        said,
        underway,
    } = queued.incoming;
    let (operation, what) = match said {
        Said::Delivered(operation) => (operation, What::Delivered),
        Said::Claimed(operation) => (operation, What::Claimed),
        Said::Unusable => {
            metrics::result_unusable();
            (OperationId::NONE, What::Unusable)
        }
        Said::Accepted(operation) => (operation, What::Accepted),
        Said::Refused(operation, reason) => (operation, What::Refused(reason)),
        Said::Finished(operation) => (operation, What::Finished),
        Said::Result(result, clock) => {
            let operation = result.operation;
            match brief {
                Some(brief) => {
                    let result = read_result(*result, brief, clock);
                    (operation, What::Result(Box::new(result)))
                }
                None => {
                    reject(&from, operation, result.code, Rejection::UnknownOperation);
                    (operation, What::Unusable)
                }
            }
        }
    };
    let at = kept(at);
    let report = Report {
        probe: from.probe,
        operation,
        session: from.session_number(),
        at,
        what,
    };
    Read {
        report,
        answer: Answer {
            to: from,
            _room: queued.room,
            _underway: underway,
        },
    }
}

fn read_result(result: RunResult, brief: Brief, clock: Option<Clock>) -> NewResult {
    let content = result.content.into_vec();
    let readout = decode::read(brief.kind, brief.result_format, result.format, &content);
    NewResult {
        code: result.code,
        format: result.format,
        raw: content.into(),
        document: readout.document,
        summary: readout.summary,
        undecoded: readout.undecoded,
        measured: readout.measured,
        started_at: by_hub_clock(result.started_at, clock),
        finished_at: by_hub_clock(result.finished_at, clock),
        clock,
    }
}

/// A time as stores keep it, to the millisecond, so that a live result equals the stored one.
fn kept(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(3)
}

/// A time of the probe's clock on the hub's clock, as far as the offset is known.
fn by_hub_clock(time: DateTime<Utc>, clock: Option<Clock>) -> DateTime<Utc> {
    let offset = clock.map_or(0, |clock| clock.offset_us);
    let time = time
        .checked_sub_signed(TimeDelta::microseconds(offset))
        .unwrap_or(time);
    kept(time)
}

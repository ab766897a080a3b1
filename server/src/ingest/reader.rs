//! First task of ingest: contents become documents, off the async threads, one job a batch.

use std::{num::NonZeroUsize, sync::Arc};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use lru::LruCache;
use probe_protocol::{OperationId, Rejection, RunResult};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{Answer, BATCH, Incoming, Queued, Read, Said, reject, retry};
use crate::{
    decode, metrics,
    store::{Brief, Clock, NewResult, Report, Store, StoreError, What},
};

/// Contents of one batch, bytes: a database keeps a transaction in memory until its end, and documents may be several
/// times as long as what they were made of.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

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
        batches: mpsc::Sender<Vec<Read>>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            let incoming = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            for some in cut(incoming) {
                if self.pass_on(some, &batches).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Reads a batch and gives it to the recorder; `None` when ingest ends.
    async fn pass_on(
        &mut self,
        incoming: Vec<Queued>,
        batches: &mpsc::Sender<Vec<Read>>,
    ) -> Option<()> {
        let briefs = self.briefs(&incoming).await?;
        match spawn_blocking(move || read_all(incoming, &briefs)).await {
            Ok(reports) => batches.send(reports).await.ok(),
            // Decoders do not panic; if one did, its batch stays unanswered and is sent again.
            Err(error) => {
                tracing::error!(%error, "a batch of results could not be read");
                Some(())
            }
        }
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

/// Batches that are no larger than a transaction should be, in the same order.
fn cut(incoming: Vec<Queued>) -> Vec<Vec<Queued>> {
    let (mut batches, mut bytes) = (vec![Vec::new()], 0_usize);
    for queued in incoming {
        bytes = bytes.saturating_add(queued.incoming.said.bytes());
        let is_full = bytes > BATCH_BYTES;
        match batches.last_mut() {
            Some(batch) if !is_full || batch.is_empty() => batch.push(queued),
            _ => {
                bytes = queued.incoming.said.bytes();
                batches.push(vec![queued]);
            }
        }
    }
    batches
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

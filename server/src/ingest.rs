//! UP: what probes report becomes durable: read → record → acknowledge → announce.
//!
//! Reports of all sessions that wait at the same time are one transaction; each session gets its answers after the
//! commit, on the handle that the report came with. Three tasks in a row: one reads contents off the async threads while
//! the next waits for the commit of the batch before, and gives it all that was read by then when it asks for more: a
//! report waits for the commit that is under way and for its own. The third answers what was committed, meanwhile. Where the
//! store is away, batches wait and, since the inbox is bounded, sessions stop reading; nothing is acknowledged that is not
//! committed.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use probe_protocol::{HubFrame, OperationId, Rejection, ResultCode, RunResult};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use crate::{
    bus::Bus,
    metrics,
    registry::SessionHandle,
    store::{Clock, Report, Store, StoreError},
};

mod reader;
mod recorder;
mod teller;

use reader::Reader;
use recorder::Recorder;
use teller::Teller;

/// Reports that may wait to be read: two batches.
const INBOX: usize = 2 * BATCH;
/// Reports of one transaction: enough to share what a commit costs however little is in it, few enough that an ack does not
/// wait for many others.
const BATCH: usize = 2048;
/// Contents that may wait at the same time, KiB, whatever their number: bounds the memory of ingest.
const CONTENTS_KIB: u32 = 128 * 1024;
/// Pause before a batch is tried again when the store is away.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a session passes on.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Who reported and gets the answer.
    pub(crate) from: SessionHandle,
    /// When it arrived.
    pub(crate) at: DateTime<Utc>,
    /// What.
    pub(crate) said: Said,
    /// Dropped when the answer is queued, so that a session that ends can wait for its answers.
    pub(crate) underway: TaskTrackerToken,
}

/// What a session may pass on.
#[derive(Debug)]
pub(crate) enum Said {
    /// The session sent this operation's frame.
    Delivered(OperationId),
    /// The session is about to send this operation to a probe that must never get it twice; answered with
    /// [`crate::registry::Down::Claimed`].
    Claimed(OperationId),
    /// The probe will run it.
    Accepted(OperationId),
    /// The probe will not run it, and why.
    Refused(OperationId, String),
    /// No more results will come.
    Finished(OperationId),
    /// A result and the probe's clock.
    Result(Box<RunResult>, Option<Clock>),
    /// Something that was meant to be a result and can never be one; answered by the session already.
    Unusable,
}

impl Said {
    /// Bytes that it keeps in memory until it is recorded.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Result(result, _) => result.content.len(),
            _ => 0,
        }
    }
}

/// Where sessions put what they hear. A cheap handle; ingest ends when the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    queue: mpsc::Sender<Queued>,
    contents: Arc<Semaphore>,
}

/// An [`Inbox`] that does not keep ingest alive.
#[derive(Debug, Clone)]
pub(crate) struct WeakInbox {
    queue: mpsc::WeakSender<Queued>,
    contents: Arc<Semaphore>,
}

/// What waits in the queue, with its share of the room for contents.
#[derive(Debug)]
struct Queued {
    incoming: Incoming,
    room: Option<OwnedSemaphorePermit>,
}

/// Room for one report.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    place: mpsc::Permit<'a, Queued>,
    contents: Option<OwnedSemaphorePermit>,
}

impl WeakInbox {
    /// The inbox, while ingest runs.
    pub(crate) fn upgrade(&self) -> Option<Inbox> {
        Some(Inbox {
            queue: self.queue.upgrade()?,
            contents: self.contents.clone(),
        })
    }
}

impl Inbox {
    /// The same inbox for whoever must not keep ingest alive.
    pub(crate) fn downgrade(&self) -> WeakInbox {
        WeakInbox {
            queue: self.queue.downgrade(),
            contents: self.contents.clone(),
        }
    }

    /// Waits for room for a report that keeps so many bytes; `None` when ingest has ended. Losing interest half-way
    /// costs nothing.
    pub(crate) async fn room(&self, bytes: usize) -> Option<Room<'_>> {
        let mut contents = None;
        if bytes > 0 {
            let kib = u32::try_from(bytes.div_ceil(1024))
                .unwrap_or(CONTENTS_KIB)
                .min(CONTENTS_KIB);
            contents = Some(self.contents.clone().acquire_many_owned(kib).await.ok()?);
        }
        let place = self.queue.reserve().await.ok()?;
        Some(Room { place, contents })
    }
}

impl Room<'_> {
    /// Puts a report there.
    pub(crate) fn put(self, incoming: Incoming) {
        self.place.send(Queued {
            incoming,
            room: self.contents,
        });
    }
}

/// The tasks of ingest.
#[derive(Debug)]
pub(crate) struct Ingest {
    reader: JoinHandle<()>,
    recorder: JoinHandle<()>,
    teller: JoinHandle<()>,
}

/// A report on its way to the store, with who is to hear what became of it.
struct Read {
    report: Report,
    answer: Answer,
}

/// Who hears what became of a report. What it holds is let go when the answer is queued.
struct Answer {
    to: SessionHandle,
    _room: Option<OwnedSemaphorePermit>,
    _underway: TaskTrackerToken,
}

/// The recorder asks the reader for the next batch: this is where it waits for it.
type Demand = oneshot::Sender<Vec<Read>>;

/// Starts ingest. `abandon` gives up batches that the store does not take; it is the last resort of a stop.
pub(crate) fn start(
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    abandon: CancellationToken,
) -> (Inbox, Ingest) {
    let (queue, waiting) = mpsc::channel(INBOX);
    // There is one who asks.
    let (demands, asked) = mpsc::channel(1);
    // Who is slower than commits holds them up.
    let (tell, committed) = mpsc::channel(1);
    let inbox = Inbox {
        queue,
        contents: Arc::new(Semaphore::new(CONTENTS_KIB as usize)),
    };
    let reader = Reader::new(store.clone(), abandon.clone());
    let recorder = Recorder { store, abandon };
    let ingest = Ingest {
        reader: tokio::spawn(reader.run(waiting, asked)),
        recorder: tokio::spawn(recorder.run(demands, tell)),
        teller: tokio::spawn(Teller { bus }.run(committed)),
    };
    (inbox, ingest)
}

impl Ingest {
    /// Waits until everything that was passed on is recorded and answered; every [`Inbox`] must be gone.
    pub(crate) async fn finish(self) {
        for task in [self.reader, self.recorder, self.teller] {
            if let Err(error) = task.await {
                tracing::error!(%error, "ingest ended badly");
            }
        }
    }
}

fn reject(to: &SessionHandle, operation: OperationId, code: ResultCode, reason: Rejection) {
    tracing::debug!(probe.id = %to.probe, operation.id = %operation, ?reason, "result rejected");
    metrics::result_rejected(reason);
    to.tell(HubFrame::Rejected {
        operation,
        code,
        reason,
    });
}

/// Tries until the store answers, and be it with a refusal. `None` only when the hub gives up to stop.
async fn retry<T, F>(
    abandon: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Option<Result<T, StoreError>>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match attempt().await {
            Err(StoreError::Unavailable(why)) => {
                metrics::store_refused_reports();
                tracing::error!(%why, "the store does not take reports; nothing is acknowledged meanwhile");
            }
            answer => return Some(answer),
        }
        tokio::select! {
            () = abandon.cancelled() => return None,
            () = sleep(RETRY_AFTER) => {}
        }
    }
}

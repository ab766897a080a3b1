//! The one thread that touches the data directory, and the handle that all others hold.
//!
//! A caller sends a closure over the [`Shelf`]; its answer comes once everything the closure wrote is on disk. Calls
//! that wait together are one commit: their files are synced side by side. What others want to know at any time (how
//! much is kept, which operations are settled) is published as a [`Snapshot`] after each commit.
//!
//! A commit that fails stops the thread: nothing may be promised any more, and every caller sees
//! [`ShelfGone`].

use std::{fs, io, sync::Arc, thread};

use chrono::{DateTime, Utc};
use probe_protocol::{Assign, Limits, MAX_FRAME, OperationId, TargetPolicy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use crate::{
    assignments::{Assignments, Ended, Progress, Record},
    data_dir::DataDir,
    spool::{ResultKey, Sequence, Spool},
};

/// Calls that may wait for the thread; a further caller waits until there is room.
const QUEUE: usize = 256;

/// Calls that share one commit: enough to make it cheap, few enough to answer soon.
const GROUP: usize = 64;

/// The thread is gone: the directory failed, or the agent stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data directory cannot be used any more")]
pub struct ShelfGone;

/// What was not done, since the agent was installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Results dropped because the spool was full or the disk refused them.
    pub dropped: u64,
    /// Runs skipped because they could not start in time.
    pub skipped: u64,
    /// Results replaced by a failure because they were larger than a frame.
    pub oversized: u64,
}

/// What the hub asked to keep to; kept for the time without a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Addresses that may be measured.
    pub target_policy: TargetPolicy,
    /// Longest frame the hub takes, bytes.
    pub max_frame: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            // Before any hub spoke nothing is assigned; if the file was lost, the careful choice is right.
            target_policy: TargetPolicy::Public,
            max_frame: MAX_FRAME as u32,
        }
    }
}

impl From<&Limits> for Rules {
    fn from(limits: &Limits) -> Self {
        Self {
            target_policy: limits.target_policy,
            max_frame: limits.max_frame.min(MAX_FRAME as u32),
        }
    }
}

/// What anybody may know at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Credits in use.
    pub in_use_credits: u32,
    /// Results kept.
    pub spooled: u32,
    /// Highest sequence number in the spool so far.
    pub newest: Sequence,
    /// What was not done.
    pub counters: Counters,
    /// Operations that ended and of which every result was answered.
    pub settled: Arc<[OperationId]>,
    /// What the hub asked to keep to.
    pub rules: Rules,
}

/// Everything on disk, and its index. Methods write; the caller's answer waits for the commit.
#[derive(Debug)]
pub struct Shelf {
    dir: DataDir,
    /// What this probe holds.
    pub assignments: Assignments,
    spool: Spool,
    counters: Counters,
    rules: Rules,
    settled: Arc<[OperationId]>,
    unsettled: bool,
}

impl Shelf {
    /// Reads the directory. A `once` run whose result is there has ended, whatever its record says: the agent died
    /// between the two writes.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn load(dir: DataDir, spool_limit: u64) -> io::Result<Self> {
        let spool = Spool::load(&dir, spool_limit)?;
        let mut assignments = Assignments::load(&dir)?;
        let made: Vec<OperationId> = assignments
            .iter()
            .filter(|record| record.ended.is_none() && has_result(&spool, record))
            .map(Record::operation)
            .collect();
        for operation in made {
            assignments.end(&dir, operation, Ended::Completed)?;
        }
        dir.commit()?;
        Ok(Self {
            counters: read_json(&dir, COUNTERS).unwrap_or_default(),
            rules: read_json(&dir, RULES).unwrap_or_default(),
            dir,
            assignments,
            spool,
            settled: Arc::default(),
            unsettled: true,
        })
    }

    /// Keeps a new assignment.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn accept(&mut self, assign: Assign, now: DateTime<Utc>) -> io::Result<Record> {
        self.assignments.accept(&self.dir, assign, now)
    }

    /// Notes that every run up to `upto` was started or skipped.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn advance(
        &mut self,
        operation: OperationId,
        upto: DateTime<Utc>,
        skipped: u64,
    ) -> io::Result<()> {
        if skipped > 0 {
            self.count(|counters| counters.skipped += skipped);
        }
        self.assignments
            .advance(&self.dir, operation, upto, skipped)
    }

    /// Keeps a result. When the disk refuses it, it is counted as dropped.
    pub fn keep(&mut self, key: ResultKey, frame: &[u8]) {
        let operation = key.operation;
        let dropped = match self.spool.put(&self.dir, key, frame) {
            Ok(0) => return,
            Ok(dropped) => {
                warn!(dropped, "the spool is full: dropped {dropped} results");
                dropped
            }
            Err(cause) => {
                error!(%operation, "cannot keep a result of {operation}: {cause}; it is lost");
                1
            }
        };
        self.unsettled = true;
        self.count(|counters| counters.dropped += dropped);
    }

    /// Keeps the only result of a `once` assignment and ends it. The result is on disk before the end is written, so
    /// that a crash in between repeats nothing and loses nothing.
    pub fn keep_last(&mut self, key: ResultKey, frame: &[u8]) {
        let operation = key.operation;
        self.keep(key, frame);
        self.in_place();
        self.end(operation, Ended::Completed);
    }

    /// Notes that no more results of this operation will be made.
    pub fn end(&mut self, operation: OperationId, ended: Ended) {
        self.unsettled = true;
        if let Err(cause) = self.assignments.end(&self.dir, operation, ended) {
            error!(%operation, %cause, "cannot write down that {operation} ended");
        }
    }

    /// Deletes results that the hub answered.
    pub fn answered(&mut self, keys: &[ResultKey]) {
        self.in_place();
        for key in keys {
            self.spool.remove(&self.dir, key);
        }
        self.unsettled = true;
    }

    /// Forgets an assignment.
    pub fn close(&mut self, operation: OperationId) {
        self.in_place();
        self.assignments.close(&self.dir, operation);
        self.unsettled = true;
    }

    /// The oldest results after `after`, see [`Spool::read_after`].
    pub fn read_after(
        &mut self,
        after: Sequence,
        count: usize,
        bytes: usize,
    ) -> Vec<crate::spool::Spooled> {
        self.in_place();
        self.unsettled = true; // an unreadable one may have been the last of its operation
        self.spool.read_after(&self.dir, after, count, bytes)
    }

    /// Remembers what the hub asked to keep to.
    pub fn obey(&mut self, rules: Rules) {
        if self.rules != rules {
            self.rules = rules;
            self.write_json(RULES, &rules);
        }
    }

    /// Counts something that was not done.
    pub fn count(&mut self, add: impl FnOnce(&mut Counters)) {
        add(&mut self.counters);
        let counters = self.counters;
        self.write_json(COUNTERS, &counters);
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&mut self) -> Snapshot {
        if std::mem::take(&mut self.unsettled) {
            let settled = self.assignments.iter().filter(|record| {
                record.ended.is_some() && !self.spool.holds_any_of(record.operation())
            });
            self.settled = settled.map(Record::operation).collect();
        }
        Snapshot {
            in_use_credits: self.assignments.in_use_credits(),
            spooled: u32::try_from(self.spool.len()).unwrap_or(u32::MAX),
            newest: self.spool.newest(),
            counters: self.counters,
            settled: Arc::clone(&self.settled),
            rules: self.rules,
        }
    }

    /// Commits before something reads or deletes files. A failure comes again at the group's own commit.
    fn in_place(&self) {
        let _ = self.dir.commit();
    }

    /// The small files are worth a warning, never a stop.
    fn write_json(&self, name: &str, value: &impl Serialize) {
        let written = serde_json::to_vec(value)
            .map_err(io::Error::from)
            .and_then(|bytes| self.dir.write(self.dir.root(), name, &bytes));
        if let Err(cause) = written {
            warn!(%cause, "cannot write {name}");
        }
    }
}

const COUNTERS: &str = "counters.json";
const RULES: &str = "hub.json";

fn has_result(spool: &Spool, record: &Record) -> bool {
    let Progress::Once { code } = &record.progress else {
        return false;
    };
    spool.holds(&ResultKey {
        operation: record.operation(),
        code: code.clone(),
    })
}

fn read_json<T: DeserializeOwned>(dir: &DataDir, name: &str) -> Option<T> {
    let file = dir.root().join(name);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return None,
        Err(cause) => {
            dir.set_aside(&file, &cause);
            return None;
        }
    };
    serde_json::from_slice(&bytes)
        .inspect_err(|why| dir.set_aside(&file, why))
        .ok()
}

/// Does its part on the shelf, then returns what is to be said once all is committed.
type Job = Box<dyn FnOnce(&mut Shelf) -> Box<dyn FnOnce() + Send> + Send>;

/// A handle on the thread; cheap to clone. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct ShelfHandle {
    jobs: mpsc::Sender<Job>,
    snapshot: watch::Receiver<Snapshot>,
}

impl std::fmt::Debug for ShelfHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShelfHandle").finish_non_exhaustive()
    }
}

impl ShelfHandle {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(mut shelf: Shelf) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (publish, snapshot) = watch::channel(shelf.snapshot());
        thread::Builder::new()
            .name("shelf".to_owned())
            .spawn(move || serve(shelf, queue, &publish))?;
        Ok(Self { jobs, snapshot })
    }

    /// Runs a closure on the thread; returns when what it wrote is on disk.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Shelf) -> R + Send + 'static,
    ) -> Result<R, ShelfGone> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |shelf| {
            let result = work(shelf);
            Box::new(move || drop(answer.send(result)))
        });
        self.jobs.send(job).await.map_err(|_| ShelfGone)?;
        answered.await.map_err(|_| ShelfGone)
    }

    /// What is known now, without waiting.
    #[must_use]
    pub fn now(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// What is known now and from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Returns when the thread is gone.
    pub async fn gone(&self) {
        self.jobs.closed().await;
    }
}

fn serve(mut shelf: Shelf, mut queue: mpsc::Receiver<Job>, publish: &watch::Sender<Snapshot>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let answers: Vec<_> = group.drain(..).map(|job| job(&mut shelf)).collect();
        if let Err(cause) = shelf.dir.commit() {
            error!(%cause, "cannot make the data directory durable: stopping");
            return;
        }
        let snapshot = shelf.snapshot();
        publish.send_if_modified(|published| {
            let changed = *published != snapshot;
            if changed {
                *published = snapshot;
            }
            changed
        });
        answers.into_iter().for_each(|answer| answer());
    }
}

#[cfg(test)]
mod tests;

//! What a simulated probe keeps of its own: what it was given, what it answered, and what was acknowledged. It outlives
//! connections and hubs, like an agent's disk. Read by [`super::verdict`] at the end; knows nothing of the store.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, Rejection};
use tokio::time::Instant;

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not answered yet.
    Waiting,
    /// The hub said that it is durable. Old agents hear the same of what is refused.
    Stored,
    /// The hub refused it.
    Rejected(Rejection),
}

/// A run that was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// When it began.
    pub(crate) at: DateTime<Utc>,
    /// What became of its result.
    pub(crate) fate: Fate,
}

/// One operation at one probe.
#[derive(Debug)]
pub(crate) struct Entry {
    /// How often it was offered.
    pub(crate) offered: usize,
    /// When first.
    pub(crate) first: Instant,
    /// Whether the probe takes it on; all answers are the same.
    pub(crate) taken: bool,
    /// Runs that the probe plans.
    pub(crate) planned: usize,
    /// Price of a run, as the hub told it.
    pub(crate) credits: i64,
    /// Runs by the codes of their results.
    pub(crate) runs: BTreeMap<String, Run>,
    /// Whether the hub said that it is cancelled.
    pub(crate) cancelled: bool,
    /// Whether the hub knows that it is over, so that the probe forgot it.
    pub(crate) closed: bool,
    /// How often it was offered after that: the probe began anew.
    pub(crate) begun_again: usize,
}

impl Entry {
    /// An operation that is offered for the first time.
    pub(crate) fn new(taken: bool, planned: usize, credits: i64) -> Self {
        Self {
            offered: 1,
            first: Instant::now(),
            taken,
            planned,
            credits,
            runs: BTreeMap::new(),
            cancelled: false,
            closed: false,
            begun_again: 0,
        }
    }

    /// Whether an agent would still have it on its disk.
    pub(crate) fn is_held(&self) -> bool {
        self.taken && !self.closed
    }

    /// Whether all that was measured is answered and nothing more will be measured.
    pub(crate) fn is_done(&self) -> bool {
        let expected = if self.cancelled { 0 } else { self.planned };
        let answered = |run: &Run| run.fate != Fate::Waiting;
        self.runs.len() >= expected && self.runs.values().all(answered)
    }
}

/// Everything that one probe knows.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By operation.
    pub(crate) operations: HashMap<OperationId, Entry>,
    /// The hub that serves it, by its place in the list.
    pub(crate) at: Option<usize>,
    /// Ends of sessions on each hub.
    pub(crate) ends: HashMap<usize, usize>,
    /// How often it was told that a newer connection took its place, without having made one.
    pub(crate) replaced: usize,
    /// The same after an attempt of its own that it had given up.
    pub(crate) overtaken: usize,
    /// What should not have happened.
    pub(crate) wrong: Vec<String>,
}

/// A probe's journal. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Book>>);

impl Journal {
    /// Opens it; nobody may wait for anything while it is open.
    pub(crate) fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no probe panicked")
    }

    /// Notes the answer to a result; false where it was answered before.
    pub(crate) fn answer(&self, operation: OperationId, code: &str, fate: Fate) -> bool {
        let mut book = self.open();
        let entry = book.operations.get_mut(&operation);
        let Some(run) = entry.and_then(|entry| entry.runs.get_mut(code)) else {
            let what = format!("{operation} {code} was answered and never sent");
            book.wrong.push(what);
            return false;
        };
        let is_first = run.fate == Fate::Waiting;
        if !is_first && run.fate != fate {
            let what = format!("{operation} {code} was {:?}, then {fate:?}", run.fate);
            book.wrong.push(what);
        } else {
            run.fate = fate;
        }
        is_first
    }

    /// Notes that an operation is cancelled.
    pub(crate) fn cancel(&self, operation: OperationId) {
        if let Some(entry) = self.open().operations.get_mut(&operation) {
            entry.cancelled = true;
        }
    }

    /// Notes that the hub knows that an operation is over.
    pub(crate) fn close(&self, operation: OperationId) {
        if let Some(entry) = self.open().operations.get_mut(&operation) {
            entry.closed = true;
        }
    }

    /// Operations that an agent would have on its disk.
    pub(crate) fn held(&self) -> Vec<OperationId> {
        let book = self.open();
        let held = book.operations.iter().filter(|(_, entry)| entry.is_held());
        held.map(|(id, _)| *id).collect()
    }
}

/// What all probes did together, for the lines of progress. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Counts>);

/// The numbers of [`Tally`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Probes that are connected now.
    pub(crate) connected: AtomicUsize,
    /// Sessions that were opened.
    pub(crate) sessions: AtomicUsize,
    /// Assignments that arrived, each counted once.
    pub(crate) given: AtomicUsize,
    /// Offers of what the probe had already.
    pub(crate) repeated: AtomicUsize,
    /// Result frames, repeats too.
    pub(crate) sent: AtomicUsize,
    /// Results that were answered.
    pub(crate) answered: AtomicUsize,
    ends: Mutex<BTreeMap<String, usize>>,
}

impl Tally {
    /// Notes why a session ended, or did not begin.
    pub(crate) fn end(&self, why: String) {
        let mut ends = self.ends.lock().expect("no probe panicked");
        *ends.entry(why).or_default() += 1;
    }

    /// How often sessions ended, or did not begin, by why.
    pub(crate) fn ends(&self) -> BTreeMap<String, usize> {
        self.ends.lock().expect("no probe panicked").clone()
    }
}

impl std::ops::Deref for Tally {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.0
    }
}

/// One more.
pub(crate) fn count(number: &AtomicUsize) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// How many.
pub(crate) fn of(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

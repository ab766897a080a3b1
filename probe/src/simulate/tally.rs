//! What a fleet counts and measures, by all its probes at once. Times are by the monotonic clock; instants that are shown
//! are the start's plus what passed since.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use probe_protocol::{OperationId, Rejection};
use tokio::time::Instant;

use super::options::Lie;

mod trouble;

pub(super) use trouble::Trouble;

/// Digits that are kept of a measured time.
const DIGITS: u8 = 3;
/// Longest time that is told from longer ones, µs: ten minutes.
const LONGEST_US: u64 = 600_000_000;
/// Operations whose dispatch is told one by one; the first ones.
const MOST_OPERATIONS: usize = 1000;
/// Characters that are kept of a text of the hub or the system.
const LONGEST_TEXT: usize = 300;

/// How often something went wrong, and how it was the last time.
#[derive(Debug, Clone, Default)]
pub(super) struct Troubled {
    pub(super) count: u64,
    pub(super) last: String,
}

/// What became of the lies of a kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Lied {
    pub(super) sent: u64,
    pub(super) stored: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) closed: BTreeMap<u16, u64>,
    pub(super) unexpected: u64,
}

/// How an operation came to its probes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dispatched {
    pub(super) probes: u64,
    pub(super) again: u64,
    pub(super) first: Instant,
    pub(super) last: Instant,
}

/// Counters that change with every result.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connected: AtomicUsize,
    pub(super) peak: AtomicUsize,
    /// Probes that were ready at least once.
    pub(super) ever_ready: AtomicUsize,
    /// Sessions that became ready.
    pub(super) sessions: AtomicU64,
    /// Results that had to be stored.
    pub(super) made: AtomicU64,
    /// Result frames, lies and repeats among them.
    pub(super) sent: AtomicU64,
    /// Result frames that were sent before.
    pub(super) again: AtomicU64,
    /// Results that had to be stored and were acknowledged.
    pub(super) acked: AtomicU64,
    /// Results that had to be stored unless somebody cancelled them, and were refused.
    pub(super) refused: AtomicU64,
    /// Runs for which there was no room or no time.
    pub(super) skipped: AtomicU64,
    /// Frames of operations.
    pub(super) assigned: AtomicU64,
    pub(super) content_bytes: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_heard: AtomicU64,
}

/// Measured times.
#[derive(Debug)]
pub(super) struct Times {
    /// From the first dialled byte to a ready session, µs.
    pub(super) ready: Histogram<u64>,
    /// From sending a result to its acknowledgement, µs.
    pub(super) ack: Histogram<u64>,
    /// The same since the last look.
    pub(super) recent: Histogram<u64>,
    /// When the last probe was ready for the first time.
    pub(super) all_ready: Option<Instant>,
    pub(super) first_sent: Option<Instant>,
    pub(super) last_acked: Option<Instant>,
}

/// What happens seldom.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) troubles: BTreeMap<Trouble, Troubled>,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) lies: BTreeMap<Lie, Lied>,
    pub(super) closes: BTreeMap<u16, u64>,
    pub(super) operations: HashMap<OperationId, Dispatched>,
    /// Results that had to be stored and were over the plan, which is right where the operation was cancelled: then
    /// the plan ends, for all that a fleet made ahead of it. Who is told of that may be another probe, and later.
    pub(super) over_plan: HashMap<OperationId, u64>,
    /// Operations that were cancelled.
    pub(super) cancelled: HashSet<OperationId>,
    /// Operations that are not told one by one.
    pub(super) more_operations: u64,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) began: Instant,
    pub(super) began_at: DateTime<Utc>,
    pub(super) counters: Counters,
    times: Mutex<Times>,
    book: Mutex<Book>,
}

fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS)
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// As the protocol writes it.
fn word(reason: Rejection) -> String {
    let word = serde_json::to_value(reason).ok();
    let word = word.and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_else(|| "other".to_owned())
}

impl Tally {
    /// Nothing has happened yet.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            began: Instant::now(),
            began_at: Utc::now(),
            counters: Counters::default(),
            times: Mutex::new(Times {
                ready: histogram()?,
                ack: histogram()?,
                recent: histogram()?,
                all_ready: None,
                first_sent: None,
                last_acked: None,
            }),
            book: Mutex::default(),
        })
    }

    /// The measured times.
    pub(super) fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens seldom.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the wall clock showed then.
    pub(super) fn at(&self, instant: Instant) -> DateTime<Utc> {
        self.began_at + instant.saturating_duration_since(self.began)
    }

    /// A session is ready that was dialled then; says whether it is its probe's first one.
    pub(super) fn ready(&self, dialled: Instant, is_first: bool) {
        let now = Instant::now();
        self.counters.sessions.fetch_add(1, Relaxed);
        let connected = self.counters.connected.fetch_add(1, Relaxed) + 1;
        self.counters.peak.fetch_max(connected, Relaxed);
        let mut times = self.times();
        times.ready.saturating_record(us(now - dialled));
        if is_first {
            self.counters.ever_ready.fetch_add(1, Relaxed);
            times.all_ready = Some(now);
        }
    }

    /// A session that was ready is over.
    pub(super) fn left(&self) {
        self.counters.connected.fetch_sub(1, Relaxed);
    }

    /// An operation came to a probe then, not for the first time where `again`.
    pub(super) fn assigned(&self, operation: OperationId, at: Instant, again: bool) {
        self.counters.assigned.fetch_add(1, Relaxed);
        let mut book = self.book();
        let is_full = book.operations.len() >= MOST_OPERATIONS;
        if let Some(dispatched) = book.operations.get_mut(&operation) {
            if again {
                dispatched.again += 1;
            } else {
                dispatched.probes += 1;
                // Probes may come here in another order than they heard.
                dispatched.first = dispatched.first.min(at);
                dispatched.last = dispatched.last.max(at);
            }
        } else if is_full {
            book.more_operations += 1;
        } else {
            let first = Dispatched {
                probes: 1,
                again: 0,
                first: at,
                last: at,
            };
            book.operations.insert(operation, first);
        }
    }

    /// A result left.
    pub(super) fn sent(&self, at: Instant, content: usize, lie: Option<Lie>, again: bool) {
        self.counters.sent.fetch_add(1, Relaxed);
        self.counters
            .content_bytes
            .fetch_add(content as u64, Relaxed);
        if again {
            self.counters.again.fetch_add(1, Relaxed);
        } else if let Some(lie) = lie {
            self.book().lies.entry(lie).or_default().sent += 1;
        }
        self.times().first_sent.get_or_insert(at);
    }

    /// A result that left then was acknowledged.
    pub(super) fn acked(&self, sent: Instant, lie: Option<Lie>) {
        let now = Instant::now();
        if lie.is_none_or(Lie::is_to_be_stored) {
            self.counters.acked.fetch_add(1, Relaxed);
        }
        if let Some(lie) = lie {
            self.book().lies.entry(lie).or_default().stored += 1;
        }
        let mut times = self.times();
        times.recent.saturating_record(us(now - sent));
        times.last_acked = Some(now);
    }

    /// A result was refused.
    pub(super) fn refused(&self, operation: OperationId, reason: Rejection, lie: Option<Lie>) {
        let word = word(reason);
        let must_be_stored = lie.is_none_or(Lie::is_to_be_stored);
        if must_be_stored {
            self.counters.refused.fetch_add(1, Relaxed);
        }
        let doubtful = must_be_stored && reason == Rejection::OverPlan;
        let expected = doubtful
            || lie.map_or(reason == Rejection::Cancelled, |lie| {
                lie.may_be_refused(reason)
            });
        {
            let mut book = self.book();
            if doubtful {
                *book.over_plan.entry(operation).or_default() += 1;
            }
            let refused = match lie {
                Some(lie) => {
                    let lied = book.lies.entry(lie).or_default();
                    lied.unexpected += u64::from(!expected);
                    &mut lied.refused
                }
                None => &mut book.refused,
            };
            *refused.entry(word.clone()).or_default() += 1;
        }
        if !expected {
            let what = lie.map_or_else(|| "a result".to_owned(), |lie| format!("a {lie} result"));
            self.trouble(Trouble::Refused, &format!("{what} of {operation}: {word}"));
        }
    }

    /// Somebody cancelled an operation.
    pub(super) fn cancelled(&self, operation: OperationId) {
        self.book().cancelled.insert(operation);
    }

    /// Everything has ended: what was over the plan of no cancelled operation was wrong.
    pub(super) fn settle(&self) {
        let doubtful = std::mem::take(&mut self.book().over_plan);
        for (operation, count) in doubtful {
            if !self.book().cancelled.contains(&operation) {
                let text = format!(
                    "{count} results of {operation}: {}",
                    word(Rejection::OverPlan)
                );
                self.trouble(Trouble::Refused, &text);
            }
        }
    }

    /// A lie was stored that must not be, or did not end its session.
    pub(super) fn believed(&self, lie: Lie, what: &str) {
        self.book().lies.entry(lie).or_default().unexpected += 1;
        self.trouble(Trouble::Believed, &format!("{lie}: {what}"));
    }

    /// The hub ended a session, for a lie where there is one.
    pub(super) fn closed(&self, code: u16, lie: Option<Lie>) {
        let mut book = self.book();
        *book.closes.entry(code).or_default() += 1;
        if let Some(lie) = lie {
            let lied = book.lies.entry(lie).or_default();
            *lied.closed.entry(code).or_default() += 1;
        }
    }

    /// A lie left that is no result.
    pub(super) fn lied(&self, lie: Lie) {
        self.book().lies.entry(lie).or_default().sent += 1;
    }

    /// Something went wrong.
    pub(super) fn trouble(&self, trouble: Trouble, text: &str) {
        let mut book = self.book();
        let troubled = book.troubles.entry(trouble).or_default();
        troubled.count += 1;
        troubled.last = short(text);
    }

    /// The acknowledgements since the last look: p50 and p99, µs. They become part of all.
    pub(super) fn look(&self) -> (u64, u64) {
        let mut times = self.times();
        let Times { ack, recent, .. } = &mut *times;
        let seen = (
            recent.value_at_quantile(0.5),
            recent.value_at_quantile(0.99),
        );
        // Both have the same bounds.
        let _ = ack.add(&*recent);
        recent.reset();
        seen
    }
}

#[cfg(test)]
mod tests;

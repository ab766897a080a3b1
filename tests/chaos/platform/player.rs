//! What simulated probes of both wires have in common: where they connect, what they are given, when they measure, and
//! what they note in their journals.

use std::{ops::Range, sync::Arc, sync::atomic::Ordering, time::Duration};

use chrono::Utc;
use probe_protocol::OperationId;
use rand::{RngExt as _, rngs::StdRng};
use tests::{TestProbe, probe::Refused};
use tokio::{
    sync::watch,
    time::{Instant, error::Elapsed, sleep},
};

use super::{
    journal::{Entry, Fate, Journal, Run, Tally, count},
    plan,
};

/// Longest a hub may take for each step of a connection; less than it may stand still, as agents give up too.
pub(super) const OPENED_WITHIN: Duration = Duration::from_secs(8);
/// Longest a frame may take to leave.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(8);
/// Pause before the next attempt to connect, ms.
const PAUSES_MS: Range<u64> = 30..400;
/// How long a measurement takes, ms.
const RUNS_MS: Range<u64> = 5..300;
/// What the test wants of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Go {
    /// Be connected, to any hub.
    #[default]
    Anywhere,
    /// Stay where it is, and away once that is over.
    Once,
    /// Leave, without a word.
    Away,
}

/// The same, with the number of times it was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    pub(crate) go: Go,
    pub(crate) cuts: usize,
}

/// Who a simulated probe is, of either wire.
#[derive(Debug)]
pub(crate) struct Player {
    /// Its place among all probes.
    pub(crate) number: usize,
    /// Seed of the plan: who refuses what follows from it.
    pub(crate) seed: u64,
    pub(crate) probe: TestProbe,
    pub(crate) journal: Journal,
    pub(crate) urls: Arc<[String]>,
    pub(crate) wish: watch::Receiver<Wish>,
    pub(crate) tally: Tally,
    pub(crate) random: StdRng,
    /// The hub it was at last.
    pub(crate) last: Option<usize>,
    /// When it last gave up an attempt to connect that a hub may still find.
    pub(crate) gave_up: Option<Instant>,
    /// Runs that will be: when, and of what.
    pub(crate) due: Vec<(Instant, OperationId)>,
}

impl Player {
    /// Waits until it may connect, and says where.
    pub(super) async fn next_hub(&mut self) -> usize {
        let pause = self.random.random_range(PAUSES_MS);
        sleep(Duration::from_millis(pause)).await;
        let may = |wish: &Wish| wish.go == Go::Anywhere;
        self.wish.wait_for(may).await.expect("the test goes on");
        let others: Vec<usize> = (0..self.urls.len())
            .filter(|hub| self.last != Some(*hub) || self.urls.len() == 1)
            .collect();
        let hub = others[self.random.random_range(0..others.len())];
        self.last = Some(hub);
        hub
    }

    /// The socket that was opened, if it was.
    pub(super) fn opened<S>(&self, opened: Result<Result<S, Refused>, Elapsed>) -> Option<S> {
        let why = match opened {
            Ok(Ok(socket)) => return Some(socket),
            Ok(Err(Refused::Status(status, _))) => format!("upgrade: {status}"),
            Ok(Err(Refused::Away(_))) => "upgrade: the hub is away".to_owned(),
            Err(_) => "upgrade: no answer in time".to_owned(),
        };
        self.tally.end(why);
        None
    }

    /// Whether the hub serves it now.
    pub(super) fn greeted(&mut self, greeted: Result<Result<(), String>, Elapsed>) -> bool {
        let why = match greeted {
            Ok(Ok(())) => return true,
            Ok(Err(why)) => format!("hello: {why}"),
            Err(_) => "hello: no answer in time".to_owned(),
        };
        self.tally.end(why);
        self.gave_up = Some(Instant::now());
        false
    }

    /// Notes that it is served.
    pub(super) fn arrived(&mut self, hub: usize) {
        self.journal.open().at = Some(hub);
        count(&self.tally.sessions);
        count(&self.tally.connected);
    }

    /// Notes that it is not served any more.
    pub(super) fn left(&mut self, hub: usize) {
        let mut book = self.journal.open();
        book.at = None;
        *book.ends.entry(hub).or_default() += 1;
        drop(book);
        self.tally.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes an offer; whether it takes it on, and whether that was new.
    pub(super) fn offered(
        &mut self,
        operation: OperationId,
        order: Option<usize>,
        planned: usize,
        credits: i64,
    ) -> (bool, bool) {
        let refuses = order.is_some_and(|order| plan::refuses(self.seed, self.number, order));
        let mut book = self.journal.open();
        let is_new = if let Some(entry) = book.operations.get_mut(&operation) {
            entry.offered += 1;
            count(&self.tally.repeated);
            let begins_again = entry.closed;
            if begins_again {
                entry.closed = false;
                entry.begun_again += 1;
                entry.planned += planned;
            }
            begins_again
        } else {
            count(&self.tally.given);
            let entry = Entry::new(!refuses, planned, credits);
            book.operations.insert(operation, entry);
            true
        };
        drop(book);
        if is_new && !refuses {
            let mut at = Instant::now();
            for _ in 0..planned {
                at += Duration::from_millis(self.random.random_range(RUNS_MS));
                self.due.push((at, operation));
            }
        }
        (!refuses, is_new)
    }

    /// Measures what is due; the codes of the results.
    pub(super) fn measure(&mut self) -> Vec<(OperationId, String)> {
        let now = Instant::now();
        let mut measured = Vec::new();
        let mut book = self.journal.open();
        self.due.retain(|(at, operation)| {
            if *at > now {
                return true;
            }
            let entry = book.operations.get_mut(operation).expect("it was given");
            if !entry.cancelled {
                let code = format!("p{}-{}", self.number, entry.runs.len());
                let run = Run {
                    at: Utc::now(),
                    fate: Fate::Waiting,
                };
                entry.runs.insert(code.clone(), run);
                measured.push((*operation, code));
            }
            false
        });
        measured
    }

    /// When the next run is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().map(|(at, _)| *at).min()
    }

    /// Results that wait for an answer.
    pub(super) fn unanswered(&self) -> Vec<(OperationId, String)> {
        let book = self.journal.open();
        let mut waiting = Vec::new();
        for (operation, entry) in &book.operations {
            let open = entry
                .runs
                .iter()
                .filter(|(_, run)| run.fate == Fate::Waiting);
            waiting.extend(open.map(|(code, _)| (*operation, code.clone())));
        }
        waiting
    }
}

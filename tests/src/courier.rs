//! A probe that delivers a set of results whatever happens to the hub: it sends again until each is answered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use probe_protocol::{HubFrame, OperationId, ProbeFrame, ResultCode, RunResult};
use tokio::time::sleep;

use crate::{
    probe::{Heard, ProbeSocket, hello},
    wait::{SOON, within},
};

/// Results under way unanswered: what the hub allows.
const UNDER_WAY: usize = 64;
/// Pause before the next attempt to connect.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// What couriers did together. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicUsize,
    sent: AtomicUsize,
    sessions: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    latencies: Mutex<Vec<Duration>>,
}

impl Tally {
    /// Results that were acknowledged.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// Result frames that were sent, repeats too.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Sessions that were opened.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.sessions.load(Ordering::Relaxed)
    }

    /// What should not have happened.
    ///
    /// # Panics
    /// When a courier panicked.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        self.0.wrong.lock().expect("no courier panicked").clone()
    }

    /// How long the answers took, sorted.
    #[must_use]
    pub fn latencies(&self) -> Vec<Duration> {
        let mut latencies = self.measured().clone();
        latencies.sort_unstable();
        latencies
    }

    fn measured(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.0.latencies.lock().expect("no courier panicked")
    }

    fn complain(&self, what: String) {
        self.0.wrong.lock().expect("no courier panicked").push(what);
    }
}

/// One of these probes.
#[derive(Debug)]
pub struct Courier {
    /// Of the hub.
    pub url: String,
    /// The probe's.
    pub token: String,
    /// What it delivers.
    pub results: Vec<RunResult>,
    /// Pause between two results; none sends as fast as it may.
    pub pause: Option<Duration>,
    /// Where it counts.
    pub tally: Tally,
}

/// A session's end or the end of all work.
enum Turn {
    Done,
    Again,
}

struct Load {
    waiting: VecDeque<RunResult>,
    under_way: HashMap<(OperationId, ResultCode), (RunResult, Instant)>,
    holds: Vec<OperationId>,
}

impl Courier {
    /// Delivers everything, through as many sessions as it takes.
    pub async fn run(self) {
        let mut holds: Vec<OperationId> =
            self.results.iter().map(|result| result.operation).collect();
        holds.sort_unstable();
        holds.dedup();
        let mut load = Load {
            waiting: self.results.iter().cloned().collect(),
            under_way: HashMap::new(),
            holds,
        };
        while let Turn::Again = self.session(&mut load).await {
            // What was not answered is sent again.
            load.waiting
                .extend(load.under_way.drain().map(|(_, (result, _))| result));
            sleep(RETRY_AFTER).await;
        }
    }

    async fn session(&self, load: &mut Load) -> Turn {
        let Ok(mut socket) = ProbeSocket::open(&self.url, &self.token).await else {
            return Turn::Again;
        };
        if !socket
            .send(&ProbeFrame::Hello(hello(load.holds.clone())))
            .await
        {
            return Turn::Again;
        }
        self.tally.0.sessions.fetch_add(1, Ordering::Relaxed);
        loop {
            if load.waiting.is_empty() && load.under_way.is_empty() {
                return Turn::Done;
            }
            while load.under_way.len() < UNDER_WAY
                && let Some(result) = load.waiting.pop_front()
            {
                self.tally.0.sent.fetch_add(1, Ordering::Relaxed);
                let frame = ProbeFrame::Result(result.clone());
                let key = (result.operation, result.code.clone());
                load.under_way.insert(key, (result, Instant::now()));
                if !socket.send(&frame).await {
                    return Turn::Again;
                }
                if self.pause.is_some() {
                    break;
                }
            }
            if !self.answers(&mut socket, load).await {
                return Turn::Again;
            }
            if let Some(pause) = self.pause {
                sleep(pause).await;
            }
        }
    }

    /// Reads one frame, or where it goes slowly all answers; false when the session is over.
    async fn answers(&self, socket: &mut ProbeSocket, load: &mut Load) -> bool {
        loop {
            let Some(frame) = self.hear(socket, load).await else {
                return false;
            };
            self.note(frame, load);
            if self.pause.is_none() || load.under_way.is_empty() {
                return true;
            }
        }
    }

    async fn hear(&self, socket: &mut ProbeSocket, load: &Load) -> Option<HubFrame> {
        let what = format!("an answer to one of {} results", load.under_way.len());
        match within(SOON * 3, &what, socket.hear()).await {
            Heard::Frame(frame) => Some(frame),
            Heard::Closed(_) | Heard::Broken => None,
        }
    }

    fn note(&self, frame: HubFrame, load: &mut Load) {
        match frame {
            HubFrame::Stored { operation, codes } => {
                for code in codes {
                    let Some((_, sent)) = load.under_way.remove(&(operation, code)) else {
                        continue;
                    };
                    self.tally.0.stored.fetch_add(1, Ordering::Relaxed);
                    self.tally.measured().push(sent.elapsed());
                }
            }
            HubFrame::Rejected {
                operation,
                code,
                reason,
            } => {
                self.tally
                    .complain(format!("{operation} {code} was rejected: {reason:?}"));
                load.under_way.remove(&(operation, code));
            }
            HubFrame::Error { message } => self.tally.complain(format!("the hub said: {message}")),
            HubFrame::Cancel { operation } if load.holds.contains(&operation) => {
                self.tally.complain(format!("{operation} was cancelled"));
            }
            _ => {}
        }
    }
}

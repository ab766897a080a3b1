//! One probe that always has so many results unanswered, or that sends one every so often. It is lean, as it shares the machine with the hub: frames are
//! made once for each operation, only the code of the run is written into a copy.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use probe_protocol::{HubFrame, OperationId, Payload, ProbeFrame, ResultCode, RunResult};
use rand::RngExt as _;
use tests::{
    Heard, ProbeSocket,
    probe::hello,
    wait::{SOON, within},
};
use tokio::time::interval_at;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::scene::Work;

/// Longest a probe waits for an answer, on a machine that is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Stands in a frame where the code of a run will be; codes are as long as the agent's.
const NO_CODE: &str = "ffffffff-ffff-7fff-ffff-ffffffffffff";

/// What all probes do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Results are sent.
    Warm,
    /// And how long answers take is noted.
    Measured,
    /// No more are sent; what is unanswered is waited for.
    Over,
}

/// What all probes share.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Together>);

#[derive(Debug, Default)]
struct Together {
    phase: AtomicU8,
    stored: AtomicUsize,
}

impl Shared {
    /// Begins a phase.
    pub(super) fn begin(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Results that were acknowledged so far.
    pub(super) fn stored(&self) -> usize {
        self.0.stored.load(Ordering::Relaxed)
    }

    fn is(&self, phase: Phase) -> bool {
        self.0.phase.load(Ordering::Relaxed) == phase as u8
    }
}

/// The frame of a result, and where its code stands.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    code_at: usize,
}

impl Frame {
    /// The frame of every result of that operation.
    pub(super) fn of(work: &Work) -> Self {
        let now = Utc::now();
        let result = RunResult {
            operation: work.operation,
            code: NO_CODE.to_owned().try_into().expect("a code"),
            format: work.format,
            content: work.content.clone().into(),
            started_at: now,
            finished_at: now,
        };
        let frame = ProbeFrame::Result(result).encode();
        let Ok(Payload::Binary(bytes)) = frame else {
            panic!("a result travels as BSON, not as {frame:?}");
        };
        let code_at = bytes
            .windows(NO_CODE.len())
            .position(|window| window == NO_CODE.as_bytes())
            .expect("its code");
        Self { bytes, code_at }
    }

    fn with(&self, code: &str) -> Message {
        let mut bytes = self.bytes.clone();
        bytes[self.code_at..self.code_at + code.len()].copy_from_slice(code.as_bytes());
        Message::Binary(bytes.into())
    }
}

/// When a probe sends.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Whenever fewer than so many are unanswered.
    Window(usize),
    /// So often, whether answers come or not.
    Paced(Duration),
}

/// A connected probe.
#[derive(Debug)]
pub(super) struct Sender {
    socket: ProbeSocket,
    frames: Arc<Vec<Frame>>,
    manner: Manner,
    shared: Shared,
    sent: usize,
    under_way: HashMap<ResultCode, Instant>,
    latencies: Vec<Duration>,
}

impl Sender {
    /// Connects a probe that holds these operations.
    pub(super) async fn connect(
        url: &str,
        token: &str,
        operations: Vec<OperationId>,
        frames: Arc<Vec<Frame>>,
        shared: Shared,
    ) -> Self {
        let mut socket = ProbeSocket::open(url, token).await.expect("a session");
        let hello = ProbeFrame::Hello(hello(operations));
        assert!(socket.send(&hello).await, "the hub left before hello");
        let first = within(SOON, "welcome", socket.hear()).await;
        assert!(
            matches!(first, Heard::Frame(HubFrame::Welcome(_))),
            "no welcome but {first:?}"
        );
        Self {
            socket,
            frames,
            manner: Manner::Window(1),
            shared,
            sent: 0,
            under_way: HashMap::new(),
            latencies: Vec::new(),
        }
    }

    /// With so many results unanswered.
    pub(super) fn with_window(mut self, window: usize) -> Self {
        self.manner = Manner::Window(window);
        self
    }

    /// With one result every so often.
    pub(super) fn paced(mut self, pace: Duration) -> Self {
        self.manner = Manner::Paced(pace);
        self
    }

    /// Sends until the phase is [`Phase::Over`] and everything is answered; how long the measured answers took.
    pub(super) async fn run(mut self) -> Vec<Duration> {
        let mut ticks = match self.manner {
            Manner::Window(_) => None,
            Manner::Paced(pace) => {
                // Not all at the same time.
                let first = pace.mul_f64(rand::rng().random());
                Some(interval_at(tokio::time::Instant::now() + first, pace))
            }
        };
        loop {
            let over = self.shared.is(Phase::Over);
            if over && self.under_way.is_empty() {
                return self.latencies;
            }
            if let (false, Manner::Window(window)) = (over, self.manner) {
                self.send(window.saturating_sub(self.under_way.len()), Instant::now())
                    .await;
            }
            let heard = within(ANSWER_WITHIN, "an answer to results", self.socket.hear());
            let tick = async {
                match &mut ticks {
                    Some(ticks) => ticks.tick().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = heard => match heard {
                    Heard::Frame(frame) => self.take(frame).await,
                    end => panic!("the hub left: {end:?}"),
                },
                // A probe that is late counts from when it should have sent.
                due = tick, if !over => self.send(1, due.into_std()).await,
            }
        }
    }

    /// Sends so many; each is of another operation than the one before.
    async fn send(&mut self, count: usize, since: Instant) {
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            let frame = &self.frames[self.sent % self.frames.len()];
            let code = Uuid::now_v7().hyphenated().to_string();
            messages.push(frame.with(&code));
            self.sent += 1;
            let code = code.try_into().expect("a code");
            self.under_way.insert(code, since);
        }
        assert!(self.socket.send_all(messages).await, "the hub left");
    }

    async fn take(&mut self, frame: HubFrame) {
        match frame {
            HubFrame::Stored { codes, .. } => {
                let measured = self.shared.is(Phase::Measured);
                for code in &codes {
                    let sent = self
                        .under_way
                        .remove(code)
                        .expect("an answer to what was sent");
                    if measured {
                        self.latencies.push(sent.elapsed());
                    }
                }
                let stored = &self.shared.0.stored;
                stored.fetch_add(codes.len(), Ordering::Relaxed);
            }
            HubFrame::Time { sent } => {
                let now = Utc::now().timestamp_micros();
                let answer = ProbeFrame::Time {
                    hub_sent: sent,
                    received: now,
                    sent: now,
                };
                assert!(self.socket.send(&answer).await, "the hub left");
            }
            HubFrame::Assign(_) => {}
            other => panic!("the hub said {other:?}"),
        }
    }
}

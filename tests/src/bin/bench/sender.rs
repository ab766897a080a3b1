//! One probe that always has so many results unanswered. It is lean, as it shares the machine with the hub: frames are
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
use tests::{
    Heard, ProbeSocket,
    probe::hello,
    wait::{SOON, within},
};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::scene::Work;

/// Longest a probe waits for an answer, on a machine that is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Stands in a frame where the code of a run will be; codes are as long as the agent's.
const NO_CODE: &str = "ffffffff-ffff-7fff-ffff-ffffffffffff";

/// What all probes do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Results are sent.
    Warm,
    /// And how long answers take is noted.
    Measured,
    /// No more are sent; what is unanswered is waited for.
    Over,
}

/// What all probes share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Together>);

#[derive(Debug, Default)]
struct Together {
    phase: AtomicU8,
    stored: AtomicUsize,
}

impl Shared {
    /// Begins a phase.
    pub(crate) fn begin(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Results that were acknowledged so far.
    pub(crate) fn stored(&self) -> usize {
        self.0.stored.load(Ordering::Relaxed)
    }

    fn is(&self, phase: Phase) -> bool {
        self.0.phase.load(Ordering::Relaxed) == phase as u8
    }
}

/// The frame of a result, and where its code stands.
#[derive(Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    code_at: usize,
}

impl Frame {
    /// The frame of every result of that operation.
    pub(crate) fn of(work: &Work) -> Self {
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

/// A connected probe.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: ProbeSocket,
    frames: Arc<Vec<Frame>>,
    window: usize,
    shared: Shared,
    sent: usize,
    under_way: HashMap<ResultCode, Instant>,
    latencies: Vec<Duration>,
}

impl Sender {
    /// Connects a probe that holds these operations.
    pub(crate) async fn connect(
        url: &str,
        token: &str,
        operations: Vec<OperationId>,
        frames: Arc<Vec<Frame>>,
        window: usize,
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
            window,
            shared,
            sent: 0,
            under_way: HashMap::with_capacity(window),
            latencies: Vec::new(),
        }
    }

    /// Sends until the phase is [`Phase::Over`] and everything is answered; how long the measured answers took.
    pub(crate) async fn run(mut self) -> Vec<Duration> {
        loop {
            if !self.shared.is(Phase::Over) {
                self.fill().await;
            } else if self.under_way.is_empty() {
                return self.latencies;
            }
            let heard = within(ANSWER_WITHIN, "an answer to results", self.socket.hear()).await;
            match heard {
                Heard::Frame(frame) => self.take(frame).await,
                end => panic!("the hub left: {end:?}"),
            }
        }
    }

    /// Sends as many as may be under way; each is of another operation than the one before.
    async fn fill(&mut self) {
        let mut messages = Vec::with_capacity(self.window);
        while self.under_way.len() < self.window {
            let frame = &self.frames[self.sent % self.frames.len()];
            let code = Uuid::now_v7().hyphenated().to_string();
            messages.push(frame.with(&code));
            self.sent += 1;
            let code = code.try_into().expect("a code");
            self.under_way.insert(code, Instant::now());
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

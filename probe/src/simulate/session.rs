//! One session of a simulated probe: one task reads, measures and writes. Its end goes to [`super::probe`], which decides
//! about coming back.
//!
//! What is counted and measured goes to [`super::tally`], what is to be done comes from [`super::load`].

use std::{
    collections::VecDeque, convert::Infallible, sync::atomic::Ordering::Relaxed, time::Duration,
};

use chrono::Utc;
use futures::{SinkExt as _, StreamExt as _};
use probe_protocol::{Close, Hello, Kind};
use rand::RngExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    Phase, Stage,
    dial::Socket,
    options::{Lie, Pace},
    probe::{Probe, TOTAL_CREDITS},
    tally::Trouble,
    wire::{self, Heard, Wire},
};
use crate::clock::now_micros;

mod hearing;
mod sending;

/// How long a hub may take until a session is ready: it settles one after the other, and all may come at once.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a frame may take to leave.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// How long a goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// How long the hub may be silent before it has told.
const USUAL_SILENCE: Duration = Duration::from_secs(60);
/// How long a slow reader rests after each message.
const SLOW_PAUSE: Duration = Duration::from_secs(1);
/// How long the hub may take to end a session in which it was told too much.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Websocket code for a message that is too long (RFC 6455 section 7.4.1).
const TOO_BIG: u16 = 1009;

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The simulation ends, and nothing is left to do here.
    Over,
    /// The probe left for a while: with a goodbye or without.
    Left {
        /// With one.
        politely: bool,
    },
    /// A result was lost with its connection.
    Lost,
    /// All leave at once.
    Storm,
    /// The hub said goodbye.
    Closed {
        /// The websocket code; 1005 where there was none.
        code: u16,
    },
    /// The connection broke.
    Broken(String),
    /// Nothing was heard for too long.
    Silent,
    /// It was not ready in time.
    NotReady,
    /// A frame did not leave in time.
    NotWritten,
    /// Somebody else has this probe's place.
    NoPlace,
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A session that runs.
struct Session<'a> {
    probe: &'a mut Probe,
    socket: Socket,
    dialled: Instant,
    ready: bool,
    window: usize,
    /// How long the hub may be silent.
    silence: Duration,
    heard: Instant,
    /// Until when nothing is read.
    rests_until: Option<Instant>,
    /// When the probe leaves.
    leaves_at: Option<Instant>,
    /// By when the hub must have ended the session, as it was told too much.
    lied_until: Option<Instant>,
    /// What is on its long way out.
    outbox: VecDeque<(Instant, Message)>,
    /// Whether something has to be flushed.
    unflushed: bool,
    /// The last number of a result, on the wire that has numbers.
    number: u64,
}

/// Runs a session to its end, on a socket that was dialled then.
pub(super) async fn run(probe: &mut Probe, socket: Socket, dialled: Instant) -> End {
    let mut phase = probe.phase.clone();
    let began = *phase.borrow_and_update();
    let leaves_in = probe.leaves_in();
    let mut session = Session {
        window: probe.fleet.window,
        probe,
        socket,
        dialled,
        ready: false,
        silence: USUAL_SILENCE,
        heard: Instant::now(),
        rests_until: None,
        leaves_at: leaves_in.map(|time| Instant::now() + time),
        lied_until: None,
        outbox: VecDeque::new(),
        unflushed: false,
        number: 0,
    };
    let Err(end) = session.exchange(&mut phase, began).await;
    if session.ready {
        session.probe.fleet.tally.left();
    }
    session.end(&end).await;
    probe.load.session_ended();
    end
}

impl Session<'_> {
    async fn exchange(
        &mut self,
        phase: &mut watch::Receiver<Phase>,
        began: Phase,
    ) -> Result<Infallible, End> {
        let hello = self.hello();
        self.say(self.wire().hello(hello)).await?;
        loop {
            let now = *phase.borrow_and_update();
            self.look_up(now, began)?;
            self.work(now.stage).await?;
            self.flush().await?;
            if now.stage == Stage::Draining && self.probe.load.is_idle() {
                return Err(End::Over);
            }
            let wakes_at = self.wakes_at(now.stage);
            // At the end everybody reads: it is about what gets lost then, not about who is slow.
            let reads = self.rests_until.is_none() || now.stage != Stage::Running;
            tokio::select! {
                biased;
                changed = phase.changed() => changed.map_err(|_| End::Over)?,
                message = self.socket.next(), if reads => self.hear(message).await?,
                Some(done) = self.probe.running.join_next() => {
                    if let Ok(measured) = done {
                        self.probe.measured(measured);
                    }
                }
                () = sleep_until(wakes_at) => {}
            }
        }
    }

    /// Looks whether it is time to end.
    fn look_up(&mut self, phase: Phase, began: Phase) -> Result<(), End> {
        let now = Instant::now();
        self.rests_until = self.rests_until.filter(|&until| until > now);
        if phase.stage == Stage::Ended {
            return Err(End::Over);
        }
        if phase.storm != began.storm {
            return Err(End::Storm);
        }
        if !self.ready && now >= self.dialled + READY_WITHIN {
            return Err(End::NotReady);
        }
        if self.lied_until.is_some_and(|until| now >= until) {
            let tally = &self.probe.fleet.tally;
            tally.believed(Lie::Oversized, "the hub did not end the session");
            return Err(End::Lost);
        }
        if self.leaves_at.is_some_and(|at| now >= at) {
            let politely = self.probe.dice.random_bool(0.5);
            return Err(End::Left { politely });
        }
        if now >= self.heard + self.silence {
            return Err(End::Silent);
        }
        Ok(())
    }

    /// When there is something to do if nothing is heard.
    fn wakes_at(&self, stage: Stage) -> Instant {
        let now = Instant::now();
        let mut wakes_at = self.heard + self.silence;
        if !self.ready {
            wakes_at = wakes_at.min(self.dialled + READY_WITHIN);
        }
        let outbox = self.outbox.front().map(|(due, _)| *due);
        let due = self.next_run().filter(|_| stage == Stage::Running);
        let due = due.map(|due| {
            let wait = (due - Utc::now()).to_std().unwrap_or_default();
            // The wall clock may be set meanwhile.
            now + wait.min(self.silence)
        });
        let others = [
            self.rests_until,
            self.leaves_at,
            self.lied_until,
            outbox,
            due,
        ];
        others.into_iter().flatten().fold(wakes_at, Instant::min)
    }

    fn next_run(&self) -> Option<chrono::DateTime<Utc>> {
        let counts = self.ready && self.lied_until.is_none();
        let counts = counts && self.probe.fleet.pace == Pace::Schedule;
        counts.then(|| self.probe.load.next_due()).flatten()
    }

    fn wire(&self) -> Wire {
        self.probe.role.wire
    }

    fn hello(&self) -> Hello {
        Hello {
            agent: "pladmed-probe-simulate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: match &self.probe.fleet.runner {
                Some(runner) => runner.kinds(),
                None => Kind::ALL.to_vec(),
            },
            total_credits: TOTAL_CREDITS,
            in_use_credits: self.probe.load.in_use(),
            assignments: self.probe.load.operations(),
        }
    }

    /// Ends the connection as the end wants it.
    async fn end(&mut self, end: &End) {
        let goodbye = match end {
            End::Over | End::Left { politely: true } => Some(CloseFrame {
                code: CloseCode::Away,
                reason: "leaving".into(),
            }),
            End::Closed { .. } | End::NoPlace => None,
            End::Broken(_) => return,
            End::Left { politely: false }
            | End::Lost
            | End::Storm
            | End::Silent
            | End::NotReady
            | End::NotWritten => {
                // As if its line was cut: a reset, which keeps no port busy either. One that is gone needs none.
                let _ = self.socket.get_ref().tcp().set_zero_linger();
                return;
            }
        };
        let closing = async {
            if self.socket.close(goodbye).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // A hub that does not answer may not hold us.
        let _ = timeout(GOODBYE_WITHIN, closing).await;
    }
}

//! One task per connected probe: it alone reads and writes that socket.
//!
//! Frames up go to the ingest inbox, frames down come from the probe's seat. While ingest has no room this socket is not
//! read, writes go on. What the frames mean is the business of a [`Wire`]: [`v1`] speaks the protocol of this system,
//! [`socketio`] that of the agents that were there before. A session knows no store and no HTTP; its end is one
//! [`Close`], logged by its caller.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{Close, close};
use rand::RngExt as _;
use tokio::{
    sync::{Semaphore, SetOnce, mpsc},
    time::{Instant, interval_at, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ingest::{Inbox, Incoming, Room, Said},
    metrics,
    registry::{Down, SessionEnds, SessionHandle},
};

mod clock;
mod outgoing;
mod socket;
pub(crate) mod socketio;
pub(crate) mod v1;

use outgoing::Out;
pub(crate) use outgoing::Outgoing;
use socket::is_too_big;
pub(crate) use socket::{close_socket, configure};

/// The hub pings this often, at the latest.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(25);
/// Heartbeats of different sessions are spread by up to this much, so that ten thousand do not come at once.
const HEARTBEAT_JITTER: Duration = Duration::from_secs(5);
/// A probe that is silent for so long is gone: two heartbeats and a slow answer.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// Longest a frame may take to leave: under half of [`SILENT_AFTER`], so that slow is told before silent.
pub(crate) const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Longest a session of a hub that stops waits for the commit of what it passed on.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Reports that may wait for ingest before the session stops sending.
const MOST_SAID: usize = 256;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The hub ended it.
    ByHub(Close),
    /// The probe closed it or the connection broke.
    ByProbe,
    /// A frame was too long.
    TooBig,
}

/// What the frames of one kind of probe mean: frames in, frames and reports out. Sends nothing itself and waits for
/// nothing.
pub(crate) trait Wire: Send {
    /// What the log calls it.
    const NAME: &str;
    /// What metrics call it.
    const KIND: &'static str;
    /// Whether a session whose place was taken by a newer one stays open, heard but not listened to.
    const OUTLIVES_ITS_SEAT: bool;

    /// Something is for the probe.
    fn tell(&mut self, down: Down, out: &mut Outgoing);
    /// The probe said something.
    ///
    /// # Errors
    /// How the session ends, where it must.
    fn hear(&mut self, heard: Heard, out: &mut Outgoing) -> Result<(), Ended>;
    /// A sign of life is due.
    fn beat(&mut self, out: &mut Outgoing);
    /// When [`Wire::wake`] is due, if it is.
    fn wakes_at(&self) -> Option<Instant>;
    /// The time that [`Wire::wakes_at`] named has come.
    fn wake(&mut self, out: &mut Outgoing);
    /// The place was taken; what is heard from now on counts no more.
    fn lose_seat(&mut self);
    /// Code and words for a close.
    fn goodbye(close: Close) -> (u16, &'static str);
}

/// What a probe sent.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A text message.
    Text(axum::extract::ws::Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
}

/// One probe's connection, ready to run.
#[derive(Debug)]
pub(crate) struct Session<W> {
    socket: WebSocket,
    wire: W,
    handle: SessionHandle,
    outbox: mpsc::Receiver<Down>,
    stop: Arc<SetOnce<Close>>,
    inbox: Inbox,
    out: Outgoing,
    /// What waits for room in the inbox; nothing more is read meanwhile.
    said: VecDeque<(DateTime<Utc>, Said)>,
    /// Reports that are not answered yet.
    underway: TaskTracker,
    heard: Instant,
    began: DateTime<Utc>,
}

/// What a step asks of the loop.
enum Turn {
    GoOn,
    End(Ended),
}

impl<W: Wire> Session<W> {
    /// A session that owns `socket`. `ends` belong to `handle`.
    pub(crate) fn new(
        socket: WebSocket,
        wire: W,
        handle: SessionHandle,
        ends: SessionEnds,
        inbox: Inbox,
    ) -> Self {
        Self {
            socket,
            wire,
            handle,
            outbox: ends.outbox,
            stop: ends.stop,
            inbox,
            out: Outgoing::default(),
            said: VecDeque::new(),
            underway: TaskTracker::new(),
            heard: Instant::now(),
            began: Utc::now(),
        }
    }

    /// Runs until one side ends it. `first` is sent before anything else; `lingers` ends what stays after its place was
    /// taken.
    pub(crate) async fn run(
        &mut self,
        first: Vec<Down>,
        lingers: impl Future<Output = ()>,
    ) -> Ended {
        // The answer is the first proof that the probe is there.
        self.out.send(Message::Ping(Bytes::new()));
        for down in first {
            self.wire.tell(down, &mut self.out);
        }
        let mut ended = self.exchange().await;
        match ended {
            Ended::ByHub(Close::Restart) => self.pass_answers_on().await,
            Ended::ByHub(Close::Replaced) if W::OUTLIVES_ITS_SEAT => {
                ended = self.outlive_seat(lingers).await;
            }
            _ => {}
        }
        self.say_goodbye(ended).await;
        ended
    }

    async fn exchange(&mut self) -> Ended {
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.wait());
        let inbox = self.inbox.clone();
        let mut heartbeat = heartbeat();
        loop {
            if let Turn::End(ended) = self.flush().await {
                return ended;
            }
            let bytes = self.said.front().map_or(0, |(_, said)| said.bytes());
            let wakes_at = self.wire.wakes_at();
            let turn = tokio::select! {
                biased;
                close = &mut stopped => Turn::End(Ended::ByHub(*close)),
                room = inbox.room(bytes), if !self.said.is_empty() => match room {
                    Some(room) => self.pass_on(room),
                    None => Turn::End(Ended::ByHub(Close::Restart)),
                },
                Some(down) = self.outbox.recv(), if self.said.len() < MOST_SAID => {
                    self.wire.tell(down, &mut self.out);
                    Turn::GoOn
                }
                _ = heartbeat.tick() => self.beat(),
                () = sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {
                    self.wire.wake(&mut self.out);
                    Turn::GoOn
                }
                message = self.socket.recv(), if self.said.is_empty() => self.hear(message),
            };
            if let Turn::End(ended) = turn {
                return ended;
            }
        }
    }

    /// Sends what the wire wants sent, and lines up what it reports.
    async fn flush(&mut self) -> Turn {
        while let Some(out) = self.out.0.pop_front() {
            match out {
                Out::Report(at, said) => self.said.push_back((at, said)),
                // What was created before has waited for the probe, and tells nothing of the hub.
                Out::Left(created_at) if created_at < self.began => {}
                Out::Left(created_at) => metrics::dispatched(W::KIND, created_at),
                Out::Send(message) => {
                    if let end @ Turn::End(_) = self.send(message).await {
                        return end;
                    }
                }
            }
        }
        Turn::GoOn
    }

    async fn send(&mut self, message: Message) -> Turn {
        match timeout(WRITE_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Turn::GoOn,
            Ok(Err(_)) => Turn::End(Ended::ByProbe),
            Err(_) => Turn::End(Ended::ByHub(Close::Slow)),
        }
    }

    /// Gives ingest what waits for it.
    fn pass_on(&mut self, room: Room<'_>) -> Turn {
        if let Some((at, said)) = self.said.pop_front() {
            let underway = self.underway.token();
            room.put(Incoming {
                from: self.handle.clone(),
                at,
                said,
                underway,
            });
        }
        // Time in which the socket was not read does not count as the probe's silence.
        self.heard = Instant::now();
        Turn::GoOn
    }

    fn beat(&mut self) -> Turn {
        if self.said.is_empty() && self.heard.elapsed() > SILENT_AFTER {
            return Turn::End(Ended::ByHub(Close::Silent));
        }
        self.wire.beat(&mut self.out);
        Turn::GoOn
    }

    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Turn {
        if matches!(&message, Some(Ok(message)) if !matches!(message, Message::Close(_))) {
            self.handle.confirm();
        }
        let heard = match message {
            Some(Ok(Message::Text(text))) => Heard::Text(text),
            Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.heard = Instant::now();
                return Turn::GoOn;
            }
            Some(Err(error)) if is_too_big(&error) => return Turn::End(Ended::TooBig),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Turn::End(Ended::ByProbe),
        };
        self.heard = Instant::now();
        match self.wire.hear(heard, &mut self.out) {
            Ok(()) => Turn::GoOn,
            Err(ended) => Turn::End(ended),
        }
    }

    /// Passes on what was read and sends the answers to it, as far as they come in time; nothing new is begun.
    async fn pass_answers_on(&mut self) {
        let (inbox, underway) = (self.inbox.clone(), self.underway.clone());
        // What is claimed now could not be handed over any more.
        self.said
            .retain(|(_, said)| !matches!(said, Said::Claimed(_)));
        let answers = async {
            while let Some((_, said)) = self.said.front() {
                match inbox.room(said.bytes()).await {
                    Some(room) => self.pass_on(room),
                    None => return,
                };
            }
            self.underway.close();
            loop {
                tokio::select! {
                    biased;
                    Some(down) = self.outbox.recv() => {
                        // What was claimed counts as delivered, so it has to leave.
                        if matches!(down, Down::Say(_) | Down::Claimed { .. }) {
                            self.wire.tell(down, &mut self.out);
                        }
                        if let Turn::End(_) = self.flush().await {
                            return;
                        }
                    }
                    () = underway.wait(), if self.outbox.is_empty() => return,
                }
            }
        };
        // What is not answered now is sent again by the probe in its next session.
        let _ = timeout(ANSWERS_WITHIN, answers).await;
    }

    /// Stays open without a place until the probe leaves or `lingers` ends: a probe that comes back at once when it is
    /// closed would take the place from the newer one, and so on without end.
    async fn outlive_seat(&mut self, lingers: impl Future<Output = ()>) -> Ended {
        let mut lingers = pin!(lingers);
        let mut heartbeat = heartbeat();
        self.said.clear();
        self.wire.lose_seat();
        loop {
            if let Turn::End(ended) = self.flush().await {
                return ended;
            }
            let turn = tokio::select! {
                () = &mut lingers => Turn::End(Ended::ByHub(Close::Replaced)),
                _ = heartbeat.tick() => self.beat(),
                message = self.socket.recv() => self.hear(message),
            };
            if let Turn::End(ended) = turn {
                return ended;
            }
        }
    }

    /// Sends the close frame and reads on until the probe has closed too, so that it gets to see the reason: a socket
    /// closed with unread bytes is reset.
    async fn say_goodbye(&mut self, ended: Ended) {
        let (code, reason) = match ended {
            Ended::ByHub(close) => W::goodbye(close),
            Ended::TooBig => (close::TOO_LONG, "frame too long"),
            Ended::ByProbe => return,
        };
        close_socket(&mut self.socket, code, reason).await;
    }
}

/// Room for sessions that outlive their seat, on one hub: a probe that connects again and again must not pile up
/// sockets.
const MOST_LINGERING: usize = 256;

/// Counts the sessions that outlive their seat. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Lingering(Arc<Semaphore>);

impl Default for Lingering {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LINGERING)))
    }
}

impl Lingering {
    /// Ends when `stop` is told, or at once where there is no room.
    pub(crate) async fn until(&self, stop: &CancellationToken) {
        if let Ok(_place) = self.0.try_acquire() {
            stop.cancelled().await;
        }
    }
}

/// Ticks at most [`HEARTBEAT`] apart, the first one soon.
fn heartbeat() -> tokio::time::Interval {
    let jitter = rand::rng().random_range(Duration::ZERO..HEARTBEAT_JITTER);
    interval_at(Instant::now() + jitter, HEARTBEAT - jitter)
}

//! One task per connected probe: it alone reads and writes that socket.
//!
//! Frames up go to the ingest inbox, frames down come from the probe's seat. While ingest has no room this socket is not
//! read, writes go on. A session knows no store and no HTTP; its end is one [`Close`], logged by its caller.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use chrono::Utc;
use probe_protocol::{Close, FrameError, HubFrame, MAX_FRAME, OperationId, ProbeFrame};
use rand::RngExt as _;
use tokio::{
    sync::{SetOnce, mpsc},
    time::{Instant, interval_at, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    ingest::{Inbox, Incoming, Room, Said},
    registry::{Down, SessionHandle},
};

mod clock;

use clock::ClockFilter;

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
/// Longest the goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// Frames that cannot be read before a session ends: a bug of one frame is forgiven, a flood is not.
const BAD_FRAMES: u32 = 20;
/// Deliveries that may wait to be reported before the session stops sending.
const MARKS: usize = 256;
/// Websocket code for a message that is too long (RFC 6455 section 7.4.1).
const TOO_BIG: u16 = 1009;

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

/// One probe's connection, ready to run.
#[derive(Debug)]
pub(crate) struct Session {
    socket: WebSocket,
    handle: SessionHandle,
    outbox: mpsc::Receiver<Down>,
    stop: Arc<SetOnce<Close>>,
    inbox: Inbox,
    clock: ClockFilter,
    /// What was read and waits for room in the inbox; nothing more is read meanwhile.
    held: Option<Said>,
    /// Operations whose frames left and that ingest does not know of yet.
    marks: Vec<OperationId>,
    /// Reports that are not answered yet.
    underway: TaskTracker,
    heard: Instant,
    bad_frames: u32,
}

/// What a frame asks of the loop.
enum Turn {
    GoOn,
    End(Ended),
}

impl Session {
    /// A session that owns `socket`. `ends` belong to `handle`.
    pub(crate) fn new(
        socket: WebSocket,
        handle: SessionHandle,
        ends: crate::registry::SessionEnds,
        inbox: Inbox,
    ) -> Self {
        Self {
            socket,
            handle,
            outbox: ends.outbox,
            stop: ends.stop,
            inbox,
            clock: ClockFilter::default(),
            held: None,
            marks: Vec::new(),
            underway: TaskTracker::new(),
            heard: Instant::now(),
            bad_frames: 0,
        }
    }

    /// Runs until one side ends it. `first` is sent before anything else.
    pub(crate) async fn run(mut self, first: Vec<Down>) -> Ended {
        let ended = self.exchange(first).await;
        if ended == Ended::ByHub(Close::Restart) {
            self.pass_answers_on().await;
        }
        self.say_goodbye(ended).await;
        ended
    }

    async fn exchange(&mut self, first: Vec<Down>) -> Ended {
        for down in first {
            if let Turn::End(ended) = self.write(down).await {
                return ended;
            }
        }
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.wait());
        let inbox = self.inbox.clone();
        let jitter = rand::rng().random_range(Duration::ZERO..HEARTBEAT_JITTER);
        let mut heartbeat = interval_at(Instant::now() + jitter, HEARTBEAT - jitter);
        loop {
            let passing_on = self.held.is_some() || !self.marks.is_empty();
            let bytes = if self.marks.is_empty() {
                self.held.as_ref().map_or(0, Said::bytes)
            } else {
                0
            };
            let turn = tokio::select! {
                biased;
                close = &mut stopped => Turn::End(Ended::ByHub(*close)),
                room = inbox.room(bytes), if passing_on => match room {
                    Some(room) => self.pass_on(room),
                    None => Turn::End(Ended::ByHub(Close::Restart)),
                },
                Some(down) = self.outbox.recv(), if self.marks.len() < MARKS => self.write(down).await,
                _ = heartbeat.tick() => self.beat().await,
                message = self.socket.recv(), if self.held.is_none() => self.hear(message).await,
            };
            if let Turn::End(ended) = turn {
                return ended;
            }
        }
    }

    /// Gives ingest what waits for it: deliveries first, for what was held came after them.
    fn pass_on(&mut self, room: Room<'_>) -> Turn {
        let said = self
            .marks
            .pop()
            .map(Said::Delivered)
            .or_else(|| self.held.take());
        if let Some(said) = said {
            let underway = self.underway.token();
            room.put(Incoming {
                from: self.handle.clone(),
                at: Utc::now(),
                said,
                underway,
            });
        }
        // Time in which the socket was not read does not count as the probe's silence.
        self.heard = Instant::now();
        Turn::GoOn
    }

    async fn write(&mut self, down: Down) -> Turn {
        let turn = self.send(Message::Text(down.frame)).await;
        if let (Turn::GoOn, Some(operation)) = (&turn, down.delivers) {
            self.marks.push(operation);
        }
        turn
    }

    async fn send(&mut self, message: Message) -> Turn {
        match timeout(WRITE_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Turn::GoOn,
            Ok(Err(_)) => Turn::End(Ended::ByProbe),
            Err(_) => Turn::End(Ended::ByHub(Close::Slow)),
        }
    }

    async fn say(&mut self, frame: HubFrame) -> Turn {
        match frame.to_text() {
            Ok(text) => self.send(Message::Text(text.into())).await,
            Err(_) => Turn::GoOn,
        }
    }

    async fn beat(&mut self) -> Turn {
        if self.held.is_none() && self.heard.elapsed() > SILENT_AFTER {
            return Turn::End(Ended::ByHub(Close::Silent));
        }
        match self
            .say(HubFrame::Time {
                sent: Utc::now().timestamp_micros(),
            })
            .await
        {
            Turn::GoOn => self.send(Message::Ping(bytes::Bytes::new())).await,
            end @ Turn::End(_) => end,
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Turn {
        let frame = match message {
            Some(Ok(Message::Text(text))) => ProbeFrame::from_text(&text),
            Some(Ok(Message::Binary(bytes))) => ProbeFrame::from_binary(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.heard = Instant::now();
                return Turn::GoOn;
            }
            Some(Err(error)) if is_too_big(&error) => return Turn::End(Ended::TooBig),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Turn::End(Ended::ByProbe),
        };
        self.heard = Instant::now();
        match frame {
            Ok(frame) => self.take(frame).await,
            Err(error) => self.refuse_frame(&error).await,
        }
    }

    async fn refuse_frame(&mut self, error: &FrameError) -> Turn {
        self.bad_frames += 1;
        if self.bad_frames > BAD_FRAMES {
            return Turn::End(Ended::ByHub(Close::ProtocolError));
        }
        self.say(HubFrame::Error {
            message: error.to_string(),
        })
        .await
    }

    async fn take(&mut self, frame: ProbeFrame) -> Turn {
        let said = match frame {
            ProbeFrame::Accepted { operation } => Said::Accepted(operation),
            ProbeFrame::Refused { operation, reason } => {
                Said::Refused(operation, shortened(reason))
            }
            ProbeFrame::Finished { operation } => Said::Finished(operation),
            ProbeFrame::Result(result) => Said::Result(Box::new(result), self.clock.best()),
            ProbeFrame::Status {
                in_use_credits,
                running,
                spooled,
                dropped,
            } => {
                self.handle.in_use.store(in_use_credits, Ordering::Relaxed);
                let probe = self.handle.probe;
                tracing::debug!(probe.id = %probe, in_use_credits, running, spooled, dropped, "probe status");
                return Turn::GoOn;
            }
            ProbeFrame::Time {
                hub_sent,
                received,
                sent,
            } => {
                self.clock
                    .exchange(hub_sent, received, sent, Utc::now().timestamp_micros());
                return Turn::GoOn;
            }
            ProbeFrame::Hello(_) => return self.answer("hello was said before").await,
            ProbeFrame::Unknown => {
                return self.answer("this type of frame is not known here").await;
            }
        };
        self.held = Some(said);
        Turn::GoOn
    }

    async fn answer(&mut self, message: &str) -> Turn {
        self.say(HubFrame::Error {
            message: message.into(),
        })
        .await
    }

    /// Sends the answers to what this session passed on before, as far as they come in time.
    async fn pass_answers_on(&mut self) {
        self.underway.close();
        let underway = self.underway.clone();
        let answers = async {
            loop {
                tokio::select! {
                    biased;
                    Some(down) = self.outbox.recv() => {
                        if let Turn::End(_) = self.write(down).await {
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

    /// Sends the close frame and reads on until the probe has closed too, so that it gets to see the reason: a socket
    /// closed with unread bytes is reset.
    async fn say_goodbye(&mut self, ended: Ended) {
        let (code, reason) = match ended {
            Ended::ByHub(close) => (close.code(), close.word()),
            Ended::TooBig => (TOO_BIG, "frame too long"),
            Ended::ByProbe => return,
        };
        close_socket(&mut self.socket, code, reason).await;
    }
}

/// Says goodbye on a socket within a short time.
pub(crate) async fn close_socket(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // A probe that does not answer is left all the same.
    let _ = timeout(GOODBYE_WITHIN, goodbye).await;
}

/// Whether a socket ended because a message was longer than [`MAX_FRAME`].
pub(crate) fn is_too_big(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(tungstenite::Error::Capacity(_)) = cause.downcast_ref() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Longest reason kept of a refusal, characters.
const LONGEST_REASON: usize = 300;

fn shortened(reason: String) -> String {
    if reason.chars().count() <= LONGEST_REASON {
        return reason;
    }
    reason.chars().take(LONGEST_REASON).collect()
}

/// Buffers and limits of a probe's websocket. The library's own defaults cost 128 KiB a socket.
pub(crate) fn configure<F>(
    upgrade: axum::extract::ws::WebSocketUpgrade<F>,
) -> axum::extract::ws::WebSocketUpgrade<F> {
    /// Bytes read at a time: most frames are shorter.
    const READ_BUFFER: usize = 4096;
    /// Bytes kept back before a write: none, every frame leaves at once.
    const WRITE_BUFFER: usize = 0;
    /// Bytes that may be stuck in a socket that is written to: two of the longest frames.
    const MOST_UNWRITTEN: usize = 2 * MAX_FRAME;
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
}

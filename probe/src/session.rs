//! One session: `hello`, `welcome`, then three loops over one websocket until it ends. The reader acts on the hub's
//! frames at the [`Desk`]; the feeder brings results; the writer alone writes. The session decides nothing about coming
//! back: its [`End`] goes to [`crate::link`].
//!
//! What a frame starts on disk runs in a task of its own, so that a connection that breaks half-way cannot leave an
//! assignment written down but not followed.

use std::{collections::HashSet, future::Future, time::Duration};

use futures::{SinkExt, Stream, StreamExt};
use probe_protocol::{Assign, HubFrame, Limits, OperationId, ProbeFrame, Welcome};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    clock::now_micros,
    desk::Desk,
    shelf::{Rules, ShelfGone},
    spool::ResultKey,
};

mod feeder;
mod window;
mod writer;

use window::Window;
use writer::Control;
pub use writer::WriteError;

/// How long the hub may take to answer `hello`.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(15);

/// How long saying goodbye may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Shortest time between two `status` frames.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// Control frames that may wait for the writer; when full, the reader waits before it takes the next frame.
const CONTROL_QUEUE: usize = 64;

/// Results that may wait for the writer; when full, the feeder waits. Small, because a result may be 4 MiB.
const RESULT_QUEUE: usize = 4;

/// Shortest heartbeat that is believed, seconds: less would end every session.
const SHORTEST_HEARTBEAT_S: u32 = 1;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The agent stops.
    #[error("the agent stops")]
    Stopped,
    /// The hub said goodbye.
    #[error("the hub closed the session with code {code} ({reason})")]
    Closed {
        /// The websocket close code; 1005 when there was none.
        code: u16,
        /// The hub's word for it.
        reason: String,
    },
    /// Nothing was heard for too long.
    #[error("nothing heard from the hub for {} s", .0.as_secs())]
    Silent(Duration),
    /// The hub did not answer `hello`.
    #[error("the hub did not answer hello within {} s", WELCOME_TIMEOUT.as_secs())]
    NoWelcome,
    /// The connection broke while writing.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The connection broke while reading.
    #[error("the connection broke: {0}")]
    Read(#[from] tungstenite::Error),
    /// The connection ended without a goodbye.
    #[error("the connection ended")]
    Gone,
    /// The data directory failed.
    #[error(transparent)]
    Shelf(#[from] ShelfGone),
}

/// A frame of a kind this agent does not know, which is about an operation all the same.
#[derive(Deserialize)]
struct UnreadableAssign {
    r#type: String,
    operation: OperationId,
}

/// Runs a session to its end.
pub async fn run<S>(socket: WebSocketStream<S>, desk: &Desk, stop: &CancellationToken) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match live(socket, desk, stop).await {
        Ok(end) | Err(end) => end,
    }
}

async fn live<S>(
    socket: WebSocketStream<S>,
    desk: &Desk,
    stop: &CancellationToken,
) -> Result<End, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    if let Some(hello) = writer::encode(desk.hello().await?) {
        writer::write(&mut sink, hello).await?;
    }
    let welcome = tokio::select! {
        welcome = timeout(WELCOME_TIMEOUT, welcomed(&mut stream)) => {
            welcome.map_err(|_| End::NoWelcome)??
        }
        () = stop.cancelled() => return Ok(End::Stopped),
    };
    let Welcome {
        probe,
        session,
        instance,
        limits,
        ..
    } = welcome;
    info!(%probe, session, instance, "in session {session} of {instance} as probe {probe}");
    let rules = Rules::from(&limits);
    desk.shelf().call(move |shelf| shelf.obey(rules)).await?;

    let window = Window::new(limits.max_unanswered);
    let (control, control_queue) = mpsc::channel(CONTROL_QUEUE);
    let (results, result_queue) = mpsc::channel(RESULT_QUEUE);
    let mut reader = Reader {
        desk,
        control,
        window: &window,
        finished: HashSet::new(),
        status: None,
    };
    let end = tokio::select! {
        written = writer::run(&mut sink, control_queue, result_queue) => match written {
            Ok(()) => Ok(End::Stopped),
            Err(error) => Err(End::Write(error)),
        },
        end = reader.run(&mut stream, &limits, stop) => end,
        fed = feeder::run(desk.shelf(), &window, results, rules.max_frame as usize) => {
            fed.map(|()| End::Gone).map_err(End::Shelf)
        }
    };
    // Answers the hub's goodbye or waits for the answer to ours; a dead connection may not hold us.
    let goodbye = async {
        let _ = sink.close().await;
        while let Some(Ok(_)) = stream.next().await {}
    };
    let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    end
}

/// Waits for the hub's first frame.
async fn welcomed(
    stream: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> Result<Welcome, End> {
    loop {
        match hub_frame(&next(stream).await?) {
            Some(Ok(HubFrame::Welcome(welcome))) => return Ok(welcome),
            Some(other) => debug!(?other, "before welcome: ignored"),
            None => {}
        }
    }
}

/// The next message; a goodbye or a broken connection is the end.
async fn next(
    stream: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> Result<Message, End> {
    match stream.next().await {
        Some(Ok(Message::Close(frame))) => {
            let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                (frame.code.into(), frame.reason.to_string())
            });
            Err(End::Closed { code, reason })
        }
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(End::Read(error)),
        None => Err(End::Gone),
    }
}

/// The frame in a message; none in a ping or pong, which the websocket library answers itself.
fn hub_frame(message: &Message) -> Option<Result<HubFrame, probe_protocol::FrameError>> {
    match message {
        Message::Text(text) => Some(HubFrame::from_text(text)),
        Message::Binary(bytes) => Some(HubFrame::from_binary(bytes)),
        _ => None,
    }
}

/// Takes the hub's frames and watches what is to be told.
struct Reader<'a> {
    desk: &'a Desk,
    control: mpsc::Sender<Control>,
    window: &'a Window,
    /// Operations whose `finished` was said in this session.
    finished: HashSet<OperationId>,
    /// The last `status`.
    status: Option<ProbeFrame>,
}

impl Reader<'_> {
    async fn run(
        &mut self,
        stream: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<End, End> {
        let heartbeat = limits.heartbeat_s.max(SHORTEST_HEARTBEAT_S);
        let silence = Duration::from_secs(u64::from(heartbeat) * 2);
        let mut heard = Instant::now();
        let mut snapshots = self.desk.shelf().watch();
        snapshots.mark_changed(); // what was settled before is said first
        let mut status = interval(STATUS_PERIOD);
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut goodbye = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !goodbye => {
                    goodbye = true; // the writer ends the session
                    self.tell(Control::Goodbye).await?;
                }
                message = next(stream) => {
                    self.take(&message?).await?;
                    heard = Instant::now(); // now: a long wait for the disk is not the hub's silence
                }
                changed = snapshots.changed() => {
                    changed.map_err(|_| ShelfGone)?;
                    let settled = snapshots.borrow_and_update().settled.clone();
                    for &operation in settled.iter() {
                        self.finish(operation).await?;
                    }
                }
                _ = status.tick() => self.tell_status().await?,
                () = sleep_until(heard + silence) => return Err(End::Silent(silence)),
            }
        }
    }

    async fn take(&mut self, message: &Message) -> Result<(), End> {
        let received = now_micros();
        let frame = match hub_frame(message) {
            None => return Ok(()),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return self.unreadable(message, &error).await,
        };
        match frame {
            HubFrame::Assign(assign) => self.assigned(assign).await,
            HubFrame::Cancel { operation } => self.cancelled(operation).await,
            HubFrame::Closed { operation } => {
                let desk = self.desk.clone();
                whole(async move { desk.closed(operation).await }).await?;
                self.finished.remove(&operation);
                Ok(())
            }
            HubFrame::Stored { operation, codes } => {
                let key = |code| ResultKey { operation, code };
                self.answered(codes.into_iter().map(key).collect()).await
            }
            HubFrame::Rejected {
                operation,
                code,
                reason,
            } => {
                warn!(%operation, %code, ?reason, "the hub rejected a result of {operation}: {reason:?}");
                self.answered(vec![ResultKey { operation, code }]).await
            }
            HubFrame::Time { sent } => {
                let hub_sent = sent;
                self.frame(ProbeFrame::Time {
                    hub_sent,
                    received,
                    sent: received,
                })
                .await
            }
            HubFrame::Error { message } => {
                warn!("the hub could not use a frame: {message}");
                Ok(())
            }
            HubFrame::Welcome(_) | HubFrame::Unknown => {
                debug!("a frame that is not known here or not now: ignored");
                Ok(())
            }
        }
    }

    async fn assigned(&mut self, assign: Assign) -> Result<(), End> {
        let operation = assign.operation;
        let place = self.control.clone().reserve_owned();
        let place = place.await.map_err(|_| End::Gone)?;
        let desk = self.desk.clone();
        let answer = move |frame| drop(place.send(Control::Frame(frame)));
        whole(async move { desk.assign(assign, answer).await }).await?;
        // A copy of one that is over: the hub may have missed that.
        self.finished.remove(&operation);
        self.finish_if_settled(operation).await
    }

    async fn cancelled(&mut self, operation: OperationId) -> Result<(), End> {
        let desk = self.desk.clone();
        let held = whole(async move { desk.cancel(operation).await }).await?;
        self.finished.remove(&operation);
        if held {
            self.finish_if_settled(operation).await
        } else {
            self.frame(ProbeFrame::Finished { operation }).await
        }
    }

    /// An assignment of a kind or shape that this agent is too old for is refused; anything else is only logged.
    async fn unreadable(
        &mut self,
        message: &Message,
        error: &probe_protocol::FrameError,
    ) -> Result<(), End> {
        warn!("cannot read a frame of the hub: {error}");
        let Message::Text(text) = message else {
            return Ok(());
        };
        match serde_json::from_str::<UnreadableAssign>(text) {
            Ok(assign) if assign.r#type == "assign" => {
                let operation = assign.operation;
                let reason = format!("this probe cannot read the assignment: {error}");
                self.frame(ProbeFrame::Refused { operation, reason }).await
            }
            _ => Ok(()),
        }
    }

    async fn answered(&mut self, keys: Vec<ResultKey>) -> Result<(), End> {
        for key in &keys {
            self.window.leave(key);
        }
        Ok(self.desk.answered(keys).await?)
    }

    async fn finish_if_settled(&mut self, operation: OperationId) -> Result<(), End> {
        if self.desk.shelf().now().settled.contains(&operation) {
            self.finish(operation).await?;
        }
        Ok(())
    }

    /// Says `finished`, once a session unless asked again.
    async fn finish(&mut self, operation: OperationId) -> Result<(), End> {
        if self.finished.insert(operation) {
            self.frame(ProbeFrame::Finished { operation }).await?;
        }
        Ok(())
    }

    async fn tell_status(&mut self) -> Result<(), End> {
        let status = self.desk.status();
        if self.status.as_ref() != Some(&status) {
            self.frame(status.clone()).await?;
            self.status = Some(status);
        }
        Ok(())
    }

    async fn frame(&self, frame: ProbeFrame) -> Result<(), End> {
        self.tell(Control::Frame(frame)).await
    }

    async fn tell(&self, control: Control) -> Result<(), End> {
        self.control.send(control).await.map_err(|_| End::Gone)
    }
}

/// Runs something to its end even if nobody waits for it any more.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, ShelfGone>> + Send + 'static,
) -> Result<T, End> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(End::Shelf(ShelfGone)), // it panicked: nothing may be promised any more
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The only one who writes to the socket. Control frames go before results; every frame has a deadline.

use std::time::Duration;

use futures::{Sink, SinkExt};
use probe_protocol::{Payload, ProbeFrame};
use tokio::{sync::mpsc, time::timeout};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use tracing::warn;

use crate::clock::now_micros;

/// How long the hub may take to read one frame. It may stop reading while its store is slow; a minute is more than it
/// gives itself before it says `overloaded`.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be written beside results.
#[derive(Debug)]
pub(super) enum Control {
    /// A frame.
    Frame(ProbeFrame),
    /// A close frame, then nothing more.
    Goodbye,
}

/// Why writing ended.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The hub does not read.
    #[error("the hub took no frame for {} s", WRITE_TIMEOUT.as_secs())]
    Slow,
    /// The connection broke.
    #[error("cannot write: {0}")]
    Socket(#[from] tungstenite::Error),
}

/// Writes until told to say goodbye (`Ok`) or the connection breaks.
pub(super) async fn run(
    sink: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    mut control: mpsc::Receiver<Control>,
    mut results: mpsc::Receiver<Vec<u8>>,
) -> Result<(), WriteError> {
    loop {
        let message = tokio::select! {
            biased;
            Some(control) = control.recv() => match control {
                Control::Frame(frame) => match encode(frame) {
                    Some(message) => message,
                    None => continue,
                },
                Control::Goodbye => {
                    let frame = CloseFrame { code: CloseCode::Away, reason: "stopping".into() };
                    write(sink, Message::Close(Some(frame))).await?;
                    return Ok(());
                }
            },
            Some(frame) = results.recv() => Message::Binary(frame.into()),
            else => return Ok(()),
        };
        write(sink, message).await?;
    }
}

/// Writes one frame.
pub(super) async fn write(
    sink: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    message: Message,
) -> Result<(), WriteError> {
    match timeout(WRITE_TIMEOUT, sink.send(message)).await {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(WriteError::Slow),
    }
}

/// The message of a frame; `time` gets its stamp here, as late as can be.
pub(super) fn encode(mut frame: ProbeFrame) -> Option<Message> {
    if let ProbeFrame::Time { sent, .. } = &mut frame {
        *sent = now_micros();
    }
    match frame.encode() {
        Ok(Payload::Text(text)) => Some(Message::Text(text.into())),
        Ok(Payload::Binary(bytes)) => Some(Message::Binary(bytes.into())),
        Err(error) => {
            warn!(%error, "cannot send a frame: {error}");
            None
        }
    }
}

//! What every session's socket needs: buffers and limits at its beginning, a goodbye at its end.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use probe_protocol::MAX_FRAME;
use tokio::time::timeout;

/// Longest the goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

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

/// Whether a socket ended because a message was too long.
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

/// Buffers and limits of a probe's websocket, whose frames have at most `longest` bytes. The library's own defaults
/// cost 128 KiB a socket.
pub(crate) fn configure<F>(
    upgrade: axum::extract::ws::WebSocketUpgrade<F>,
    longest: usize,
) -> axum::extract::ws::WebSocketUpgrade<F> {
    /// Bytes read at a time: most frames are shorter.
    const READ_BUFFER: usize = 4096;
    /// Bytes kept back before a write: none, every frame leaves at once.
    const WRITE_BUFFER: usize = 0;
    /// Bytes that may be stuck in a socket that is written to: two of the longest frames that a hub writes.
    const MOST_UNWRITTEN: usize = 2 * MAX_FRAME;
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .max_message_size(longest)
        .max_frame_size(longest)
}

//! What tests do to the connection below a websocket, whichever wire is spoken on it.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::wait::{SOON, within};

/// Sends the head of a binary message of so many bytes and nothing of it. A hub judges by the head; and who is still sending
/// when the other end hangs up may hear of a reset instead of its last words.
///
/// # Panics
/// When the connection is gone.
pub(crate) async fn begin(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, bytes: u64) {
    // Final, binary; masked, by zeros, with a length of eight bytes (RFC 6455 section 5.2).
    let mut head = vec![0x82, 0xff];
    head.extend(bytes.to_be_bytes());
    head.extend([0; 4]);
    let sent = within(SOON, "room to send", socket.get_mut().write_all(&head)).await;
    sent.expect("the hub is there");
}

/// Makes the end of a connection a reset.
pub(crate) fn reset(socket: &WebSocketStream<MaybeTlsStream<TcpStream>>) {
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        // One that is gone already needs none.
        let _ = stream.set_zero_linger();
    }
}

//! Keeps this probe in a session: dials, runs the session, and comes back when the close code says so.

use std::time::Duration;

use probe_protocol::{MAX_FRAME, Return, SUBPROTOCOL, close::return_after};
use tokio::time::Instant;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{HeaderValue, StatusCode, header},
        protocol::WebSocketConfig,
    },
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    backoff::Backoff,
    config::{Hub, HubUrl, Token},
    desk::Desk,
    session::{self, End},
};

/// How long dialling may take: name, TCP, TLS and upgrade.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after a hub that does not know the token: only a person can change that, on either side.
pub(crate) const UNAUTHORIZED_PAUSE: Duration = Duration::from_secs(60);

/// A session that lasted this long was a good one: the next try is quick again.
const LASTED: Duration = Duration::from_secs(60);

/// Read buffer, bytes: the library fills all of it with zeros at each read, so it is small.
pub(crate) const READ_BUFFER: usize = 4 * 1024;

/// Why the link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlinked {
    /// The agent stops.
    Stopped,
    /// The hub told this probe never to come back.
    Never {
        /// The websocket close code.
        code: u16,
        /// The hub's word for it.
        reason: String,
    },
    /// The data directory failed.
    DataDir,
}

/// Why a dial gave no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("no connection within {} s", DIAL_TIMEOUT.as_secs())]
    Slow,
    #[error("the hub does not accept the token (HTTP {0}): check it, or register the probe again")]
    Unauthorized(StatusCode),
    #[error("the hub answered HTTP {0} instead of opening the websocket: is the URL right?")]
    Refused(StatusCode),
    #[error(transparent)]
    Socket(tungstenite::Error),
}

/// Keeps this probe in a session until it is told otherwise.
pub async fn keep(hub: &Hub, desk: &Desk, stop: &CancellationToken) -> Unlinked {
    let mut backoff = Backoff::default();
    loop {
        let tried = tokio::select! {
            tried = attempt(hub, desk, stop, &mut backoff) => tried,
            // The session says goodbye itself; this one is for the dial.
            () = desk.shelf().gone() => return Unlinked::DataDir,
        };
        let pause = match tried {
            Ok(pause) => pause,
            Err(unlinked) => return unlinked,
        };
        info!("next try in {:.1} s", pause.as_secs_f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Unlinked::Stopped,
            () = desk.shelf().gone() => return Unlinked::DataDir,
        }
    }
}

/// One dial and its session; how long to pause before the next.
async fn attempt(
    hub: &Hub,
    desk: &Desk,
    stop: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<Duration, Unlinked> {
    let dialled = tokio::select! {
        dialled = dial(hub) => dialled,
        () = stop.cancelled() => return Err(Unlinked::Stopped),
    };
    let socket = match dialled {
        Ok(socket) => socket,
        Err(error @ DialError::Unauthorized(_)) => {
            error!("{error}");
            return Ok(backoff.pause_of_at_least(UNAUTHORIZED_PAUSE));
        }
        Err(error) => {
            warn!("cannot reach the hub: {error}");
            return Ok(backoff.pause());
        }
    };
    let began = Instant::now();
    let end = session::run(socket, desk, stop).await;
    if began.elapsed() >= LASTED {
        backoff.reset();
    }
    info!("session over: {end}");
    match end {
        End::Stopped => Err(Unlinked::Stopped),
        End::Shelf(_) => Err(Unlinked::DataDir),
        End::Closed { code, reason } => match return_after(code) {
            Return::Never => Err(Unlinked::Never { code, reason }),
            again @ (Return::Now | Return::Later) => {
                Ok(backoff.pause_of_at_least(again.pause().unwrap_or_default()))
            }
        },
        End::Silent(_) | End::NoWelcome | End::Write(_) | End::Read(_) | End::Gone => {
            Ok(backoff.pause())
        }
    }
}

async fn dial(hub: &Hub) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, DialError> {
    let request = request(&hub.url, &hub.token)?;
    let config = websocket_config()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0); // each frame leaves at once
    let no_delay = true;
    let dialling = connect_async_tls_with_config(request, Some(config), no_delay, None);
    let dialled = timeout(DIAL_TIMEOUT, dialling).await;
    let (socket, _) = dialled.map_err(|_| DialError::Slow)??;
    Ok(socket)
}

/// The request that opens the websocket.
pub(crate) fn request(url: &HubUrl, token: &Token) -> Result<Request, DialError> {
    let mut request = url.as_str().into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, token.bearer());
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(request)
}

/// What a hub may send.
pub(crate) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
}

impl From<tungstenite::Error> for DialError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(answer) => match answer.status() {
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    Self::Unauthorized(status)
                }
                status => Self::Refused(status),
            },
            error => Self::Socket(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        clock::SystemClock,
        fixture::{self, FREELY, Scripted},
        scheduler::Scheduler,
    };

    /// Dials a server that answers every upgrade like this; how long the agent would pause.
    async fn pause_after(answer: &'static str) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        });
        let hub = Hub {
            url: format!("http://{address}").parse().unwrap(),
            token: "secret".parse().unwrap(),
        };
        let root = tempfile::tempdir().unwrap();
        let shelf = fixture::shelf(root.path()).await;
        let clock = Arc::new(SystemClock);
        let (runner, _starts) = Scripted::new(clock.clone(), FREELY);
        let scheduler = Scheduler::new(shelf.clone(), runner, clock, 1);
        let desk = Desk::new(shelf, scheduler, 1);
        let mut backoff = Backoff::default();
        let stop = CancellationToken::new();
        attempt(&hub, &desk, &stop, &mut backoff).await.unwrap()
    }

    #[tokio::test]
    async fn a_refused_token_is_tried_again_slowly() {
        let unauthorized = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        assert!(pause_after(unauthorized).await >= UNAUTHORIZED_PAUSE);
    }

    #[tokio::test]
    async fn a_hub_in_trouble_is_tried_again_soon() {
        let unavailable = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert!(pause_after(unavailable).await < Duration::from_secs(1));
        assert!(pause_after("").await < Duration::from_secs(1));
        // A websocket of another protocol is no hub.
        let other = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
            sec-websocket-accept: x\r\n\r\n";
        assert!(pause_after(other).await < Duration::from_secs(1));
    }
}

//! Accepts connections and serves HTTP/1.1 on them, with or without TLS, and with limits that a plain server does not
//! have: on connections, of all and of each client, on the length of a request's head and the time it may take, on the
//! time a client may leave an answer unread, and on the time a stop may take.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

use patient::Patient;
use places::Places;
use tls::Tls;

mod patient;
mod places;
pub(crate) mod tls;

/// Connections at the same time, websockets apart from the moment they are upgraded.
const MOST_CONNECTIONS: usize = 16_384;
/// Longest a request's head may take to arrive: a client that trickles holds a connection no longer.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Longest head of a request, bytes; more is answered with 431. Ours have some hundred, a browser's some thousand.
const LONGEST_HEAD: usize = 64 * 1024;
/// Most headers of a request; more are answered with 431.
const MOST_HEADERS: usize = 100;
/// Longest a connection may stay full: a client that reads nothing for so long is gone or means harm.
const FULL_FOR: Duration = Duration::from_secs(60);
/// Pause after an accept that failed, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is let in, and how; by default everybody, in plain HTTP.
#[derive(Default)]
pub(crate) struct Door {
    /// Most connections of one client, IPv6 by its network; `None` is as many as it likes.
    pub(crate) per_client: Option<NonZeroUsize>,
    /// Proxies, which may have more.
    pub(crate) excepted: Vec<IpNet>,
    /// `None` is plain HTTP.
    pub(crate) tls: Option<Tls>,
}

/// Serves until `stop`, then lets requests under way end within `patience`.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Door,
    router: Router,
    stop: CancellationToken,
    patience: Duration,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let places = Places::new(door.per_client, door.excepted);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!(%peer, "a connection too many of one client was closed");
            continue;
        };
        let router = router.clone();
        let (tls, watcher, stop) = (door.tls.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _held = (permit, place);
            let stream = Patient::new(stream, HEAD_WITHIN, FULL_FOR);
            let Some(tls) = tls else {
                return converse(stream, peer, router, watcher).await;
            };
            match stop.run_until_cancelled(tls.accept(stream)).await {
                Some(Ok(stream)) => {
                    let stream = Patient::new(stream, HEAD_WITHIN, FULL_FOR);
                    converse(stream, peer, router, watcher).await;
                }
                Some(Err(error)) => tracing::debug!(%peer, %error, "no TLS with a client"),
                None => {}
            }
        });
    }
    drop(listener);
    if timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}

/// Speaks HTTP on one connection to its end.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    watcher: Watcher,
) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS);
    let service = TowerToHyperService::new(with_peer(router, peer));
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    // A connection that breaks is the client's business.
    let _ = watcher.watch(connection).await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = room
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small frames would otherwise wait for the acknowledgement of the one before, up to 40 ms.
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

/// The router for one connection: each request says who is at its other end.
fn with_peer<B>(
    router: Router,
    peer: SocketAddr,
) -> MapRequest<Router, impl FnMut(Request<B>) -> Request<B> + Clone> {
    MapRequest::new(router, move |mut request: Request<B>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    })
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Longest that each step may take.
    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_request_says_who_is_at_the_other_end() {
        let whoami = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let router = Router::new().route("/", get(whoami));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let door = Door::default();
        let server = tokio::spawn(serve(listener, door, router, stop.clone(), WITHIN));
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            timeout(WITHIN, stream.read_to_string(&mut answer))
                .await
                .unwrap()
                .unwrap();
            let own = stream.local_addr().unwrap().to_string();
            assert!(answer.ends_with(&own), "{own}: {answer}");
        }
        stop.cancel();
        timeout(WITHIN, server).await.unwrap().unwrap();
    }
}

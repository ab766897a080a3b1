//! From a simulated probe to its hub: an address of its own, TCP, TLS where the hub has it, the upgrade.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use probe_protocol::old;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        client::IntoClientRequest as _, handshake::client::Request, http::HeaderValue,
        protocol::WebSocketConfig,
    },
};
use url::Host;

use crate::{
    config::{HubUrl, Token},
    link::{self, DIAL_TIMEOUT, DialError},
};

/// Read buffer of a socket, bytes: there may be ten thousand, and most of what they hear is short.
const READ_BUFFER: usize = 1024;
/// Bytes after which a burst of frames leaves.
const WRITE_BUFFER: usize = 16 * 1024;
/// What the system keeps for a slow reader, bytes: the least, so that the hub notices it soon.
const SLOW_BUFFER: u32 = 2048;
/// Longest frame that an agent of the replaced system is sent, bytes: its hub's own limit.
const LONGEST_OLD_FRAME: usize = 12 * 1024 * 1024;

/// A connection, with TLS or without. A trait object: with TLS it is a kilobyte longer, which ten thousand without it
/// should not pay.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {
    /// What is below TLS.
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A websocket that is open.
pub(super) type Socket = WebSocketStream<Box<dyn Connection>>;

/// Where a hub is.
#[derive(Clone)]
pub(super) struct Place {
    url: HubUrl,
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why a hub cannot be aimed at.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Its name has no address.
    #[error("{0} has no address: {1}")]
    Unknown(String, io::Error),
    /// It is on another machine, and nobody said that this is meant.
    #[error(
        "{0} is at {1}, on another machine: a simulated fleet is a load and may lie; say --any-hub if it is meant"
    )]
    Elsewhere(String, IpAddr),
    /// Its URL has no name that a certificate could have.
    #[error("{0} cannot be spoken to with TLS: {1}")]
    Tls(String, String),
}

impl Place {
    /// Looks for a hub.
    pub(super) async fn find(url: &HubUrl, any_hub: bool) -> Result<Self, PlaceError> {
        let text = || url.as_str().to_owned();
        let parsed = url.url();
        let unknown = |why: &str| PlaceError::Unknown(text(), io::Error::other(why.to_owned()));
        let port = parsed.port_or_known_default();
        let port = port.ok_or_else(|| unknown("no port"))?;
        let host = parsed.host().ok_or_else(|| unknown("no host"))?;
        let all: Vec<SocketAddr> = match host {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(name) => {
                let found = lookup_host((name, port)).await;
                found
                    .map_err(|error| PlaceError::Unknown(text(), error))?
                    .collect()
            }
        };
        let elsewhere = all.iter().find(|address| !address.ip().is_loopback());
        if let Some(address) = elsewhere.filter(|_| !any_hub) {
            return Err(PlaceError::Elsewhere(text(), address.ip()));
        }
        // IPv4 first: simulated sources are addresses of 127.0.0.0/8.
        let address = all.iter().find(|address| address.is_ipv4()).or(all.first());
        let address = *address.ok_or_else(|| unknown("no address"))?;
        let tls = if parsed.scheme() == "wss" {
            let name = parsed.host_str().unwrap_or_default();
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(name.to_owned());
            let name = name.map_err(|error| PlaceError::Tls(text(), error.to_string()))?;
            Some((connector(), name))
        } else {
            None
        };
        Ok(Self {
            url: url.clone(),
            address,
            tls,
        })
    }

    /// Whether it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Whether it can be reached from such an address.
    pub(super) fn suits(&self, source: IpAddr) -> bool {
        self.address.is_ipv4() == source.is_ipv4()
    }

    /// The request of an agent of version 1.
    pub(super) fn request(&self, token: &Token) -> Result<Request, DialError> {
        link::request(&self.url, token)
    }

    /// The request of an agent of the replaced system.
    pub(super) fn old_request(
        &self,
        token: &Token,
        total_credits: u32,
        in_use: u32,
    ) -> Result<Request, DialError> {
        let mut url = self.url.for_old_agents();
        url.set_query(Some(&old::query(token.text())));
        let mut request = url.as_str().into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(old::TOTAL_CREDITS, HeaderValue::from(total_credits));
        headers.insert(old::IN_USE_CREDITS, HeaderValue::from(in_use));
        Ok(request)
    }
}

/// Trusts what this machine trusts; made once, as reading that takes long.
fn connector() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    // Without any, the handshake says what is wrong.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Opens a websocket from this address. `is_slow` leaves the hub little room to write ahead.
pub(super) async fn dial(
    place: &Place,
    source: Option<IpAddr>,
    request: Request,
    is_slow: bool,
) -> Result<Socket, DialError> {
    let dialling = async {
        let stream = connect(place, source, is_slow)
            .await
            .map_err(|error| DialError::Socket(error.into()))?;
        let connection: Box<dyn Connection> = match &place.tls {
            None => Box::new(stream),
            Some((connector, name)) => {
                let secured = connector.connect(name.clone(), stream).await;
                Box::new(secured.map_err(|error| DialError::Socket(error.into()))?)
            }
        };
        let (socket, _) = client_async_with_config(request, connection, Some(config())).await?;
        Ok(socket)
    };
    timeout(DIAL_TIMEOUT, dialling)
        .await
        .unwrap_or(Err(DialError::Slow))
}

async fn connect(place: &Place, source: Option<IpAddr>, is_slow: bool) -> io::Result<TcpStream> {
    let socket = if place.address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if is_slow {
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
    }
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(place.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn config() -> WebSocketConfig {
    link::websocket_config()
        .max_message_size(Some(LONGEST_OLD_FRAME))
        .max_frame_size(Some(LONGEST_OLD_FRAME))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
}

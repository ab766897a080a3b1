//! Many probes in one process, as lean as can be: a socket and a task each.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::{SinkExt as _, StreamExt as _, stream};
use probe_protocol::{HubFrame, PATH, Payload, ProbeFrame, SUBPROTOCOL};
use rustix::process::{Resource, getrlimit, setrlimit};
use tests::{probe::hello, wait::within};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

/// Addresses that they come from: one has no more than some 28,000 ports.
const ADDRESSES: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 9];
/// Connections that are being made at a time: less than a listener's backlog.
const AT_ONCE: usize = 128;
/// Longest one may take to be welcome, on a machine that is busy with all of them.
const WELCOME_WITHIN: Duration = Duration::from_secs(60);
/// Longest a frame may take to all of them.
const ALL_WITHIN: Duration = Duration::from_secs(120);
/// Buffers of one, bytes: those of the hub.
pub(crate) const READ_BUFFER: usize = 4096;

/// Them; they leave when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    heard: Arc<Heard>,
    tasks: JoinSet<()>,
}

/// What they heard.
#[derive(Debug, Default)]
struct Heard {
    assignments: AtomicUsize,
    last: Mutex<Option<Utf8Bytes>>,
    /// Told with each thousandth assignment, and by who waits for more.
    more: Notify,
    wanted: AtomicUsize,
}

type Socket = WebSocketStream<TcpStream>;

/// Takes as many open files as the system gives; how many, if there is a limit.
pub(crate) fn raise_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the limit that this process may have");
    limit.current
}

impl Crowd {
    /// More of them come, and are welcome when this returns.
    pub(crate) async fn join(&mut self, url: &str, tokens: &[&str]) {
        let address = url.trim_start_matches("http://");
        let address: SocketAddr = address.parse().expect("an address");
        let coming = tokens
            .iter()
            .enumerate()
            .map(|(number, token)| come(address, ADDRESSES[number % ADDRESSES.len()], token));
        let coming = stream::iter(coming).buffer_unordered(AT_ONCE);
        let tasks = &mut self.tasks;
        let heard = &self.heard;
        coming
            .for_each(|socket| {
                tasks.spawn(listen(socket, heard.clone()));
                std::future::ready(())
            })
            .await;
    }

    /// Assignments that all of them have heard so far.
    pub(crate) fn assignments(&self) -> usize {
        self.heard.assignments.load(Ordering::Relaxed)
    }

    /// The last of them.
    pub(crate) fn last_assignment(&self) -> Option<Utf8Bytes> {
        self.heard.last.lock().expect("a frame").clone()
    }

    /// How long it takes since then until they have heard so many in all.
    pub(crate) async fn until(&self, count: usize, since: Instant) -> Duration {
        self.heard.wanted.store(count, Ordering::Relaxed);
        let all = async {
            while self.assignments() < count {
                self.heard.more.notified().await;
            }
        };
        within(ALL_WITHIN, "an operation that all probes have", all).await;
        since.elapsed()
    }
}

async fn come(address: SocketAddr, from: u8, token: &str) -> Socket {
    let coming = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, from), 0));
        socket.bind(from).expect("an address of this machine");
        let stream = socket.connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut request = format!("ws://{address}{PATH}")
            .into_client_request()
            .expect("a request");
        let headers = request.headers_mut();
        let bearer = format!("Bearer {token}").parse().expect("a header");
        headers.insert("authorization", bearer);
        let protocol = SUBPROTOCOL.parse().expect("a header");
        headers.insert("sec-websocket-protocol", protocol);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0);
        let opening = client_async_with_config(request, stream, Some(config));
        let (mut socket, _) = opening.await.expect("a websocket");
        send(&mut socket, &ProbeFrame::Hello(hello(Vec::new()))).await;
        loop {
            // The hub pings before it says welcome.
            if let Message::Text(text) = socket.next().await.expect("welcome").expect("welcome") {
                let Ok(HubFrame::Welcome(_)) = HubFrame::from_text(&text) else {
                    panic!("no welcome but {text}");
                };
                break;
            }
        }
        socket
    };
    within(WELCOME_WITHIN, "welcome", coming).await
}

async fn send(socket: &mut Socket, frame: &ProbeFrame) {
    let Ok(Payload::Text(text)) = frame.encode() else {
        panic!("no text: {frame:?}");
    };
    let sent = socket.send(Message::Text(text.into())).await;
    sent.expect("the server is there");
}

async fn listen(mut socket: Socket, heard: Arc<Heard>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        match HubFrame::from_text(&text) {
            Ok(HubFrame::Assign(_)) => heard.one(text),
            Ok(HubFrame::Time { sent }) => {
                let now = Utc::now().timestamp_micros();
                let answer = ProbeFrame::Time {
                    hub_sent: sent,
                    received: now,
                    sent: now,
                };
                send(&mut socket, &answer).await;
            }
            other => panic!("the server said {other:?}"),
        }
    }
}

impl Heard {
    fn one(&self, frame: Utf8Bytes) {
        let count = self.assignments.fetch_add(1, Ordering::Relaxed) + 1;
        if count >= self.wanted.load(Ordering::Relaxed) {
            *self.last.lock().expect("a frame") = Some(frame);
            self.more.notify_one();
        }
    }
}

//! A websocket server that does what must be done and nothing else: it says welcome to who says hello, and sends everybody
//! the same frame when it is told to. It runs in a process of its own, so that its memory can be told.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use futures::{SinkExt as _, StreamExt as _};
use probe_protocol::{HubFrame, Limits, MAX_FRAME, ProbeId, SUBPROTOCOL, TargetPolicy, Welcome};
use tests::wait::within;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::WebSocketConfig,
    },
};

use crate::crowd::{self, READ_BUFFER};

/// The flag that makes this program the server.
pub(crate) const FLAG: &str = "--bare-sockets";
/// Frames that may wait for one connection: as many as a hub's outbox takes.
const OUTBOX: usize = 32;
/// Ports for it: below those of outgoing connections, of which there will be ten thousand.
const PORTS: std::ops::Range<u16> = 30_000..32_000;
/// Longest it may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// One connection's queue.
type Outbox = mpsc::Sender<Message>;

/// It, seen from the benchmark. Killed when dropped.
#[derive(Debug)]
pub(super) struct Bare {
    child: Child,
    told: ChildStdin,
    url: String,
}

impl Bare {
    /// Starts it; it will send that frame.
    pub(super) async fn start(frame: &Utf8Bytes) -> Self {
        let us = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(us)
            .arg(FLAG)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a bare server");
        let mut told = child.stdin.take().expect("its input");
        let line = format!("{}\n", frame.as_str());
        told.write_all(line.as_bytes()).await.expect("it reads");
        let mut said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = within(READY_WITHIN, "a bare server", said.next_line()).await;
        let address = address.expect("its output").expect("its address");
        Self {
            child,
            told,
            url: format!("http://{address}"),
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Its memory, KiB.
    pub(super) fn resident_kib(&self) -> u64 {
        tests::process::resident_kib(self.child.id().expect("a running process"))
    }

    /// Tells it to send its frame to everybody.
    pub(super) async fn broadcast(&mut self) {
        self.told.write_all(b"\n").await.expect("it reads");
    }
}

/// Is it: reads the frame from standard input, says where it listens, and sends the frame at each line after.
pub(crate) async fn serve() {
    crowd::raise_open_files();
    let (tell, mut told) = mpsc::channel(OUTBOX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let frame = told.recv().await.expect("a frame");
    let listener = listen().await;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr().expect("its address")).expect("output");
    out.flush().expect("output");
    let everybody: Arc<Mutex<Vec<Outbox>>> = Arc::default();
    let newcomers = everybody.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (outbox, queue) = mpsc::channel(OUTBOX);
            newcomers.lock().expect("the list").push(outbox);
            tokio::spawn(session(stream, queue));
        }
    });
    let frame = Message::Text(frame.into());
    while told.recv().await.is_some() {
        let mut all = everybody.lock().expect("the list");
        all.retain(|outbox| outbox.try_send(frame.clone()).is_ok());
    }
}

async fn listen() -> TcpListener {
    for port in PORTS {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no port is free");
}

async fn session(stream: TcpStream, mut queue: mpsc::Receiver<Message>) {
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0);
    let accepted = accept_hdr_async_with_config(stream, protocol, Some(config)).await;
    let Ok(mut socket) = accepted else { return };
    loop {
        let sent = tokio::select! {
            message = queue.recv() => match message {
                Some(message) => socket.send(message).await,
                None => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(_))) => socket.send(welcome()).await,
                Some(Ok(_)) => Ok(()),
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

#[expect(clippy::result_large_err, reason = "the library's own type")]
fn protocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = SUBPROTOCOL.parse().expect("a header");
    response
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    Ok(response)
}

fn welcome() -> Message {
    let welcome = HubFrame::Welcome(Welcome {
        probe: ProbeId::new(),
        session: 1,
        instance: "bare".to_owned(),
        hub_time: Utc::now(),
        limits: Limits {
            max_frame: u32::try_from(MAX_FRAME).unwrap_or(u32::MAX),
            max_unanswered: 1,
            heartbeat_s: u32::MAX,
            target_policy: TargetPolicy::Any,
        },
    });
    Message::Text(welcome.to_text().expect("a frame").into())
}

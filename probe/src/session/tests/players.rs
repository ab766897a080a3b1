//! Who plays in the tests of a session: a hub that speaks frame by frame, and an agent with a scripted runner.

use std::{path::Path, sync::Arc};

use chrono::Utc;
use probe_protocol::{Kind, ProbeId, ResultCode, RunResult, TargetPolicy};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinHandle,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        handshake::server::{Request, Response},
        http::HeaderValue,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::super::*;
use crate::{
    clock::SystemClock,
    config::Hub,
    fixture::{self, Scripted},
    link::{self, Unlinked},
    runner::Job,
    scheduler::Scheduler,
};

/// Nothing here takes longer, except on a machine in trouble.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The hub's side: listens, and plays the hub frame by frame.
pub(crate) struct TestHub {
    pub(crate) listener: TcpListener,
}

pub(crate) struct Seat(pub(crate) WebSocketStream<TcpStream>);

pub(crate) fn limits() -> Limits {
    Limits {
        max_frame: probe_protocol::MAX_FRAME as u32,
        max_unanswered: 100,
        heartbeat_s: 3600,
        target_policy: TargetPolicy::Any,
    }
}

impl TestHub {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    pub(crate) fn hub(&self) -> Hub {
        let address = self.listener.local_addr().unwrap();
        Hub {
            url: format!("http://{address}/base/").parse().unwrap(),
            token: "secret".parse().unwrap(),
        }
    }

    /// The next connection, checked and upgraded.
    pub(crate) async fn upgrade(&self) -> Seat {
        let (socket, _) = timeout(PATIENCE, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), "/base/probe/v1");
            assert_eq!(request.headers()["authorization"], "Bearer secret");
            let protocol = HeaderValue::from_static(probe_protocol::SUBPROTOCOL);
            assert_eq!(request.headers()["sec-websocket-protocol"], protocol);
            response
                .headers_mut()
                .insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        Seat(accept_hdr_async(socket, check).await.unwrap())
    }

    /// The next session, welcomed with these limits; the operations that hello listed.
    pub(crate) async fn session(&self, limits: Limits) -> (Seat, Vec<OperationId>) {
        let mut seat = self.upgrade().await;
        let ProbeFrame::Hello(hello) = seat.frame().await else {
            panic!("hello comes first")
        };
        assert_eq!(hello.capabilities, [Kind::Ping]);
        let welcome = Welcome {
            probe: ProbeId::new(),
            session: 1,
            instance: "test".to_owned(),
            hub_time: Utc::now(),
            limits,
        };
        seat.send(&HubFrame::Welcome(welcome)).await;
        (seat, hello.assignments)
    }
}

impl Seat {
    pub(crate) async fn send(&mut self, frame: &HubFrame) {
        let text = frame.to_text().unwrap();
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.0.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }

    /// The next frame that is no `status`.
    pub(crate) async fn frame(&mut self) -> ProbeFrame {
        loop {
            let frame = match self.message().await {
                Message::Text(text) => ProbeFrame::from_text(&text).unwrap(),
                Message::Binary(bytes) => ProbeFrame::from_binary(&bytes).unwrap(),
                other => panic!("not a frame: {other:?}"),
            };
            if !matches!(frame, ProbeFrame::Status { .. }) {
                return frame;
            }
        }
    }

    pub(crate) async fn result(&mut self) -> RunResult {
        match self.frame().await {
            ProbeFrame::Result(result) => result,
            other => panic!("not a result: {other:?}"),
        }
    }

    pub(crate) async fn assign(&mut self, assign: &Assign) {
        self.send(&HubFrame::Assign(assign.clone())).await;
    }

    pub(crate) async fn stored(&mut self, operation: OperationId, code: ResultCode) {
        let codes = vec![code];
        self.send(&HubFrame::Stored { operation, codes }).await;
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "word".into(),
        };
        self.0.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

/// An agent on a scripted runner.
pub(crate) struct TestAgent {
    pub(crate) stop: CancellationToken,
    pub(crate) runner: Arc<Scripted>,
    pub(crate) _starts: UnboundedReceiver<(Job, chrono::DateTime<Utc>)>,
    pub(crate) link: JoinHandle<Unlinked>,
}

impl TestAgent {
    pub(crate) async fn start(root: &Path, hub: Hub, may_end: usize) -> Self {
        let shelf = fixture::shelf(root).await;
        let clock = Arc::new(SystemClock);
        let (runner, starts) = Scripted::new(clock.clone(), may_end);
        let scheduler = Scheduler::new(shelf.clone(), runner.clone(), clock, 4);
        let desk = Desk::new(shelf, scheduler, 10);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let link = tokio::spawn(async move { link::keep(&hub, &desk, &stopped).await });
        Self {
            stop,
            runner,
            _starts: starts,
            link,
        }
    }
}

pub(crate) async fn both(may_end: usize) -> (tempfile::TempDir, TestHub, TestAgent) {
    let root = tempfile::tempdir().unwrap();
    let hub = TestHub::open().await;
    let agent = TestAgent::start(root.path(), hub.hub(), may_end).await;
    (root, hub, agent)
}

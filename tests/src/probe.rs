//! A probe at the level of the protocol, step by step.

use std::time::Duration;

use chrono::Utc;
use futures::{SinkExt as _, StreamExt as _};
use probe_protocol::{
    Assign, ContentFormat, Hello, HubFrame, Kind, OperationId, PATH, Payload, ProbeFrame,
    Rejection, ResultCode, RunResult, SUBPROTOCOL, Welcome,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use crate::{
    connection::{begin, reset},
    hub::Hub,
    orders,
    wait::{SOON, within},
};

/// Longest an upgrade may take to be answered: longer than the hub waits for a store that does not answer.
pub(crate) const UPGRADED_WITHIN: Duration = Duration::from_secs(20);

/// A websocket to a hub that speaks frames.
#[derive(Debug)]
pub struct ProbeSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Why a websocket did not open.
#[derive(Debug)]
pub enum Refused {
    /// The hub answered with an HTTP status.
    Status(u16, String),
    /// The hub is away.
    Away(String),
}

/// What a probe hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(HubFrame),
    /// The hub closed the session with this code.
    Closed(u16),
    /// The connection broke.
    Broken,
}

/// The hub's answer to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// It is durable.
    Stored,
    /// It will never be taken.
    Rejected(Rejection),
}

impl ProbeSocket {
    /// Opens a websocket with a probe's token; `url` is the hub's.
    ///
    /// # Errors
    /// [`Refused`] says what came instead.
    pub async fn open(url: &str, token: &str) -> Result<Self, Refused> {
        Self::open_as(url, Some(token), Some(SUBPROTOCOL)).await
    }

    /// Opens a websocket with what is given.
    ///
    /// # Errors
    /// [`Refused`] says what came instead.
    pub async fn open_as(
        url: &str,
        token: Option<&str>,
        subprotocol: Option<&str>,
    ) -> Result<Self, Refused> {
        let url = format!("{}{PATH}", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        if let Some(token) = token {
            headers.insert(
                "authorization",
                format!("Bearer {token}").parse().expect("a header"),
            );
        }
        if let Some(subprotocol) = subprotocol {
            headers.insert(
                "sec-websocket-protocol",
                subprotocol.parse().expect("a header"),
            );
        }
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let opening = connect_async_with_config(request, Some(config), true);
        match within(UPGRADED_WITHIN, "an answer to the upgrade", opening).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => {
                let body = response
                    .body()
                    .as_deref()
                    .map(|body| String::from_utf8_lossy(body).into_owned());
                Err(Refused::Status(
                    response.status().as_u16(),
                    body.unwrap_or_default(),
                ))
            }
            Err(error) => Err(Refused::Away(error.to_string())),
        }
    }

    /// Sends a frame; false when the connection is gone.
    pub async fn send(&mut self, frame: &ProbeFrame) -> bool {
        self.send_raw(match frame.encode().expect("a frame that can be sent") {
            Payload::Text(text) => Message::Text(text.into()),
            Payload::Binary(bytes) => Message::Binary(bytes.into()),
        })
        .await
    }

    /// Sends any websocket message; false when the connection is gone.
    pub async fn send_raw(&mut self, message: Message) -> bool {
        within(SOON, "room to send", self.0.send(message))
            .await
            .is_ok()
    }

    /// Sends the head of a binary message of so many bytes, and nothing of it.
    pub async fn begin(&mut self, bytes: u64) {
        begin(&mut self.0, bytes).await;
    }

    /// Sends any websocket messages, in as few writes as can be; false when the connection is gone.
    pub async fn send_all(&mut self, messages: Vec<Message>) -> bool {
        let sending = async {
            for message in messages {
                self.0.feed(message).await?;
            }
            self.0.flush().await
        };
        within(SOON, "room to send", sending).await.is_ok()
    }

    /// Breaks the connection at once: the other side sees a reset, and what waited to be read or sent is gone.
    pub fn abort(self) {
        reset(&self.0);
    }

    /// Sends what is left to send, answers to pings among it.
    pub async fn flush(&mut self) {
        // A session that ended shows at the next read.
        let _ = within(SOON, "room to send", self.0.flush()).await;
    }

    /// The next frame, or how the session ended. Answers to websocket pings go out meanwhile.
    pub async fn hear(&mut self) -> Heard {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    Heard::Frame(HubFrame::from_text(&text).expect("a frame of the hub"))
                }
                Some(Ok(Message::Binary(bytes))) => {
                    Heard::Frame(HubFrame::from_binary(&bytes).expect("a frame of the hub"))
                }
                Some(Ok(Message::Close(frame))) => {
                    frame.map_or(Heard::Broken, |frame| Heard::Closed(frame.code.into()))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Heard::Broken,
            };
        }
    }
}

/// What a fake probe says of itself.
#[must_use]
pub fn hello(assignments: Vec<OperationId>) -> Hello {
    Hello {
        agent: "fake".into(),
        version: "1".into(),
        capabilities: Kind::ALL.to_vec(),
        total_credits: 100_000,
        in_use_credits: 0,
        assignments,
    }
}

/// A code for a result.
///
/// # Panics
/// When the text is no code.
#[must_use]
pub fn code(text: &str) -> ResultCode {
    text.to_owned().try_into().expect("a code")
}

/// A result of a ping that was measured just now.
#[must_use]
pub fn result(operation: OperationId, name: &str) -> RunResult {
    let now = Utc::now();
    RunResult {
        operation,
        code: code(name),
        format: ContentFormat::Json,
        content: orders::ping_document(0).into(),
        started_at: now,
        finished_at: now,
    }
}

/// A probe with a session, and a journal of all it heard in it.
#[derive(Debug)]
pub struct FakeProbe {
    /// The websocket.
    pub socket: ProbeSocket,
    /// What the hub said first.
    pub welcome: Welcome,
    /// All frames since, in order.
    pub journal: Vec<HubFrame>,
}

impl FakeProbe {
    /// Connects a probe that holds nothing.
    pub async fn connect(hub: &Hub, token: &str) -> Self {
        Self::connect_as(hub, token, hello(Vec::new())).await
    }

    /// Connects and says this.
    ///
    /// # Panics
    /// When the hub does not say welcome.
    pub async fn connect_as(hub: &Hub, token: &str, hello: Hello) -> Self {
        let mut socket = ProbeSocket::open(&hub.url(), token)
            .await
            .expect("a session");
        assert!(
            socket.send(&ProbeFrame::Hello(hello)).await,
            "the hub left before hello"
        );
        let welcome = match within(SOON, "welcome", socket.hear()).await {
            Heard::Frame(HubFrame::Welcome(welcome)) => welcome,
            other => panic!("no welcome but {other:?}"),
        };
        // The answer to the ping before it, by which the hub knows that somebody is there.
        socket.flush().await;
        Self {
            socket,
            welcome,
            journal: Vec::new(),
        }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the session is gone.
    pub async fn say(&mut self, frame: &ProbeFrame) {
        assert!(
            self.socket.send(frame).await,
            "the session is gone; heard {:?}",
            self.journal
        );
    }

    /// Reads until a frame fits; what is read goes into the journal. Questions for the clock are answered.
    ///
    /// # Panics
    /// When the session ends before, or nothing fits in time.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut fits: impl FnMut(&HubFrame) -> Option<T>,
    ) -> T {
        let reading = async {
            loop {
                match self.socket.hear().await {
                    Heard::Frame(HubFrame::Time { sent }) => self.tell_time(sent).await,
                    Heard::Frame(frame) => {
                        let found = fits(&frame);
                        self.journal.push(frame);
                        if let Some(found) = found {
                            return found;
                        }
                    }
                    end => panic!(
                        "the session ended with {end:?} before {what}; heard {:?}",
                        self.journal
                    ),
                }
            }
        };
        within(SOON, what, reading).await
    }

    async fn tell_time(&mut self, hub_sent: i64) {
        let now = Utc::now().timestamp_micros();
        // A session that ends meanwhile shows at the next read.
        let _ = self
            .socket
            .send(&ProbeFrame::Time {
                hub_sent,
                received: now,
                sent: now,
            })
            .await;
    }

    /// The next operation that is offered.
    pub async fn assigned(&mut self) -> Assign {
        self.until("an assignment", |frame| match frame {
            HubFrame::Assign(assign) => Some(assign.clone()),
            _ => None,
        })
        .await
    }

    /// Takes on the next operation that is offered.
    pub async fn accept(&mut self) -> OperationId {
        let operation = self.assigned().await.operation;
        self.say(&ProbeFrame::Accepted { operation }).await;
        operation
    }

    /// Sends the result of a ping; the hub's answer.
    pub async fn deliver(&mut self, operation: OperationId, name: &str) -> Ack {
        self.deliver_result(result(operation, name)).await
    }

    /// Sends a result; the hub's answer.
    pub async fn deliver_result(&mut self, result: RunResult) -> Ack {
        let (operation, code) = (result.operation, result.code.clone());
        self.say(&ProbeFrame::Result(result)).await;
        self.ack(operation, &code).await
    }

    /// The hub's answer to a result.
    pub async fn ack(&mut self, operation: OperationId, code: &ResultCode) -> Ack {
        self.until("an answer to a result", |frame| match frame {
            HubFrame::Stored {
                operation: of,
                codes,
            } if *of == operation && codes.contains(code) => Some(Ack::Stored),
            HubFrame::Rejected {
                operation: of,
                code: which,
                reason,
            } if *of == operation && which == code => Some(Ack::Rejected(*reason)),
            _ => None,
        })
        .await
    }

    /// Says that an assignment is over and waits for the hub to know it.
    pub async fn finish(&mut self, operation: OperationId) {
        self.say(&ProbeFrame::Finished { operation }).await;
        let closed = HubFrame::Closed { operation };
        self.until("closed", |frame| (*frame == closed).then_some(()))
            .await;
    }

    /// Reads until the session ends; the close code, 1006 where the connection just broke.
    pub async fn closed(&mut self) -> u16 {
        self.closed_within(SOON).await
    }

    /// Reads until the session ends.
    pub async fn closed_within(&mut self, limit: Duration) -> u16 {
        const BROKEN: u16 = 1006;
        let reading = async {
            loop {
                match self.socket.hear().await {
                    Heard::Frame(frame) => self.journal.push(frame),
                    Heard::Closed(code) => return code,
                    Heard::Broken => return BROKEN,
                }
            }
        };
        within(limit, "the end of the session", reading).await
    }
}

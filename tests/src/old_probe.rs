//! An agent of the system that this one replaces, at the level of its frames, step by step: Socket.IO 5 in Engine.IO 4,
//! put together by hand, so that a test can also say what no library would.

use std::time::Duration;

use probe_protocol::old::{self, PING, PONG};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    hub::Hub,
    trust::Trust,
    wait::{SOON, within},
};

mod socket;

pub use probe_protocol::old::PATH;
pub use socket::{Knock, OldHeard, OldSocket};

/// Credits of an agent with its usual settings.
pub const USUAL_CREDITS: i64 = 121;

/// An operation that the hub hands over.
#[derive(Debug, Clone, PartialEq)]
pub struct Handed {
    /// The event's name.
    pub kind: String,
    /// Its argument.
    pub argument: Value,
    /// The number to acknowledge it with.
    pub ack: u64,
}

impl Handed {
    /// Reads an event that asks to be acknowledged; nothing where a text is something else.
    ///
    /// # Panics
    /// When it is no event that the hub may send.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match old::OldHeard::read(text).expect("what a hub may say") {
            old::OldHeard::Handed(old::Handed {
                kind,
                argument,
                ack,
            }) => Some(Self {
                kind,
                argument,
                ack,
            }),
            _ => None,
        }
    }

    /// The operation's identifier.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.argument["_id"].as_str().expect("an identifier")
    }

    /// Credits of one run.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn credits(&self) -> i64 {
        self.argument["credits"].as_i64().expect("credits")
    }
}

/// What an old agent sends as a result.
#[derive(Debug, Clone)]
pub struct OldResult {
    /// Identifier, or what stands in its place.
    pub operation: String,
    /// Code.
    pub code: String,
    /// `warts`, `gzip`, or something else.
    pub format: String,
    /// Bytes.
    pub content: Vec<u8>,
}

impl OldResult {
    /// A result.
    #[must_use]
    pub fn new(operation: impl ToString, code: &str, format: &str, content: &[u8]) -> Self {
        Self {
            operation: operation.to_string(),
            code: code.to_owned(),
            format: format.to_owned(),
            content: content.to_vec(),
        }
    }

    /// The event that announces it, to be acknowledged with this number; its bytes follow in a message of their own.
    #[must_use]
    pub fn event(&self, number: u64) -> String {
        old::result(&self.operation, &self.code, &self.format, number)
    }
}

/// An agent with a session, and a journal of all it heard in it.
#[derive(Debug)]
pub struct OldProbe {
    /// The websocket.
    pub socket: OldSocket,
    /// What the hub said first.
    pub open: Value,
    /// All texts since, in order; signs of life, which were answered, too.
    pub journal: Vec<String>,
    asked: u64,
}

impl OldProbe {
    /// Connects an agent with its usual credits that holds nothing.
    pub async fn connect(hub: &Hub, token: &str) -> Self {
        Self::connect_as(hub, &Knock::new(token, USUAL_CREDITS, 0)).await
    }

    /// Connects like this.
    ///
    /// # Panics
    /// When the hub does not open a session.
    pub async fn connect_as(hub: &Hub, knock: &Knock) -> Self {
        let socket = OldSocket::open(&hub.url(), knock).await;
        Self::join(socket.expect("a session")).await
    }

    /// Connects with TLS an agent with its usual credits that holds nothing.
    ///
    /// # Panics
    /// When no session opens at this URL.
    pub async fn connect_trusting(url: &str, token: &str, trust: &Trust) -> Self {
        let knock = Knock::new(token, USUAL_CREDITS, 0);
        let socket = OldSocket::open_trusting(url, &knock, trust).await;
        Self::join(socket.expect("a session")).await
    }

    async fn join(mut socket: OldSocket) -> Self {
        let open = socket.opened().await;
        socket.join().await;
        // The answer to a ping, by which the hub knows that somebody is there.
        socket.flush().await;
        Self::on(socket, open)
    }

    /// On a socket that has joined; `open` is what the hub said first.
    #[must_use]
    pub fn on(socket: OldSocket, open: Value) -> Self {
        Self {
            socket,
            open,
            journal: Vec::new(),
            asked: 0,
        }
    }

    /// Sends a text message.
    ///
    /// # Panics
    /// When the session is gone.
    pub async fn say(&mut self, text: &str) {
        assert!(
            self.socket.text(text).await,
            "the session is gone; heard {:?}",
            self.journal
        );
    }

    /// Reads until a text fits; what is read goes into the journal, signs of life are answered.
    ///
    /// # Panics
    /// When the session ends before, or nothing fits in time.
    pub async fn until<T>(&mut self, what: &str, fits: impl FnMut(&str) -> Option<T>) -> T {
        self.until_within(SOON, what, fits).await
    }

    /// The same with another deadline.
    ///
    /// # Panics
    /// When the session ends before, or nothing fits in time.
    pub async fn until_within<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut fits: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let reading = async {
            loop {
                match self.socket.hear().await {
                    OldHeard::Text(text) => {
                        if text == PING {
                            self.say(PONG).await;
                        }
                        let found = fits(&text);
                        self.journal.push(text);
                        if let Some(found) = found {
                            return found;
                        }
                    }
                    end => panic!("{end:?} came before {what}; heard {:?}", self.journal),
                }
            }
        };
        within(limit, what, reading).await
    }

    /// The next operation that is handed over.
    pub async fn handed(&mut self) -> Handed {
        self.until("an operation", Handed::read).await
    }

    /// Acknowledges an event.
    pub async fn ack(&mut self, number: u64) {
        self.say(&old::ack(number)).await;
    }

    /// Tells that an operation is taken on, or over.
    pub async fn count(&mut self, event: &str, credits: i64) {
        self.say(&old::tell(event, credits)).await;
    }

    /// Takes on an operation that was handed over.
    pub async fn take(&mut self, handed: &Handed) {
        self.count("new_operation", handed.credits()).await;
        self.ack(handed.ack).await;
    }

    /// Takes on the next operation that is handed over.
    pub async fn accept(&mut self) -> Handed {
        let handed = self.handed().await;
        self.take(&handed).await;
        handed
    }

    /// Sends the event of a result whose bytes follow; the number it is to be acknowledged with.
    pub async fn announce(&mut self, result: &OldResult) -> u64 {
        self.asked += 1;
        self.say(&result.event(self.asked)).await;
        self.asked
    }

    /// Sends the bytes of a result that was announced.
    ///
    /// # Panics
    /// When the session is gone.
    pub async fn attach(&mut self, content: &[u8]) {
        let message = Message::Binary(content.to_vec().into());
        assert!(self.socket.send(message).await, "the session is gone");
    }

    /// Sends a result; the number it is to be acknowledged with.
    pub async fn send(&mut self, result: &OldResult) -> u64 {
        let number = self.announce(result).await;
        self.attach(&result.content).await;
        number
    }

    /// Sends a text event that asks to be acknowledged; the number it is to be acknowledged with.
    pub async fn emit(&mut self, event: &str, argument: Value) -> u64 {
        self.asked += 1;
        let event = json!([event, argument]);
        self.say(&format!("42{}{event}", self.asked)).await;
        self.asked
    }

    /// What the hub acknowledges with this number.
    pub async fn acked(&mut self, number: u64) -> Value {
        let seen = |text: &str| read_ack(text, number);
        if let Some(arguments) = self.journal.iter().find_map(|text| seen(text)) {
            return arguments;
        }
        self.until(&format!("acknowledgement {number}"), seen).await
    }

    /// Sends a result; what the hub acknowledges it with.
    pub async fn deliver(&mut self, result: &OldResult) -> Value {
        let number = self.send(result).await;
        self.acked(number).await
    }

    /// Operations that were handed over so far, oldest first.
    #[must_use]
    pub fn handed_so_far(&self) -> Vec<Handed> {
        self.journal
            .iter()
            .filter_map(|text| Handed::read(text))
            .collect()
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
                    OldHeard::Text(text) => self.journal.push(text),
                    OldHeard::Binary(_) => {}
                    OldHeard::Closed(code) => return code,
                    OldHeard::Broken => return BROKEN,
                }
            }
        };
        within(limit, "the end of the session", reading).await
    }
}

fn read_ack(text: &str, number: u64) -> Option<Value> {
    match old::OldHeard::read(text).expect("what a hub may say") {
        old::OldHeard::Acked(of, arguments) if of == number => Some(arguments),
        _ => None,
    }
}

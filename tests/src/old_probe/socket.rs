//! The websocket of an old agent: how it knocks, and messages one by one.

use futures::{SinkExt as _, StreamExt as _};
use probe_protocol::old::{self, PATH, PING, PONG};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{self, Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use crate::{
    connection::{begin, reset},
    probe::{Refused, UPGRADED_WITHIN},
    trust::Trust,
    wait::{SOON, within},
};

/// What an agent says when it knocks.
#[derive(Debug, Clone)]
pub struct Knock {
    /// All after the question mark.
    pub query: String,
    /// Headers beside those of every websocket.
    pub headers: Vec<(&'static str, String)>,
}

impl Knock {
    /// As an agent does it, with so many credits of which so many are in use.
    #[must_use]
    pub fn new(token: &str, total: i64, in_use: i64) -> Self {
        Self {
            query: old::query(token),
            headers: vec![
                (old::TOTAL_CREDITS, total.to_string()),
                (old::IN_USE_CREDITS, in_use.to_string()),
            ],
        }
    }

    /// With another query.
    #[must_use]
    pub fn asking(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// With other headers.
    #[must_use]
    pub fn saying(mut self, headers: &[(&'static str, &str)]) -> Self {
        let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        self.headers = headers.iter().map(owned).collect();
        self
    }
}

/// What comes over the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldHeard {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The hub closed the socket with this code.
    Closed(u16),
    /// The connection broke.
    Broken,
}

/// A websocket on which nothing was said yet.
#[derive(Debug)]
pub struct OldSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl OldSocket {
    /// Knocks at the hub at this URL.
    ///
    /// # Errors
    /// [`Refused`] says what came instead.
    ///
    /// # Panics
    /// When that is no request, or nothing comes in time.
    pub async fn open(url: &str, knock: &Knock) -> Result<Self, Refused> {
        Self::open_by(url, knock, None).await
    }

    /// The same with TLS, trusting like this.
    ///
    /// # Errors
    /// [`Refused`] says what came instead.
    ///
    /// # Panics
    /// When that is no request, or nothing comes in time.
    pub async fn open_trusting(url: &str, knock: &Knock, trust: &Trust) -> Result<Self, Refused> {
        Self::open_by(url, knock, Some(trust.connector())).await
    }

    async fn open_by(
        url: &str,
        knock: &Knock,
        connector: Option<Connector>,
    ) -> Result<Self, Refused> {
        let url = format!("{}{PATH}?{}", url.replacen("http", "ws", 1), knock.query);
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in &knock.headers {
            let value = value.parse().expect("a header");
            request.headers_mut().append(*name, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let opening = connect_async_tls_with_config(request, Some(config), true, connector);
        match within(UPGRADED_WITHIN, "an answer to the upgrade", opening).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = String::from_utf8_lossy(body).into_owned();
                Err(Refused::Status(response.status().as_u16(), body))
            }
            Err(error) => Err(Refused::Away(error.to_string())),
        }
    }

    /// Sends any message; false when the connection is gone.
    pub async fn send(&mut self, message: Message) -> bool {
        let sending = self.0.send(message);
        within(SOON, "room to send", sending).await.is_ok()
    }

    /// Sends the head of a binary message of so many bytes, and nothing of it.
    pub async fn begin(&mut self, bytes: u64) {
        begin(&mut self.0, bytes).await;
    }

    /// Sends what is left to send, answers to pings among it.
    pub async fn flush(&mut self) {
        // A session that ended shows at the next read.
        let _ = within(SOON, "room to send", self.0.flush()).await;
    }

    /// Sends a text message; false when the connection is gone.
    pub async fn text(&mut self, text: &str) -> bool {
        self.send(Message::Text(text.into())).await
    }

    /// Breaks the connection at once; see [`crate::ProbeSocket::abort`].
    pub fn abort(self) {
        reset(&self.0);
    }

    /// The next message, or how it ended.
    pub async fn hear(&mut self) -> OldHeard {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Text(text))) => OldHeard::Text(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => OldHeard::Binary(bytes.into()),
                Some(Ok(Message::Close(frame))) => frame.map_or(OldHeard::Broken, |frame| {
                    OldHeard::Closed(frame.code.into())
                }),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => OldHeard::Broken,
            };
        }
    }

    /// The next text.
    ///
    /// # Panics
    /// When something else comes, or nothing in time.
    pub async fn next_text(&mut self) -> String {
        match within(SOON, "a text", self.hear()).await {
            OldHeard::Text(text) => text,
            other => panic!("no text but {other:?}"),
        }
    }

    /// Reads the first message, which opens the session: what it says.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn opened(&mut self) -> Value {
        let first = self.next_text().await;
        let open = first
            .strip_prefix('0')
            .and_then(|open| serde_json::from_str(open).ok());
        open.unwrap_or_else(|| panic!("{first} opens no session"))
    }

    /// Asks for the namespace and reads the answer.
    ///
    /// # Panics
    /// When the answer is another one.
    pub async fn join(&mut self) -> Value {
        assert!(self.text("40").await, "the hub left");
        self.joined().await
    }

    /// Reads the answer to `40`, which comes next but for signs of life.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn joined(&mut self) -> Value {
        loop {
            let answer = self.next_text().await;
            if answer == PING {
                assert!(self.text(PONG).await, "the hub left");
                continue;
            }
            let joined = answer
                .strip_prefix("40")
                .and_then(|sid| serde_json::from_str(sid).ok());
            return joined.unwrap_or_else(|| panic!("{answer} is no answer to 40"));
        }
    }
}

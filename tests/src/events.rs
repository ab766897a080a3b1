//! Server-sent events, read byte by byte as they arrive, so that a stream can be cut anywhere.

use std::time::Duration;

use probe_protocol::OperationId;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::{
    api::Api,
    wait::{SOON, within},
};

/// Longest until a stream begins: longer than the hub waits for a store that does not answer.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// What a hub answers that is in trouble.
const UNAVAILABLE: u16 = 503;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// `id`, where it has one.
    pub id: Option<u64>,
    /// `event`.
    pub name: String,
    /// `data`.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON in an event")
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    unread: Vec<u8>,
    bytes_left: usize,
}

impl EventStream {
    /// Opens the stream of an operation, perhaps after a result's number, as a browser does.
    ///
    /// # Errors
    /// When the hub is away.
    ///
    /// # Panics
    /// When the hub answers with an error.
    pub async fn open(
        api: &Api,
        id: OperationId,
        last: Option<u64>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self::of(ask(api, id, last).await?))
    }

    /// The same of a hub that may be in trouble; `None` when it is away or says so.
    ///
    /// # Panics
    /// When the hub answers with another error.
    pub async fn try_open(api: &Api, id: OperationId, last: Option<u64>) -> Option<Self> {
        let response = ask(api, id, last).await.ok()?;
        (response.status().as_u16() != UNAVAILABLE).then(|| Self::of(response))
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status().as_u16(), 200, "no stream");
        let kind = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        assert_eq!(kind, Some("text/event-stream"));
        Self {
            response,
            unread: Vec::new(),
            bytes_left: usize::MAX,
        }
    }

    /// The stream ends after so many more bytes, wherever that is.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.bytes_left = bytes;
        self
    }

    /// The next event; `None` when the stream ended, was cut or broke. Comments are passed over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, length)) = self.block() {
                self.unread.drain(..length);
                if let Some(event) = parse(&block) {
                    return Some(event);
                }
                continue;
            }
            if self.bytes_left == 0 {
                return None;
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            let taken = chunk.len().min(self.bytes_left);
            self.bytes_left -= taken;
            self.unread.extend_from_slice(&chunk[..taken]);
        }
    }

    /// The next event of this name; others are passed over.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until(&mut self, name: &str) -> Event {
        self.until_within(SOON, name).await
    }

    /// The next event of this name; others are passed over.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until_within(&mut self, limit: Duration, name: &str) -> Event {
        let reading = async {
            loop {
                let event = self
                    .next()
                    .await
                    .unwrap_or_else(|| panic!("the stream ended before {name}"));
                if event.name == name {
                    return event;
                }
            }
        };
        within(limit, &format!("the event {name}"), reading).await
    }

    /// Text up to the next empty line, and its length with that line.
    fn block(&self) -> Option<(String, usize)> {
        let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
        let text = std::str::from_utf8(&self.unread[..end]).expect("UTF-8 in a stream");
        Some((text.to_owned(), end + 2))
    }
}

async fn ask(api: &Api, id: OperationId, last: Option<u64>) -> Result<Response, reqwest::Error> {
    let mut request = api.request(Method::GET, &format!("/api/v1/operations/{id}/events"));
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    within(BEGINS_WITHIN, "a stream", request.send()).await
}

/// An event from its lines; nothing where there are only comments.
fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.parse().expect("a number as id")),
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            "" | "retry" => {}
            other => panic!("a stream with a field {other:?}"),
        }
    }
    event.data = data.join("\n");
    (!data.is_empty()).then_some(event)
}

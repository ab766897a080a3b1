//! Packets of Engine.IO 4 and Socket.IO 5 as messages of a websocket. Socket.IO's are read and written by the parser of
//! a library; Engine.IO's are one character in front.
//!
//! Pure but for the random names of sessions.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use chrono::Utc;
use probe_protocol::{ContentFormat, OperationId, ResultCode, RunResult};
use serde::{Deserialize, Serialize};
use serde_json::json;
use socketioxide_core::{
    Sid, Str, Value,
    packet::{Packet as Parsed, PacketData},
    parser::{Parse as _, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;

use super::{super::HEARTBEAT, LONGEST_FRAME};

/// Types of Engine.IO packets: the first character of a text message.
const OPEN: char = '0';
const CLOSE: char = '1';
const PING: char = '2';
const MESSAGE: char = '4';
/// Types of Socket.IO packets that have attachments.
const BINARY_EVENT: char = '5';
const BINARY_ACK: char = '6';

/// How long an agent waits for a ping beyond the interval before it gives up, ms.
const PING_TIMEOUT_MS: u64 = 20_000;
/// Longest namespace that is refused by name, bytes.
const LONGEST_NAMESPACE: usize = 100;
/// Longest identifier that is given back in an acknowledgement, bytes.
const LONGEST_OPERATION: usize = 100;
/// Attachments of an event: a result has one.
const MOST_ATTACHMENTS: usize = 1;

/// What an agent said.
#[derive(Debug)]
pub(super) enum Packet {
    /// Something happened.
    Event(Event),
    /// It has dealt with the event of this number.
    Ack(i64),
    /// It wants to talk about something that there is not.
    OtherNamespace(String),
    /// It leaves.
    Leave,
    /// Nothing that matters.
    Nothing,
}

/// An event of an agent.
#[derive(Debug)]
pub(super) struct Event {
    /// Its name.
    pub(super) name: String,
    /// The number to acknowledge it with, if it asks for that.
    pub(super) ack: Option<i64>,
    data: Value,
}

/// `new_operation` and `finish_operation`.
#[derive(Debug, Deserialize)]
struct Credits {
    credits: i64,
}

/// `results`.
#[derive(Debug, Deserialize)]
struct Results {
    operation_id: String,
    content: Bytes,
    unique_code: String,
    format: ContentFormat,
}

/// As much of `results` as is needed to acknowledge it.
#[derive(Debug, Deserialize)]
struct OperationNamed {
    operation_id: String,
}

impl Event {
    /// The credits it speaks of; none where it does not.
    pub(super) fn credits(&mut self) -> u32 {
        let read = CommonParser.decode_value::<Credits>(&mut self.data, true);
        let credits = read.map_or(0, |read| read.credits.max(0));
        u32::try_from(credits).unwrap_or(u32::MAX)
    }

    /// The result it brings, measured just now for lack of a better time; `None` where it can never be used.
    pub(super) fn result(&mut self) -> Option<RunResult> {
        let read: Results = CommonParser.decode_value(&mut self.data, true).ok()?;
        let now = Utc::now();
        // An agent's own formats are these two.
        if read.format == ContentFormat::Json {
            return None;
        }
        Some(RunResult {
            operation: read
                .operation_id
                .parse()
                .ok()
                .filter(|operation: &OperationId| operation.to_string() == read.operation_id)?,
            code: ResultCode::try_from(read.unique_code).ok()?,
            format: read.format,
            content: Vec::from(read.content).into(),
            started_at: now,
            finished_at: now,
        })
    }

    /// The operation it names, in the words of the agent.
    pub(super) fn operation_named(&mut self) -> Option<String> {
        let read: OperationNamed = CommonParser.decode_value(&mut self.data, true).ok()?;
        Some(read.operation_id).filter(|name| name.len() <= LONGEST_OPERATION)
    }
}

/// Reads what an agent sends; keeps an event that waits for its attachment. The agents' library sends from many threads,
/// so packets of one message may come in between.
#[derive(Debug)]
pub(super) struct Parser {
    config: ParseConfig,
    state: ParserState,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            config: ParseConfig {
                max_incoming_binary_buf_size: LONGEST_FRAME,
                max_incoming_binaries: MOST_ATTACHMENTS,
                ..ParseConfig::default()
            },
            state: ParserState::default(),
        }
    }
}

impl Parser {
    /// Reads a text message.
    pub(super) fn text(&mut self, text: Utf8Bytes) -> Result<Packet, ParseError> {
        let Some(packet) = text.strip_prefix(MESSAGE) else {
            let leaves = text.starts_with(CLOSE);
            return Ok(if leaves {
                Packet::Leave
            } else {
                Packet::Nothing
            });
        };
        let packet: Str = packet.to_owned().into();
        if packet.starts_with([BINARY_EVENT, BINARY_ACK]) {
            let read = CommonParser.decode_str(&self.config, &self.state, packet);
            return self.read_torn(read);
        }
        Self::read(CommonParser.decode_str(&self.config, &ParserState::default(), packet)?)
    }

    /// Reads a binary message: the attachment of the event before.
    pub(super) fn binary(&mut self, bytes: Bytes) -> Result<Packet, ParseError> {
        let read = CommonParser.decode_bin(&self.config, &self.state, bytes);
        self.read_torn(read)
    }

    /// Takes a packet that has attachments, as soon as it is whole.
    fn read_torn(&mut self, read: Result<Parsed, ParseError>) -> Result<Packet, ParseError> {
        match read {
            Ok(parsed) => Self::read(parsed),
            Err(ParseError::NeedsMoreBinaryData) => Ok(Packet::Nothing),
            Err(error) => {
                // What waited for an attachment will not get it any more: with two that wait, nobody could tell whose
                // the next one is.
                self.state = ParserState::default();
                Err(error)
            }
        }
    }

    fn read(parsed: Parsed) -> Result<Packet, ParseError> {
        let is_ours = parsed.ns.as_str() == "/";
        Ok(match parsed.inner {
            PacketData::Connect(_) if !is_ours && parsed.ns.len() <= LONGEST_NAMESPACE => {
                Packet::OtherNamespace(parsed.ns.to_string())
            }
            _ if !is_ours => Packet::Nothing,
            PacketData::Disconnect => Packet::Leave,
            PacketData::Event(data, ack) | PacketData::BinaryEvent(data, ack) => {
                let name = CommonParser.read_event(&data)?.to_owned();
                Packet::Event(Event { name, ack, data })
            }
            PacketData::EventAck(_, ack) | PacketData::BinaryAck(_, ack) => Packet::Ack(ack),
            PacketData::Connect(_) | PacketData::ConnectError(_) => Packet::Nothing,
        })
    }
}

/// First message of a session: what the agent must know of it.
pub(crate) fn open() -> Message {
    let interval = u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX);
    let open = json!({
        "sid": Sid::new(),
        "upgrades": [],
        "pingTimeout": PING_TIMEOUT_MS,
        "pingInterval": interval,
        "maxPayload": LONGEST_FRAME,
    });
    Message::Text(format!("{OPEN}{open}").into())
}

/// Whether this is the request for the only namespace there is.
pub(crate) fn is_connect(text: &Utf8Bytes) -> bool {
    let rest = text.strip_prefix("40");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
}

/// The answer to it.
pub(super) fn connected() -> Message {
    let sid = json!({ "sid": Sid::new() });
    Message::Text(format!("{MESSAGE}0{sid}").into())
}

/// The answer to a request for another namespace.
pub(super) fn refusal(namespace: &str) -> Message {
    Message::Text(format!("{MESSAGE}4{namespace},\"Unable to connect\"").into())
}

/// A sign of life, which the agent answers.
pub(super) fn ping() -> Message {
    Message::Text(PING.to_string().into())
}

/// The acknowledgement of an event, with one argument or none.
pub(super) fn ack(ack: i64, operation: Option<&str>) -> Message {
    let arguments: Vec<&str> = operation.into_iter().collect();
    let arguments = json!(arguments);
    Message::Text(format!("{MESSAGE}3{ack}{arguments}").into())
}

/// An event that asks to be acknowledged with this number.
pub(super) fn event(name: &str, argument: &impl Serialize, ack: i64) -> Message {
    let event = json!([name, argument]);
    Message::Text(format!("{MESSAGE}2{ack}{event}").into())
}

#[cfg(test)]
mod tests;

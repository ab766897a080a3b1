//! Frames of protocol version 1: one enum per direction, as JSON text or BSON bytes.
//!
//! Unknown fields are ignored; an unknown `type` reads as `Unknown`, is answered and not fatal. Frames that hold
//! bytes (results) travel as BSON, all others as JSON text; either end takes both at any time.

use bson::raw::{RawBsonRef, RawDocument};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use crate::{
    ContentFormat, Hello, Kind, MAX_FRAME, OperationId, ResultCode, ResultFormat, Schedule, Target,
    Welcome,
};

/// Probe → hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProbeFrame {
    /// First frame of a session.
    Hello(Hello),
    /// The assignment is kept on the probe's disk and will run.
    Accepted {
        /// The operation.
        operation: OperationId,
    },
    /// The assignment will not run here.
    Refused {
        /// The operation.
        operation: OperationId,
        /// Why, for people.
        reason: String,
    },
    /// One run's result; sent again until it is answered with `stored` or `rejected`.
    Result(RunResult),
    /// No more results of this assignment will come; sent again in each session until answered with `closed`.
    Finished {
        /// The operation.
        operation: OperationId,
    },
    /// How busy the probe is; sent on change.
    Status {
        /// Credits in use.
        in_use_credits: u32,
        /// Measurements running now.
        running: u32,
        /// Results waiting to be stored by the hub.
        spooled: u32,
        /// Results the probe dropped because its spool was full, since it was installed.
        dropped: u64,
    },
    /// Answer to the hub's `time`.
    Time {
        /// The hub's `sent`, unchanged, µs since 1970-01-01 UTC by the hub's clock.
        hub_sent: i64,
        /// When the probe read the frame, µs by the probe's clock.
        received: i64,
        /// When the probe sent this answer, µs by the probe's clock.
        sent: i64,
    },
    /// A type this end does not know. Never sent.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// Hub → probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HubFrame {
    /// Answer to `hello`.
    Welcome(Welcome),
    /// Work to do; may arrive more than once, the operation's id tells.
    Assign(Assign),
    /// Stop this assignment; results measured so far may still be sent. Answered with `finished`.
    Cancel {
        /// The operation.
        operation: OperationId,
    },
    /// The hub knows that this assignment ended; the probe may forget it.
    Closed {
        /// The operation.
        operation: OperationId,
    },
    /// These results are durable (now or since before); the probe may delete them.
    Stored {
        /// The operation.
        operation: OperationId,
        /// Codes of the results.
        codes: Vec<ResultCode>,
    },
    /// This result will never be taken; the probe deletes it.
    Rejected {
        /// The operation.
        operation: OperationId,
        /// Code of the result.
        code: ResultCode,
        /// Why.
        reason: Rejection,
    },
    /// Asks for the probe's clock (as NTP does, RFC 5905 section 8).
    Time {
        /// When the hub sent this, µs since 1970-01-01 UTC by the hub's clock.
        sent: i64,
    },
    /// The hub could not use a frame; the session goes on.
    Error {
        /// What was wrong, for people.
        message: String,
    },
    /// A type this end does not know. Never sent.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// One operation as a probe gets it. The same bytes go to all probes of the operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assign {
    /// The operation.
    pub operation: OperationId,
    /// What to measure with.
    pub kind: Kind,
    /// The kind's parameters; see [`crate::Measurement::parse`]. A probe refuses what it cannot parse.
    pub params: serde_json::Value,
    /// What to measure, at least one.
    pub targets: Vec<Target>,
    /// When to run; none means once, now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// How the user wants the documents.
    pub result_format: ResultFormat,
    /// Price of one run, credits; counts against the probe's `total_credits` while the assignment lasts.
    pub credits: u32,
}

/// What one run of an assignment produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The operation.
    pub operation: OperationId,
    /// The run's own name.
    pub code: ResultCode,
    /// What `content` holds.
    pub format: ContentFormat,
    /// The tool's output.
    pub content: ByteBuf,
    /// When the run began, by the probe's clock.
    pub started_at: DateTime<Utc>,
    /// When the run ended, by the probe's clock.
    pub finished_at: DateTime<Utc>,
}

/// Why a result is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// There is no such operation.
    UnknownOperation,
    /// The operation was not assigned to this probe, or the probe refused it.
    NotAssigned,
    /// The assignment was cancelled or had expired before the run began.
    Cancelled,
    /// As many results as planned were stored already.
    OverPlan,
    /// The run began after the operation's stop time plus the grace.
    AfterStop,
    /// A reason this end does not know. Never sent.
    #[serde(other, skip_serializing)]
    Other,
}

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    /// Documents within documents, deeper than any frame needs.
    #[error("a frame must not nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Not JSON of a known shape.
    #[error("cannot read or write the text frame: {}", brief(.0))]
    Json(#[from] serde_json::Error),
    /// Not BSON of a known shape.
    #[error("cannot read or write the binary frame: {}", brief(.0))]
    Bson(#[from] bson::error::Error),
}

/// A frame as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON.
    Text(String),
    /// BSON.
    Binary(Vec<u8>),
}

fn text<T: DeserializeOwned>(json: &str) -> Result<T, FrameError> {
    within(json.len())?;
    Ok(serde_json::from_str(json)?)
}

fn binary<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    within(bytes.len())?;
    not_deeper(bytes, MAX_DEPTH)?;
    Ok(bson::deserialize_from_slice(bytes)?)
}

/// Most levels of documents in a binary frame. JSON has a limit in its parser; BSON's reader recurses without one, so
/// a small frame of brackets would overflow the stack and end the process.
const MAX_DEPTH: usize = 32;

fn not_deeper(document: &[u8], levels: usize) -> Result<(), FrameError> {
    let below = levels.checked_sub(1).ok_or(FrameError::TooDeep)?;
    for element in RawDocument::from_bytes(document)? {
        match element?.1 {
            RawBsonRef::Document(inner) => not_deeper(inner.as_bytes(), below)?,
            RawBsonRef::Array(inner) => not_deeper(inner.as_bytes(), below)?,
            RawBsonRef::JavaScriptCodeWithScope(code) => {
                not_deeper(code.scope.as_bytes(), below)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The message's beginning: it may quote what was sent, which may be megabytes.
fn brief(error: &impl ToString) -> String {
    error.to_string().chars().take(LONGEST_MESSAGE).collect()
}

/// Most characters of an error's message.
const LONGEST_MESSAGE: usize = 300;

fn within(length: usize) -> Result<(), FrameError> {
    if length > MAX_FRAME {
        Err(FrameError::TooLong(length))
    } else {
        Ok(())
    }
}

impl ProbeFrame {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`FrameError`] when it is too long or no frame of this direction.
    pub fn from_text(json: &str) -> Result<Self, FrameError> {
        text(json)
    }

    /// Reads a binary frame.
    ///
    /// # Errors
    /// [`FrameError`] when it is too long or no frame of this direction.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, FrameError> {
        binary(bytes)
    }

    /// The frame as it travels: BSON for results, JSON text for all else.
    ///
    /// # Errors
    /// [`FrameError`] when it would be longer than [`MAX_FRAME`], or holds what is never sent.
    pub fn encode(&self) -> Result<Payload, FrameError> {
        if let Self::Result(_) = self {
            let bytes = bson::serialize_to_vec(self)?;
            within(bytes.len())?;
            return Ok(Payload::Binary(bytes));
        }
        let json = serde_json::to_string(self)?;
        within(json.len())?;
        Ok(Payload::Text(json))
    }
}

impl HubFrame {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`FrameError`] when it is too long or no frame of this direction.
    pub fn from_text(json: &str) -> Result<Self, FrameError> {
        text(json)
    }

    /// Reads a binary frame.
    ///
    /// # Errors
    /// [`FrameError`] when it is too long or no frame of this direction.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, FrameError> {
        binary(bytes)
    }

    /// The frame as JSON text.
    ///
    /// # Errors
    /// [`FrameError`] when it would be longer than [`MAX_FRAME`], or holds what is never sent.
    pub fn to_text(&self) -> Result<String, FrameError> {
        let json = serde_json::to_string(self)?;
        within(json.len())?;
        Ok(json)
    }
}

#[cfg(test)]
mod tests;

//! Results.

use bson::{
    Binary, Bson, DateTime as Date, RawBinaryRef, RawBson, RawBsonRef, RawDocumentBuf, doc,
    oid::ObjectId, raw::cstr, spec::BinarySubtype,
};
use bytes::Bytes;
use probe_protocol::{ContentFormat, OperationId, ProbeId, ResultCode};
use serde::{Deserialize, Serialize};

use super::{date, time};
use crate::store::{
    Clock, NewResult, ResultRow,
    mongo::{error::Failure, unstructured},
};

/// Names a result. Members stand in this order: MongoDB compares documents as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::store::mongo) struct ResultId {
    pub(in crate::store::mongo) operation: ObjectId,
    pub(in crate::store::mongo) probe: ObjectId,
    pub(in crate::store::mongo) code: ResultCode,
}

/// How far the probe's clock was from the hub's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::store::mongo) struct ClockDoc {
    offset_us: i64,
    error_us: i64,
}

/// A result as it is written, but for its number ([`ResultDoc::numbered`]): it is known last.
#[derive(Debug, Clone, Serialize)]
pub(in crate::store::mongo) struct ResultDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ResultId,
    format: ContentFormat,
    undecoded: u32,
    measured: bool,
    rewarded: bool,
    received_at: Date,
    started_at: Date,
    finished_at: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<RawBson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<RawBson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_json: Option<String>,
    /// As it came; left out where it was not asked for, or stands in a document of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Binary>,
}

/// A result as it is read: what it says goes from BSON to JSON without a tree in between.
#[derive(Debug, Deserialize)]
pub(in crate::store::mongo) struct ReadDoc<'a> {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ResultId,
    seq: i64,
    format: ContentFormat,
    undecoded: u32,
    measured: bool,
    rewarded: bool,
    #[serde(deserialize_with = "super::read_date")]
    received_at: Date,
    #[serde(deserialize_with = "super::read_date")]
    started_at: Date,
    #[serde(deserialize_with = "super::read_date")]
    finished_at: Date,
    clock: Option<ClockDoc>,
    #[serde(borrow, default)]
    summary: Option<RawBsonRef<'a>>,
    summary_json: Option<String>,
    #[serde(borrow, default)]
    document: Option<RawBsonRef<'a>>,
    document_json: Option<String>,
    #[serde(borrow, default)]
    raw: Option<RawBinaryRef<'a>>,
}

impl ReadDoc<'_> {
    /// The result, with the raw bytes where they stand in it and were read.
    pub(in crate::store::mongo) fn row(self) -> Result<ResultRow, Failure> {
        let clock = self.clock.map(|clock| Clock {
            offset_us: clock.offset_us,
            error_us: clock.error_us,
        });
        Ok(ResultRow {
            seq: u64::try_from(self.seq)?,
            probe: self.id.probe.into(),
            received_at: time(self.received_at),
            rewarded: self.rewarded,
            result: NewResult {
                code: self.id.code,
                format: self.format,
                raw: Bytes::copy_from_slice(self.raw.map_or(&[], |raw| raw.bytes)),
                document: unstructured::text(self.document, self.document_json)?,
                summary: unstructured::text(self.summary, self.summary_json)?,
                undecoded: self.undecoded,
                measured: self.measured,
                started_at: time(self.started_at),
                finished_at: time(self.finished_at),
                clock,
            },
        })
    }
}

/// What the raw bytes of a result are, and they where they stand in it.
#[derive(Debug, Deserialize)]
pub(in crate::store::mongo) struct RawOfDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ResultId,
    pub(in crate::store::mongo) format: ContentFormat,
    pub(in crate::store::mongo) raw: Option<Binary>,
}

/// Raw bytes that do not fit beside the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct RawDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ResultId,
    #[serde(deserialize_with = "super::read_date")]
    received_at: Date,
    raw: Binary,
}

impl RawDoc {
    /// The raw bytes of a result, where they have to stand apart.
    pub(in crate::store::mongo) fn of(operation: OperationId, row: &ResultRow) -> Option<Self> {
        (row.result.raw.len() > MOST_RAW).then(|| Self {
            id: ResultId::of(operation, row.probe, &row.result.code),
            received_at: date(row.received_at),
            raw: binary(&row.result.raw),
        })
    }

    /// They.
    pub(in crate::store::mongo) fn bytes(self) -> Bytes {
        self.raw.bytes.into()
    }
}

/// Longest raw bytes that stand beside their document, bytes: one frame of our protocol, for which documents leave room
/// (`decode::MAX_DOCUMENT`) below MongoDB's 16 MiB. Agents of the replaced system send longer ones.
const MOST_RAW: usize = probe_protocol::MAX_FRAME;

fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

impl ResultId {
    /// The name of that run's result.
    pub(in crate::store::mongo) fn of(
        operation: OperationId,
        probe: ProbeId,
        code: &ResultCode,
    ) -> Self {
        Self {
            operation: operation.object_id(),
            probe: probe.object_id(),
            code: code.clone(),
        }
    }
}

impl From<ResultId> for Bson {
    fn from(id: ResultId) -> Self {
        doc! { "operation": id.operation, "probe": id.probe, "code": String::from(id.code) }.into()
    }
}

impl ResultDoc {
    /// A result of that operation.
    pub(in crate::store::mongo) fn of(
        operation: OperationId,
        row: &ResultRow,
    ) -> Result<Self, Failure> {
        let result = &row.result;
        let summary = unstructured::keep(&result.summary);
        let document = unstructured::keep(&result.document);
        Ok(Self {
            id: ResultId::of(operation, row.probe, &row.result.code),
            format: result.format,
            undecoded: result.undecoded,
            measured: result.measured,
            rewarded: row.rewarded,
            received_at: date(row.received_at),
            started_at: date(result.started_at),
            finished_at: date(result.finished_at),
            clock: result.clock.map(|clock| ClockDoc {
                offset_us: clock.offset_us,
                error_us: clock.error_us,
            }),
            summary: summary.value,
            summary_json: summary.text,
            document: document.value,
            document_json: document.text,
            raw: (result.raw.len() <= MOST_RAW).then(|| binary(&result.raw)),
        })
    }

    /// The document in bytes: what takes time is done before its number is known.
    pub(in crate::store::mongo) fn unnumbered(&self) -> Result<RawDocumentBuf, Failure> {
        Ok(bson::serialize_to_raw_document_buf(self)?)
    }

    /// The document with its number.
    pub(in crate::store::mongo) fn numbered(
        mut unnumbered: RawDocumentBuf,
        seq: u64,
    ) -> Result<RawDocumentBuf, Failure> {
        unnumbered.append(cstr!("seq"), i64::try_from(seq)?);
        Ok(unnumbered)
    }
}

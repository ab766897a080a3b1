//! What results look like outside, in answers and in streams.

use chrono::{DateTime, Utc};
use probe_protocol::{ContentFormat, OperationId, ProbeId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::store::{Clock, ResultRow};

pub(crate) mod time;

/// A result.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ResultView<'a> {
    /// Its number in its operation: 1, 2, 3 … without a hole.
    pub(crate) seq: u64,
    /// The operation.
    pub(crate) operation: OperationId,
    /// The probe that measured.
    pub(crate) probe: ProbeId,
    /// What the probe calls it.
    pub(crate) code: &'a str,
    /// What the raw content is.
    pub(crate) format: ContentFormat,
    /// When the run began, by the hub's clock as far as the probe's offset is known.
    #[serde(serialize_with = "time::write")]
    pub(crate) started_at: DateTime<Utc>,
    /// When the run ended.
    #[serde(serialize_with = "time::write")]
    pub(crate) finished_at: DateTime<Utc>,
    /// When the hub stored it.
    #[serde(serialize_with = "time::write")]
    pub(crate) received_at: DateTime<Utc>,
    /// The probe's clock, where known.
    pub(crate) clock: Option<ClockView>,
    /// Whether the probe's owner was rewarded.
    pub(crate) rewarded: bool,
    /// Records that could not be decoded; they stand raw in the document.
    pub(crate) undecoded: u32,
    /// The same few figures for every tool.
    #[schema(value_type = Object)]
    pub(crate) summary: &'a RawValue,
    /// Everything the tool said: for ping and traceroute what `sc_warts2json` prints, for dns the text of dig.
    #[schema(value_type = Value)]
    pub(crate) document: &'a RawValue,
}

/// How far a probe's clock was from the hub's.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct ClockView {
    /// Probe minus hub, ms.
    pub(crate) offset_ms: f64,
    /// The true offset differs by at most this, ms.
    pub(crate) error_ms: f64,
}

impl From<Clock> for ClockView {
    fn from(clock: Clock) -> Self {
        let ms = |us: i64| us as f64 / 1000.0;
        Self {
            offset_ms: ms(clock.offset_us),
            error_ms: ms(clock.error_us),
        }
    }
}

impl<'a> ResultView<'a> {
    /// A stored result as it looks outside.
    ///
    /// # Errors
    /// When the store's document or summary is not JSON.
    pub(crate) fn of(
        operation: OperationId,
        row: &'a ResultRow,
    ) -> Result<Self, serde_json::Error> {
        let result = &row.result;
        Ok(Self {
            seq: row.seq,
            operation,
            probe: row.probe,
            code: result.code.as_str(),
            format: result.format,
            started_at: result.started_at,
            finished_at: result.finished_at,
            received_at: row.received_at,
            clock: result.clock.map(ClockView::from),
            rewarded: row.rewarded,
            undecoded: result.undecoded,
            summary: serde_json::from_str(&result.summary)?,
            document: serde_json::from_str(&result.document)?,
        })
    }
}

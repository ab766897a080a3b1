//! What probes report, as the store takes it, and what becomes of it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{
    ContentFormat, Kind, OperationId, ProbeId, Rejection, ResultCode, ResultFormat,
};

use super::Change;
use crate::domain::{Assignment, AssignmentState, lifecycle};

/// What is needed to read a result's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brief {
    /// The operation.
    pub(crate) operation: OperationId,
    /// What it measures with.
    pub(crate) kind: Kind,
    /// How the user wants the documents.
    pub(crate) result_format: ResultFormat,
}

/// A result, read and ready to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewResult {
    /// The run's name.
    pub(crate) code: ResultCode,
    /// What `raw` holds.
    pub(crate) format: ContentFormat,
    /// As it came.
    pub(crate) raw: Bytes,
    /// The document made of it: JSON text.
    pub(crate) document: String,
    /// The uniform summary: JSON text.
    pub(crate) summary: String,
    /// Records that could not be decoded; they stand raw in the document.
    pub(crate) undecoded: u32,
    /// Whether something was measured; only then it is rewarded.
    pub(crate) measured: bool,
    /// When the run began, by the hub's clock as far as the offset is known.
    pub(crate) started_at: DateTime<Utc>,
    /// When the run ended, likewise.
    pub(crate) finished_at: DateTime<Utc>,
    /// The probe's clock at that time.
    pub(crate) clock: Option<Clock>,
}

/// How far a probe's clock is from the hub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Probe minus hub, µs.
    pub(crate) offset_us: i64,
    /// The true offset differs by at most this, µs.
    pub(crate) error_us: i64,
}

/// What a probe reports of one assignment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// The operation.
    pub(crate) operation: OperationId,
    /// The number of the session that reported ([`super::Settled::session`]); 0 where it has none.
    pub(crate) session: u64,
    /// When it arrived.
    pub(crate) at: DateTime<Utc>,
    /// What.
    pub(crate) what: What,
}

/// Kinds of report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The assignment left for the probe.
    Delivered,
    /// The assignment is about to leave for a probe that must never get it twice: only if it is still pending, and
    /// the session that claims is the newest of the probe, it becomes delivered, and only then the outcome has a change.
    Claimed,
    /// The probe will run it.
    Accepted,
    /// The probe will not run it, and why.
    Refused(String),
    /// No more results will come.
    Finished,
    /// A result.
    Result(Box<NewResult>),
    /// Something that was meant to be a result and can never be one. Only counted.
    Unusable,
}

/// How a report of a state moves its assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// To that state, with so many of its planned runs still paid for.
    Step(AssignmentState, u32),
    /// The probe has taken it on, by its own word or by acting as if; then to that state, which may be that.
    Accept(AssignmentState),
}

impl What {
    /// How it moves an assignment; `None` where it does not. Whether a claim comes in time, and from the newest
    /// session, is for the store to see.
    pub(crate) fn moves(&self, assignment: &Assignment) -> Option<Move> {
        use AssignmentState::{Accepted, Delivered, Finished, Pending, Refused};
        let planned = assignment.planned_runs;
        match (self, assignment.state) {
            (Self::Delivered, _) | (Self::Claimed, Pending) => Some(Move::Step(Delivered, planned)),
            (Self::Claimed, _) | (Self::Accepted, Accepted) => None,
            (Self::Accepted, _) => Some(Move::Accept(Accepted)),
            (Self::Refused(_), _) => Some(Move::Step(
                Refused,
                lifecycle::paid_when_not_run(assignment),
            )),
            (Self::Finished, Accepted) => Some(Move::Step(Finished, planned)),
            // It ran without the hub hearing that it would.
            (Self::Finished, _) => Some(Move::Accept(Finished)),
            (Self::Result(_) | Self::Unusable, _) => None,
        }
    }
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// The assignment's state, where it changed.
    pub(crate) changed: Option<Change>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A state report was taken, or changed nothing.
    Noted,
    /// The result is stored now, with this number in its operation.
    New {
        /// 1, 2, 3 …
        seq: u64,
    },
    /// The result was stored before.
    Duplicate,
    /// The result will never be stored.
    Rejected(Rejection),
}

/// A result as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResultRow {
    /// Its number in its operation.
    pub(crate) seq: u64,
    /// Who measured.
    pub(crate) probe: ProbeId,
    /// When it was stored.
    pub(crate) received_at: DateTime<Utc>,
    /// Whether its probe's owner was rewarded.
    pub(crate) rewarded: bool,
    /// What was measured, without the raw bytes.
    pub(crate) result: NewResult,
}

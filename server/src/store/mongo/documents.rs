//! The documents as they stand in MongoDB, and what they are to the domain.
//!
//! Names and shapes are for people too: `docs/data-model.md` tells them. Identifiers are ObjectIds, times are dates (whole
//! milliseconds), credits are 64-bit numbers; what is not known is left out.

use bson::{DateTime as Date, RawBsonRef, oid::ObjectId};
use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

mod operations;
mod probes;
mod results;
mod users;

pub(super) use operations::{AssignmentDoc, AssignmentId, OperationDoc, ScheduleDoc};
pub(super) use probes::{AgentDoc, CapacityDoc, Point, ProbeDoc, StandingDoc};
pub(super) use results::{RawDoc, RawOfDoc, ReadDoc, ResultDoc, ResultId};
pub(super) use users::{KeyDoc, KeyId, LedgerDoc, LedgerId, UserDoc};

/// Reads a date. By its own way it becomes a document with the number as text in it, and is read from there: on a list of
/// probes or assignments that took longer than all the rest.
fn read_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    match RawBsonRef::deserialize(deserializer)? {
        RawBsonRef::DateTime(date) => Ok(date),
        _ => Err(D::Error::custom("expecting DateTime")),
    }
}

/// The same where it may be missing.
fn read_some_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    match RawBsonRef::deserialize(deserializer)? {
        RawBsonRef::DateTime(date) => Ok(Some(date)),
        RawBsonRef::Null => Ok(None),
        _ => Err(D::Error::custom("expecting DateTime")),
    }
}

/// What is said of the database itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MetaDoc {
    /// What about.
    #[serde(rename = "_id")]
    pub(super) id: String,
    /// `schema`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<i32>,
    /// `schema`: the environment that the database belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    /// `move`: where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// `move`: when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Date>,
    /// `move`: when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finished_at: Option<Date>,
}

/// Only the identifier of a document.
#[derive(Debug, Deserialize)]
pub(super) struct OnlyId<Id> {
    /// It.
    #[serde(rename = "_id")]
    pub(super) id: Id,
}

/// A time as it is kept.
pub(super) fn date(at: DateTime<Utc>) -> Date {
    Date::from_millis(at.timestamp_millis())
}

/// A time that was kept. What MongoDB holds beyond the calendar of years with six digits is its edge.
pub(super) fn time(at: Date) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The time that will be read where `at` is written.
pub(super) fn as_kept(at: DateTime<Utc>) -> DateTime<Utc> {
    time(date(at))
}

/// ObjectIds of identifiers, for `$in`.
pub(super) fn object_ids<Id: Copy>(ids: &[Id], of: impl Fn(Id) -> ObjectId) -> Vec<ObjectId> {
    ids.iter().map(|&id| of(id)).collect()
}

/// ObjectIds of probes.
pub(super) fn probe_ids(ids: &[ProbeId]) -> Vec<ObjectId> {
    object_ids(ids, ProbeId::object_id)
}

/// ObjectIds of operations.
pub(super) fn operation_ids(ids: &[OperationId]) -> Vec<ObjectId> {
    object_ids(ids, OperationId::object_id)
}

/// ObjectIds of users.
pub(super) fn user_ids(ids: &[UserId]) -> Vec<ObjectId> {
    object_ids(ids, UserId::object_id)
}

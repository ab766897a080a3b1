//! Operations and assignments.

use bson::{Bson, DateTime as Date, Document, RawBson, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use probe_protocol::{Cron, Kind, OperationId, ProbeId, ResultFormat, Schedule, Target, Whole};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{date, time};
use crate::{
    domain::{Assignment, AssignmentState, Offline, Operation, Plan},
    store::mongo::{error::Failure, unstructured},
};

/// When an operation runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct ScheduleDoc {
    cron: Cron,
    times_per_minute: Whole<1, 60>,
    #[serde(deserialize_with = "super::read_date")]
    stop_time: Date,
}

impl From<&Schedule> for ScheduleDoc {
    fn from(schedule: &Schedule) -> Self {
        Self {
            cron: schedule.cron.clone(),
            times_per_minute: schedule.times_per_minute,
            stop_time: date(schedule.stop_time),
        }
    }
}

impl From<ScheduleDoc> for Schedule {
    fn from(document: ScheduleDoc) -> Self {
        Self {
            cron: document.cron,
            times_per_minute: document.times_per_minute,
            stop_time: time(document.stop_time),
        }
    }
}

/// An operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct OperationDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ObjectId,
    pub(in crate::store::mongo) owner: ObjectId,
    pub(in crate::store::mongo) kind: Kind,
    pub(in crate::store::mongo) result_format: ResultFormat,
    pub(in crate::store::mongo) offline: Offline,
    pub(in crate::store::mongo) run_price: u32,
    pub(in crate::store::mongo) planned_runs: u32,
    pub(in crate::store::mongo) charged: i64,
    pub(in crate::store::mongo) refunded: i64,
    pub(in crate::store::mongo) last_seq: i64,
    pub(in crate::store::mongo) open_assignments: i64,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) created_at: Date,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) expires_at: Date,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) closes_at: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) cancelled_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) ended_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) schedule: Option<ScheduleDoc>,
    pub(in crate::store::mongo) targets: Vec<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    params: Option<RawBson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    params_json: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_sent: Option<RawBson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_sent_json: Option<String>,
}

impl OperationDoc {
    /// An operation with so many open assignments.
    pub(in crate::store::mongo) fn of(
        operation: &Operation,
        open_assignments: i64,
    ) -> Result<Self, Failure> {
        let plan = &operation.plan;
        let params = unstructured::keep(&plan.params.to_string());
        let sent = plan
            .as_sent
            .as_ref()
            .map(|sent| unstructured::keep(&sent.to_string()));
        let sent = sent.unwrap_or_default();
        Ok(Self {
            id: plan.id.object_id(),
            owner: plan.owner.object_id(),
            kind: plan.kind,
            result_format: plan.result_format,
            offline: plan.offline,
            run_price: plan.run_price,
            planned_runs: plan.planned_runs,
            charged: operation.charged,
            refunded: operation.refunded,
            last_seq: i64::try_from(operation.last_seq)?,
            open_assignments,
            created_at: date(plan.created_at),
            expires_at: date(plan.expires_at),
            closes_at: date(plan.closes_at),
            cancelled_at: operation.cancelled_at.map(date),
            ended_at: operation.ended_at.map(date),
            schedule: plan.schedule.as_ref().map(Into::into),
            targets: plan.targets.clone(),
            params: params.value,
            params_json: params.text,
            as_sent: sent.value,
            as_sent_json: sent.text,
        })
    }

    /// What it was planned as.
    pub(in crate::store::mongo) fn plan(self) -> Result<Plan, Failure> {
        self.operation().map(|operation| operation.plan)
    }

    /// The operation.
    pub(in crate::store::mongo) fn operation(self) -> Result<Operation, Failure> {
        let as_sent = match (self.as_sent, self.as_sent_json) {
            (None, None) => None,
            (value, text) => Some(json(value.as_ref(), text)?),
        };
        let plan = Plan {
            id: self.id.into(),
            owner: self.owner.into(),
            kind: self.kind,
            params: json(self.params.as_ref(), self.params_json)?,
            targets: self.targets,
            schedule: self.schedule.map(Into::into),
            result_format: self.result_format,
            offline: self.offline,
            run_price: self.run_price,
            planned_runs: self.planned_runs,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
            closes_at: time(self.closes_at),
            as_sent,
        };
        Ok(Operation {
            plan,
            charged: self.charged,
            refunded: self.refunded,
            last_seq: u64::try_from(self.last_seq)?,
            cancelled_at: self.cancelled_at.map(time),
            ended_at: self.ended_at.map(time),
        })
    }
}

/// What is kept as one of the two.
fn json<T: DeserializeOwned>(value: Option<&RawBson>, text: Option<String>) -> Result<T, Failure> {
    let text = unstructured::text(value.map(RawBson::as_raw_bson_ref), text)?;
    Ok(serde_json::from_str(&text)?)
}

/// Names an assignment. Members stand in this order: MongoDB compares documents as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::store::mongo) struct AssignmentId {
    pub(in crate::store::mongo) operation: ObjectId,
    pub(in crate::store::mongo) probe: ObjectId,
}

impl AssignmentId {
    /// The name of what that probe does of it.
    pub(in crate::store::mongo) fn of(operation: OperationId, probe: ProbeId) -> Self {
        Self {
            operation: operation.object_id(),
            probe: probe.object_id(),
        }
    }

    /// All those of an operation, as a condition: they stand together, in the order of their probes.
    pub(in crate::store::mongo) fn of_operation(id: OperationId) -> Document {
        doc! { "$gt": Self::before(id), "$lt": Self::behind(id) }
    }

    /// What stands before all of an operation: a document that ends earlier.
    fn before(id: OperationId) -> Document {
        doc! { "operation": id.object_id() }
    }

    /// What stands behind all of an operation.
    pub(in crate::store::mongo) fn behind(id: OperationId) -> Document {
        doc! { "operation": id.object_id(), "probe": Bson::MaxKey }
    }
}

impl From<AssignmentId> for Bson {
    fn from(id: AssignmentId) -> Self {
        doc! { "operation": id.operation, "probe": id.probe }.into()
    }
}

/// An assignment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct AssignmentDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: AssignmentId,
    pub(in crate::store::mongo) state: AssignmentState,
    pub(in crate::store::mongo) planned_runs: u32,
    pub(in crate::store::mongo) results: u32,
    /// The operation's: the load of a probe is the sum of it.
    pub(in crate::store::mongo) run_price: u32,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) created_at: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) delivered_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) accepted_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) ended_at: Option<Date>,
    /// When time alone ends it; absent once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) ends_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) reason: Option<String>,
}

impl AssignmentDoc {
    /// An assignment of an operation with that price of a run. `ends_at` counts while it is open.
    pub(in crate::store::mongo) fn of(
        assignment: &Assignment,
        run_price: u32,
        created_at: DateTime<Utc>,
        ends_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            id: AssignmentId::of(assignment.operation, assignment.probe),
            state: assignment.state,
            planned_runs: assignment.planned_runs,
            results: assignment.results,
            run_price,
            created_at: date(created_at),
            delivered_at: assignment.delivered_at.map(date),
            accepted_at: assignment.accepted_at.map(date),
            ended_at: assignment.ended_at.map(date),
            ends_at: ends_at.filter(|_| !assignment.state.is_ended()).map(date),
            reason: assignment.reason.clone(),
        }
    }
}

impl From<&AssignmentDoc> for Assignment {
    fn from(document: &AssignmentDoc) -> Self {
        Self {
            operation: document.id.operation.into(),
            probe: document.id.probe.into(),
            state: document.state,
            reason: document.reason.clone(),
            planned_runs: document.planned_runs,
            results: document.results,
            delivered_at: document.delivered_at.map(time),
            accepted_at: document.accepted_at.map(time),
            ended_at: document.ended_at.map(time),
        }
    }
}

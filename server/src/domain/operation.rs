//! Operations: what an order becomes when it is planned.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Assign, Kind, OperationId, ResultFormat, Schedule, Target, UserId};
use serde_json::Value;

use super::{Offline, Order, credits};

/// A request for measurements, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    /// What it was planned as.
    pub(crate) plan: Plan,
    /// Credits charged when it was created.
    pub(crate) charged: i64,
    /// Credits given back since.
    pub(crate) refunded: i64,
    /// Number of its newest result; its results are numbered 1, 2, 3 … without a hole.
    pub(crate) last_seq: u64,
    /// When its owner cancelled it.
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
    /// When its last assignment ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// An operation before it has probes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Identifier.
    pub(crate) id: OperationId,
    /// Who pays.
    pub(crate) owner: UserId,
    /// What to measure with.
    pub(crate) kind: Kind,
    /// Parameters, in the form of the protocol.
    pub(crate) params: Value,
    /// What to measure.
    pub(crate) targets: Vec<Target>,
    /// When; none is once.
    pub(crate) schedule: Option<Schedule>,
    /// How the user wants the documents.
    pub(crate) result_format: ResultFormat,
    /// What happens with probes that are away.
    pub(crate) offline: Offline,
    /// Price of one run on one probe, credits.
    pub(crate) run_price: u32,
    /// Runs planned on each probe, at least 1.
    pub(crate) planned_runs: u32,
    /// When created.
    pub(crate) created_at: DateTime<Utc>,
    /// Assignments that were not delivered by then expire.
    pub(crate) expires_at: DateTime<Utc>,
    /// Accepted assignments are over then; of a schedule no run that begins later counts.
    pub(crate) closes_at: DateTime<Utc>,
    /// The parameters as they were written at the old paths, which show them again.
    pub(crate) as_sent: Option<Value>,
}

/// How long a one-off operation waits for a probe that is away.
pub(crate) const ONCE_WAITS: TimeDelta = TimeDelta::hours(24);

/// How many runs a schedule has after `now`, at least 1; once is 1.
pub(crate) fn planned_runs(schedule: Option<&Schedule>, now: DateTime<Utc>) -> u32 {
    remaining_runs(schedule, now).max(1)
}

/// How many runs a schedule still has after `now`; once has none left.
pub(crate) fn remaining_runs(schedule: Option<&Schedule>, now: DateTime<Utc>) -> u32 {
    let Some(schedule) = schedule else { return 0 };
    let instants = schedule.cron.count_between(now, schedule.stop_time);
    let runs = instants.saturating_mul(u64::from(schedule.times_per_minute.get()));
    u32::try_from(runs).unwrap_or(u32::MAX)
}

impl Plan {
    /// Plans an order. Of a schedule, runs that begin up to `grace` after its stop time still count: runs of the last
    /// minute are spread over it, and clocks differ.
    ///
    /// # Errors
    /// None in practice: parameters that were parsed have a JSON form.
    pub(crate) fn of(
        order: Order,
        id: OperationId,
        owner: UserId,
        grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let kind = order.measurement.kind();
        let expires_at = order
            .schedule
            .as_ref()
            .map_or(now + ONCE_WAITS, |schedule| schedule.stop_time);
        Ok(Self {
            id,
            owner,
            kind,
            params: order.measurement.params()?,
            run_price: credits::run_price(kind, order.targets.len()),
            planned_runs: planned_runs(order.schedule.as_ref(), now),
            expires_at,
            closes_at: expires_at
                .checked_add_signed(grace)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
            as_sent: order.as_sent,
            targets: order.targets,
            schedule: order.schedule,
            result_format: order.result_format,
            offline: order.offline,
            created_at: now,
        })
    }

    /// Price for one probe, credits.
    pub(crate) fn price_per_probe(&self) -> i64 {
        i64::from(self.run_price).saturating_mul(i64::from(self.planned_runs))
    }

    /// What a probe is told.
    pub(crate) fn assign(&self) -> Assign {
        Assign {
            operation: self.id,
            kind: self.kind,
            params: self.params.clone(),
            targets: self.targets.clone(),
            schedule: self.schedule.clone(),
            result_format: self.result_format,
            credits: self.run_price,
        }
    }
}

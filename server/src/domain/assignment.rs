//! Assignments: one operation on one probe, and the ways its state may go.

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId};
use serde::{Deserialize, Serialize};

/// One operation on one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The operation.
    pub(crate) operation: OperationId,
    /// The probe.
    pub(crate) probe: ProbeId,
    /// Where it stands.
    pub(crate) state: AssignmentState,
    /// Why the probe refused it, for people.
    pub(crate) reason: Option<String>,
    /// Runs that are paid for: what was planned less what was given back.
    pub(crate) planned_runs: u32,
    /// Results stored.
    pub(crate) results: u32,
    /// When it left for the probe.
    pub(crate) delivered_at: Option<DateTime<Utc>>,
    /// When the probe said that it will run it.
    pub(crate) accepted_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// Where an assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssignmentState {
    /// Not sent yet.
    Pending,
    /// Sent; the probe has not answered.
    Delivered,
    /// The probe has it on disk and runs it.
    Accepted,
    /// Done, or its stop time has passed.
    Finished,
    /// The probe would not run it; given back.
    Refused,
    /// Its owner cancelled the operation, or the probe was deleted; the rest was given back.
    Cancelled,
    /// It could not be delivered in time; given back.
    Expired,
}

impl AssignmentState {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Finished => "finished",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Those of which more is expected.
    pub(crate) const OPEN: [Self; 3] = [Self::Pending, Self::Delivered, Self::Accepted];

    /// Whether nothing more is expected.
    pub(crate) fn is_ended(self) -> bool {
        !Self::OPEN.contains(&self)
    }

    /// Whether `next` may follow. An open assignment only moves forward, an ended one stays, but a probe that lost
    /// what it had is offered it anew.
    pub(crate) const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending),
            Self::Delivered => !matches!(next, Self::Delivered),
            Self::Accepted => matches!(
                next,
                Self::Pending | Self::Finished | Self::Refused | Self::Cancelled
            ),
            Self::Finished | Self::Refused | Self::Cancelled | Self::Expired => false,
        }
    }
}

//! Which results count.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::Rejection;

use super::{Assignment, AssignmentState};

/// A result is taken when its run began at most this long after the stop time: runs of the last minute are spread
/// over it and clocks differ.
pub(crate) const STOP_GRACE: TimeDelta = TimeDelta::minutes(5);

/// Whether a result of a run that began at `started_at` (by the hub's clock) counts.
///
/// # Errors
/// Why it does not, and never will.
pub(crate) fn admit(
    assignment: &Assignment,
    stop_time: Option<DateTime<Utc>>,
    started_at: DateTime<Utc>,
) -> Result<(), Rejection> {
    match assignment.state {
        AssignmentState::Pending
        | AssignmentState::Delivered
        | AssignmentState::Accepted
        | AssignmentState::Finished => {}
        AssignmentState::Refused => return Err(Rejection::NotAssigned),
        AssignmentState::Expired => return Err(Rejection::Cancelled),
        AssignmentState::Cancelled => {
            if assignment
                .ended_at
                .is_none_or(|ended_at| started_at > ended_at)
            {
                return Err(Rejection::Cancelled);
            }
        }
    }
    if assignment.results >= assignment.planned_runs {
        return Err(Rejection::OverPlan);
    }
    if stop_time.is_some_and(|stop_time| started_at > stop_time + STOP_GRACE) {
        return Err(Rejection::AfterStop);
    }
    Ok(())
}

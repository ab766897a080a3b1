//! Which results count.

use chrono::{DateTime, Utc};
use probe_protocol::Rejection;

use super::{Assignment, AssignmentState};

/// Whether a result of a run that began at `started_at` (by the hub's clock) counts. `closes_at` is the plan's, where it
/// has a schedule.
///
/// # Errors
/// Why it does not, and never will.
pub(crate) fn admit(
    assignment: &Assignment,
    closes_at: Option<DateTime<Utc>>,
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
    if closes_at.is_some_and(|closes_at| started_at > closes_at) {
        return Err(Rejection::AfterStop);
    }
    Ok(())
}

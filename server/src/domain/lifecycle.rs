//! An assignment's way: until when it may stay open, what a probe's hello makes of it, and how many of its runs stay
//! paid when it moves on. What is not paid any more is given back to the operation's owner by the store.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{OperationId, Schedule};

use super::{Assignment, AssignmentState, operation::remaining_runs};

/// How long a delivered assignment stays open after its operation expired: the probe may hold it and be cut off, and
/// settles it at its next hello.
const UNANSWERED_WAITS: TimeDelta = TimeDelta::days(7);

/// Longest reason for a refusal, bytes: it is shown to people, and a few sentences do. The one limit for all ways in.
const LONGEST_REASON: usize = 500;

/// Until when an assignment may stay in an open state; then it is [`overdue`].
pub(crate) fn open_until(
    state: AssignmentState,
    expires_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
) -> DateTime<Utc> {
    match state {
        AssignmentState::Delivered => expires_at
            .checked_add_signed(UNANSWERED_WAITS)
            .unwrap_or(DateTime::<Utc>::MAX_UTC),
        AssignmentState::Accepted => closes_at,
        _ => expires_at,
    }
}

/// What becomes of an open assignment whose time is over.
pub(crate) const fn overdue(state: AssignmentState) -> AssignmentState {
    match state {
        AssignmentState::Accepted => AssignmentState::Finished,
        _ => AssignmentState::Expired,
    }
}

/// What a probe that connects says it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holdings {
    /// These operations and no others.
    Exactly(Vec<OperationId>),
    /// Operations whose runs cost so much together. Agents of the old protocol say no more; they may count operations
    /// that ended here long ago.
    Worth {
        /// Credits.
        credits: u32,
        /// When the agent said so.
        said_at: DateTime<Utc>,
    },
}

/// An open assignment as [`holds`] looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// The operation.
    pub(crate) operation: OperationId,
    /// Where it stands.
    pub(crate) state: AssignmentState,
    /// When it left for the probe or the probe took it, whichever came last.
    pub(crate) moved_at: Option<DateTime<Utc>>,
    /// Its stop time; none where it runs once.
    pub(crate) runs_until: Option<DateTime<Utc>>,
    /// Price of one run, credits.
    pub(crate) run_price: u32,
}

/// Whether a probe holds each of its open assignments, by what it says; `None` where that cannot be told.
pub(crate) fn holds(holdings: &Holdings, open: &[Share]) -> Vec<Option<bool>> {
    match holdings {
        Holdings::Exactly(operations) => {
            let operations: HashSet<&OperationId> = operations.iter().collect();
            let known = |share: &Share| Some(operations.contains(&share.operation));
            open.iter().map(known).collect()
        }
        Holdings::Worth { credits, said_at } => hold_by_worth(*credits, open, *said_at),
    }
}

/// An agent of the old protocol runs twice what it gets twice, and what it does not hold is offered to it again. So
/// it counts as not holding an assignment only where that is certain: where the assignment is dearer than all that
/// the agent counts, or than what is left of it beyond the operations that it accepted and whose stop time lies ahead,
/// for these it keeps through a lost connection. Other sums do not tell. Where it counts less, the one that is missing
/// may be one that it had accepted and is done with before the hub is, while one that was on its way did arrive; where
/// it counts more, the rest may be what ended here long ago. These stay as they are: at worst one that was lost on its
/// way waits until its time is over and is given back.
///
/// The exact sum is taken as all of them. Where that is chance, one that was lost is paid for: the lesser evil.
///
/// An agent counts whatever reached it before it connected. Of what left for it, or was taken by it, after it spoke,
/// its words say nothing: they may have waited longer than its next session took to begin.
fn hold_by_worth(credits: u32, open: &[Share], said_at: DateTime<Utc>) -> Vec<Option<bool>> {
    let credits = u64::from(credits);
    let is_told_of = |share: &Share| share.moved_at.is_none_or(|moved_at| moved_at < said_at);
    let worth = |fits: &dyn Fn(&Share) -> bool| -> u64 {
        let told_of = open.iter().filter(|share| is_told_of(share) && fits(share));
        told_of.map(|share| u64::from(share.run_price)).sum()
    };
    let all = worth(&|share| share.state != AssignmentState::Pending);
    let running = worth(&|share| {
        let until = share.runs_until;
        share.state == AssignmentState::Accepted
            && until.is_some_and(|until| until > said_at + CLOCKS_DIFFER)
    });
    // Less than what is running: then it lost something, and nobody knows what.
    let beyond = credits.checked_sub(running).unwrap_or(credits);
    let holds = |share: &Share| {
        let left_for_it = match share.state {
            AssignmentState::Pending => return Some(false),
            AssignmentState::Delivered => beyond,
            _ => credits,
        };
        if !is_told_of(share) {
            None
        } else if u64::from(share.run_price) > left_for_it {
            Some(false)
        } else {
            (credits == all).then_some(true)
        }
    };
    open.iter().map(holds).collect()
}

/// An agent may stop an operation so much earlier than the hub thinks, for its clock differs.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(2);

/// What an open assignment becomes when its probe says whether it holds it; `None` where it stays as it is.
pub(crate) fn settled(
    assignment: &Assignment,
    holds: bool,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<AssignmentState> {
    match (assignment.state, holds) {
        (AssignmentState::Pending | AssignmentState::Delivered, true) => {
            Some(AssignmentState::Accepted)
        }
        (AssignmentState::Delivered | AssignmentState::Accepted, false) => {
            if assignment.results >= assignment.planned_runs {
                Some(AssignmentState::Finished)
            } else if now < expires_at {
                Some(AssignmentState::Pending)
            } else {
                Some(overdue(assignment.state))
            }
        }
        _ => None,
    }
}

/// Moves an assignment on, keeping `paid` of its planned runs; how many are given back, `None` where its state does not
/// allow the move.
pub(crate) fn advance(
    assignment: &mut Assignment,
    next: AssignmentState,
    paid: u32,
    at: DateTime<Utc>,
) -> Option<u32> {
    if !assignment.state.may_become(next) {
        return None;
    }
    let given_back = assignment.planned_runs.saturating_sub(paid);
    assignment.planned_runs -= given_back;
    assignment.state = next;
    match next {
        AssignmentState::Pending => {
            (assignment.delivered_at, assignment.accepted_at) = (None, None);
        }
        AssignmentState::Delivered => assignment.delivered_at = Some(at),
        AssignmentState::Accepted => assignment.accepted_at = Some(at),
        _ => assignment.ended_at = Some(at),
    }
    Some(given_back)
}

/// Runs that stay paid when an assignment ends because its time is over.
pub(crate) fn paid_when_ended(assignment: &Assignment, next: AssignmentState) -> u32 {
    match next {
        AssignmentState::Expired => paid_when_not_run(assignment),
        _ => assignment.planned_runs,
    }
}

/// Runs that stay paid when the probe takes the assignment on: those before it was delivered cannot happen any more.
pub(crate) fn paid_when_accepted(assignment: &Assignment, schedule: Option<&Schedule>) -> u32 {
    let (Some(schedule), Some(delivered_at)) = (schedule, assignment.delivered_at) else {
        return assignment.planned_runs;
    };
    let ahead = remaining_runs(Some(schedule), delivered_at);
    assignment
        .results
        .saturating_add(ahead)
        .max(1)
        .min(assignment.planned_runs)
}

/// Runs that stay paid when the assignment is cancelled. `ahead` are the runs its schedule still has; none for once.
///
/// Who accepted may have run whatever lies behind and its results may be on their way; who did not ran nothing.
pub(crate) fn paid_when_cancelled(assignment: &Assignment, ahead: Option<u32>) -> u32 {
    match (assignment.state, ahead) {
        (AssignmentState::Accepted, None) => assignment.planned_runs,
        (AssignmentState::Accepted, Some(ahead)) => assignment
            .planned_runs
            .saturating_sub(ahead)
            .max(assignment.results)
            .min(assignment.planned_runs),
        _ => paid_when_not_run(assignment),
    }
}

/// Runs that stay paid when the assignment is refused or expires: those that have a result.
pub(crate) fn paid_when_not_run(assignment: &Assignment) -> u32 {
    assignment.results.min(assignment.planned_runs)
}

/// A reason for a refusal, as much of it as is kept. Sessions apply it to what probes say before it waits in a queue,
/// stores to whatever they are given.
pub(crate) fn short_reason(reason: &str) -> &str {
    let end = reason.floor_char_boundary(LONGEST_REASON);
    reason.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;

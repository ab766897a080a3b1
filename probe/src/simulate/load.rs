//! What one simulated probe has to do: operations it holds, runs that are due, results that wait for the hub's answer.
//! All of it in memory, bounded, without a clock of its own.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Assign, Kind, OperationId, ResultCode};
use tokio::time::Instant;

use super::{
    contents::Contents,
    options::{Lie, Pace},
};
use crate::{plan::Plan, runner::Job, scheduler::START_WINDOW};

/// Results that a probe keeps while its hub does not take them; beyond that, runs are skipped.
const MOST_KEPT: usize = 1024;
/// The runs of one instant are spread over so much.
const SPREAD: TimeDelta = TimeDelta::minutes(1);

/// A result on its way.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// The operation.
    pub(super) operation: OperationId,
    /// The run's name.
    pub(super) code: ResultCode,
    /// What it holds.
    pub(super) contents: Contents,
    /// When the run began.
    pub(super) started_at: DateTime<Utc>,
    /// When it ended.
    pub(super) finished_at: DateTime<Utc>,
    /// Whether it is a lie.
    pub(super) lie: Option<Lie>,
    /// When it left in this session.
    pub(super) sent: Option<Instant>,
    /// Its number in this session, on the wire that has numbers.
    pub(super) number: u64,
    /// Whether chance has decided if it gets lost: it does so once.
    pub(super) was_tried: bool,
    /// Whether it has left before.
    pub(super) was_sent: bool,
}

/// An operation that the probe holds.
#[derive(Debug)]
pub(super) struct Held {
    /// The operation.
    pub(super) operation: OperationId,
    /// What it measures.
    pub(super) kind: Kind,
    /// Its price.
    pub(super) credits: u32,
    /// What is measured, where that is done.
    pub(super) job: Option<Arc<Job>>,
    /// When it ends, where it is on a schedule.
    pub(super) stop: Option<DateTime<Utc>>,
    plan: Option<Plan>,
    next: Option<DateTime<Utc>>,
    planned: u64,
    made: u64,
    /// Runs and results that are not through.
    open: u32,
    cancelled: bool,
    /// Whether the hub was told in this session that it is over.
    told: bool,
}

/// What a probe has to do.
#[derive(Debug, Default)]
pub(super) struct Load {
    held: Vec<Held>,
    waiting: VecDeque<Parcel>,
    under_way: VecDeque<Parcel>,
    runs: u64,
}

/// A run that is to begin now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Of this operation.
    pub(super) operation: OperationId,
    /// Whether it is too late for it.
    pub(super) skipped: bool,
}

impl Held {
    fn new(assign: &Assign, job: Option<Arc<Job>>, now: DateTime<Utc>) -> Self {
        let plan = assign
            .schedule
            .clone()
            .map(|schedule| Plan::new(schedule, now));
        let stop = assign.schedule.as_ref().map(|schedule| schedule.stop_time);
        let (next, planned) = match (&plan, stop) {
            (Some(plan), Some(stop)) => (plan.next_after(now), plan.count(now, stop + SPREAD)),
            _ => (Some(now), 1),
        };
        Self {
            operation: assign.operation,
            kind: assign.kind,
            credits: assign.credits,
            job,
            stop,
            plan,
            next,
            planned,
            made: 0,
            open: 0,
            cancelled: false,
            told: false,
        }
    }

    /// Whether all runs that were planned have been made.
    pub(super) fn is_exhausted(&self) -> bool {
        self.made >= self.planned
    }

    fn is_over(&self, pace: Pace, now: DateTime<Utc>) -> bool {
        self.cancelled
            || match pace {
                Pace::Schedule => self.next.is_none(),
                Pace::FlatOut => self.is_exhausted() || self.stop.is_some_and(|stop| now >= stop),
            }
    }
}

impl Load {
    /// Takes an operation on; false where it is held already.
    pub(super) fn take(
        &mut self,
        assign: &Assign,
        job: Option<Arc<Job>>,
        now: DateTime<Utc>,
    ) -> bool {
        if self.held(assign.operation).is_some() {
            return false;
        }
        self.held.push(Held::new(assign, job, now));
        true
    }

    /// An operation that is held.
    pub(super) fn held(&mut self, operation: OperationId) -> Option<&mut Held> {
        self.held
            .iter_mut()
            .find(|held| held.operation == operation)
    }

    /// Starts no more runs of an operation; false where it is not held.
    pub(super) fn cancel(&mut self, operation: OperationId) -> bool {
        let held = self.held(operation);
        let is_held = held.is_some();
        if let Some(held) = held {
            (held.cancelled, held.told) = (true, false);
        }
        is_held
    }

    /// Forgets an operation.
    pub(super) fn forget(&mut self, operation: OperationId) {
        self.held.retain(|held| held.operation != operation);
    }

    /// Forgets all about an ended session: what was under way waits again, in its order.
    pub(super) fn session_ended(&mut self) {
        for held in &mut self.held {
            held.told = false;
        }
        while let Some(mut parcel) = self.under_way.pop_back() {
            parcel.sent = None;
            self.waiting.push_front(parcel);
        }
    }

    /// The operations it holds.
    pub(super) fn operations(&self) -> Vec<OperationId> {
        self.held.iter().map(|held| held.operation).collect()
    }

    /// Credits in use.
    pub(super) fn in_use(&self) -> u32 {
        let credits = self.held.iter().map(|held| held.credits);
        credits.fold(0, u32::saturating_add)
    }

    /// Whether no result is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Results under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// When the next run of a schedule is due.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        let live = self.held.iter().filter(|held| !held.cancelled);
        live.filter_map(|held| held.next).min()
    }

    /// Runs that are due. Those of schedules that have no room or come too late are skipped.
    pub(super) fn due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        let mut due = Vec::new();
        let full = self.waiting.len() + self.under_way.len() >= MOST_KEPT;
        for held in self.held.iter_mut().filter(|held| !held.cancelled) {
            while let Some(next) = held.next.filter(|&next| next <= now) {
                let late = (now - next).to_std().is_ok_and(|late| late > START_WINDOW);
                due.push(Due {
                    operation: held.operation,
                    skipped: (full || late) && held.plan.is_some(),
                });
                held.next = held.plan.as_ref().and_then(|plan| plan.next_after(next));
            }
        }
        for run in due.iter().filter(|run| !run.skipped) {
            self.begin(run.operation);
        }
        due
    }

    /// A run beyond the schedule, of an operation that has some left.
    pub(super) fn flat_out(&mut self, now: DateTime<Utc>) -> Option<OperationId> {
        let held = &mut self.held;
        let ready = held
            .iter_mut()
            .find(|held| !held.is_over(Pace::FlatOut, now))?;
        let operation = ready.operation;
        self.begin(operation);
        Some(operation)
    }

    fn begin(&mut self, operation: OperationId) {
        if let Some(held) = self.held(operation) {
            held.made += 1;
            held.open += 1;
        }
    }

    /// A name for the next run: unlike those of other simulations, whenever they were.
    pub(super) fn code(&mut self, now: DateTime<Utc>) -> ResultCode {
        self.runs += 1;
        let text = format!("{}-{}", now.timestamp_micros(), self.runs);
        ResultCode::try_from(text).unwrap_or_else(|_| unreachable!("digits and '-' make a code"))
    }

    /// Lines a result up. One more of an operation than runs were begun is counted as `extra`.
    pub(super) fn push(&mut self, parcel: Parcel, extra: bool) {
        if extra && let Some(held) = self.held(parcel.operation) {
            held.open += 1;
        }
        self.waiting.push_back(parcel);
    }

    /// The next result to send.
    pub(super) fn next_parcel(&mut self) -> Option<Parcel> {
        self.waiting.pop_front()
    }

    /// A result could not leave; it is the next again.
    pub(super) fn put_back(&mut self, parcel: Parcel) {
        self.waiting.push_front(parcel);
    }

    /// A result left.
    pub(super) fn sent(&mut self, parcel: Parcel) {
        self.under_way.push_back(parcel);
    }

    /// The result under way that was answered; the older one where there are two of a name.
    pub(super) fn answered(&mut self, is_it: impl Fn(&Parcel) -> bool) -> Option<Parcel> {
        let at = self.under_way.iter().position(is_it)?;
        let parcel = self.under_way.remove(at)?;
        if let Some(held) = self.held(parcel.operation) {
            held.open = held.open.saturating_sub(1);
        }
        Some(parcel)
    }

    /// Operations that are over with all their results answered, and of which the hub was not told in this session.
    pub(super) fn settled(&mut self, pace: Pace, now: DateTime<Utc>) -> Vec<(OperationId, u32)> {
        let settled = self
            .held
            .iter_mut()
            .filter(|held| !held.told && held.open == 0 && held.is_over(pace, now));
        let told = settled.map(|held| {
            held.told = true;
            (held.operation, held.credits)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn parcel(load: &mut Load, operation: OperationId) -> Parcel {
        let now = at("10:00:00");
        Parcel {
            operation,
            code: load.code(now),
            contents: Contents::Sample(Kind::Ping),
            started_at: now,
            finished_at: now,
            lie: None,
            sent: None,
            number: 0,
            was_tried: false,
            was_sent: false,
        }
    }

    #[test]
    fn what_runs_once_is_due_at_once_and_settles_with_its_answer() {
        let mut load = Load::default();
        let (now, assign) = (at("10:00:30"), fixture::once(1));
        assert!(load.take(&assign, None, now));
        assert!(!load.take(&assign, None, now));
        assert_eq!(load.due(now).len(), 1);
        assert_eq!((load.due(now), load.next_due()), (vec![], None));
        assert!(load.settled(Pace::Schedule, now).is_empty());
        let parcel = parcel(&mut load, assign.operation);
        let code = parcel.code.clone();
        load.push(parcel, false);
        let next = load.next_parcel().unwrap();
        load.sent(next);
        // Its connection breaks: it waits again.
        load.session_ended();
        assert!(!load.is_idle() && load.under_way() == 0);
        let next = load.next_parcel().unwrap();
        load.sent(next);
        assert!(load.answered(|parcel| parcel.code == code).is_some());
        assert!(load.answered(|parcel| parcel.code == code).is_none());
        assert!(load.is_idle());
        let settled = [(assign.operation, 1)];
        assert_eq!(load.settled(Pace::Schedule, now), settled);
        assert!(load.settled(Pace::Schedule, now).is_empty());
        load.session_ended();
        assert_eq!(load.settled(Pace::Schedule, now), settled);
    }

    #[test]
    fn a_schedule_is_kept_or_emptied() {
        let mut assign = fixture::scheduled(1, "* * * * *", 2);
        assign.schedule.as_mut().unwrap().stop_time = at("10:03:00");
        let mut load = Load::default();
        load.take(&assign, None, at("10:00:30"));
        assert_eq!(load.next_due(), Some(at("10:01:00")));
        // 10:01:00 and :30 are over a minute ago at 10:02:31.
        let due = load.due(at("10:02:31"));
        let skipped: Vec<bool> = due.iter().map(|run| run.skipped).collect();
        assert_eq!(skipped, [true, true, false, false]);
        assert_eq!(load.next_due(), None);

        let mut load = Load::default();
        load.take(&assign, None, at("10:00:30"));
        let now = at("10:00:31");
        let made = std::iter::from_fn(|| load.flat_out(now)).take(100).count();
        assert_eq!(made, 4);
        assert!(load.held(assign.operation).unwrap().is_exhausted());
    }

    #[test]
    fn what_was_cancelled_starts_no_more() {
        let mut load = Load::default();
        let assign = fixture::scheduled(1, "* * * * *", 1);
        assert!(!load.cancel(assign.operation));
        load.take(&assign, None, at("10:00:30"));
        assert_eq!(load.in_use(), 1);
        assert!(load.cancel(assign.operation));
        assert_eq!(load.next_due(), None);
        assert!(load.due(at("10:10:00")).is_empty());
        assert_eq!(load.flat_out(at("10:00:31")), None);
        assert_eq!(load.settled(Pace::Schedule, at("10:00:31")).len(), 1);
        load.forget(assign.operation);
        assert_eq!((load.in_use(), load.operations()), (0, vec![]));
    }
}

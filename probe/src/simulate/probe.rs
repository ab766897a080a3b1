//! The life of one simulated probe: comes, holds sessions, goes, comes again. One task, no folder.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Assign, Measurement, OperationId, TargetPolicy, close::return_after};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Fleet, Phase, Stage,
    contents::Contents,
    dial::dial,
    load::{Load, Parcel},
    options::{Lie, Pace},
    session::{self, End},
    tally::Trouble,
    wire::Wire,
};
use crate::{
    backoff::Backoff,
    config::Token,
    link::{DialError, UNAUTHORIZED_PAUSE},
    runner::{Job, MAX_TARGETS, Output},
};

/// Credits of a simulated probe: so many that it is never full.
pub(super) const TOTAL_CREDITS: u32 = 1_000_000_000;
/// How long a probe that left is away at most.
const AWAY: Duration = Duration::from_secs(5);
/// How long a probe that lost its connection takes to notice at most.
const NOTICED_WITHIN: Duration = Duration::from_millis(500);
/// Longest pause while the simulation ends: what is unanswered has to be answered soon.
const PAUSE_AT_THE_END: Duration = Duration::from_secs(1);
/// How much too late a late result says that it was measured.
const TOO_LATE: TimeDelta = TimeDelta::days(1);

/// What a probe is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// Which wire it speaks.
    pub(super) wire: Wire,
    /// Whether it reads slowly.
    pub(super) is_slow: bool,
    /// How it lies, if it does.
    pub(super) lie: Option<Lie>,
}

/// A run that was measured.
#[derive(Debug)]
pub(super) struct Measured {
    operation: OperationId,
    output: Output,
    started_at: DateTime<Utc>,
}

/// A simulated probe.
pub(super) struct Probe {
    pub(super) fleet: Arc<Fleet>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) role: Role,
    /// Decides by the seed and the probe's number.
    pub(super) dice: SmallRng,
    pub(super) load: Load,
    /// Measurements that run.
    pub(super) running: JoinSet<Measured>,
    /// Frames too long that are to be sent.
    pub(super) oversized: u32,
    /// Whether it had a session ever, and this time.
    pub(super) was_ready: bool,
    pub(super) got_in: bool,
    pub(super) policy: TargetPolicy,
    /// Which hub.
    place: usize,
    source: Option<IpAddr>,
    token: Token,
}

impl Probe {
    /// The probe with that number.
    pub(super) fn new(
        fleet: Arc<Fleet>,
        phase: watch::Receiver<Phase>,
        number: usize,
        token: Token,
        role: Role,
        seed: u64,
    ) -> Self {
        let place = number % fleet.places.len().max(1);
        // Hubs in turn, and for each of them addresses in turn.
        let source = fleet.sources.get(place).and_then(|sources| {
            let turn = number / fleet.places.len().max(1);
            sources.get(turn % sources.len().max(1)).copied()
        });
        Self {
            fleet,
            phase,
            role,
            dice: SmallRng::seed_from_u64(seed ^ (number as u64).rotate_left(32)),
            load: Load::default(),
            running: JoinSet::new(),
            oversized: 0,
            was_ready: false,
            got_in: false,
            policy: TargetPolicy::Public,
            place,
            source,
            token,
        }
    }

    /// Lives from then on until the simulation is over, or the hub says never to come back.
    pub(super) async fn live(mut self, starts: Instant) {
        let mut backoff = Backoff::default();
        let mut pause_ends = starts;
        while self.rest_until(pause_ends).await {
            let ended = self.attempt(&mut backoff).await;
            if self.is_done() {
                return;
            }
            let Some(pause) = self.pause_after(ended, &mut backoff) else {
                return;
            };
            pause_ends = Instant::now() + pause;
        }
    }

    fn is_done(&self) -> bool {
        match self.phase.borrow().stage {
            Stage::Running => false,
            Stage::Draining => self.load.is_idle(),
            Stage::Ended => true,
        }
    }

    /// Waits; false when the simulation is over for this probe.
    async fn rest_until(&mut self, mut until: Instant) -> bool {
        loop {
            self.phase.borrow_and_update();
            if self.is_done() {
                return false;
            }
            if self.phase.borrow().stage == Stage::Draining {
                until = until.min(Instant::now() + PAUSE_AT_THE_END);
            }
            tokio::select! {
                () = sleep_until(until) => return true,
                changed = self.phase.changed() => if changed.is_err() {
                    return false;
                }
            }
        }
    }

    async fn attempt(&mut self, backoff: &mut Backoff) -> Result<End, DialError> {
        let fleet = self.fleet.clone();
        let Some(place) = fleet.places.get(self.place) else {
            return Ok(End::Over);
        };
        let request = match self.role.wire {
            Wire::V1 => place.request(&self.token),
            Wire::Old => place.old_request(&self.token, TOTAL_CREDITS, self.load.in_use()),
        };
        let dialled = Instant::now();
        // In a box: its state is large, and needed for a moment only.
        let dialling = Box::pin(dial(place, self.source, request?, self.role.is_slow));
        let mut phase = self.phase.clone();
        let socket = tokio::select! {
            socket = dialling => socket?,
            _ = phase.wait_for(|phase| phase.stage == Stage::Ended) => return Ok(End::Over),
        };
        self.got_in = false;
        let end = session::run(self, socket, dialled).await;
        if self.got_in {
            backoff.reset();
        }
        Ok(end)
    }

    /// How long to stay away; `None` is for ever.
    fn pause_after(
        &mut self,
        ended: Result<End, DialError>,
        backoff: &mut Backoff,
    ) -> Option<Duration> {
        let (trouble, text) = match ended {
            Ok(End::Over) => return None,
            Ok(End::Left { .. }) => return Some(self.dice.random_range(Duration::ZERO..AWAY)),
            Ok(End::Storm) => return Some(Duration::ZERO),
            Ok(End::Lost) => {
                return Some(self.dice.random_range(Duration::ZERO..NOTICED_WITHIN));
            }
            Ok(End::Closed { code }) => {
                let least = return_after(code).pause()?;
                return Some(backoff.pause_of_at_least(least));
            }
            Ok(End::NoPlace) => return Some(backoff.pause()),
            Ok(End::Broken(why)) => (Trouble::Broken, why),
            Ok(End::Silent) => (Trouble::Silent, String::new()),
            Ok(End::NotReady) => (Trouble::NotReady, String::new()),
            Ok(End::NotWritten) => (Trouble::NotWritten, String::new()),
            Err(error @ DialError::Unauthorized(_)) => (Trouble::Unauthorized, error.to_string()),
            Err(error @ DialError::Refused(_)) => (Trouble::NotUpgraded, error.to_string()),
            Err(error) => (Trouble::NoConnection, error.to_string()),
        };
        self.fleet.tally.trouble(trouble, &text);
        Some(if trouble == Trouble::Unauthorized {
            backoff.pause_of_at_least(UNAUTHORIZED_PAUSE)
        } else {
            backoff.pause()
        })
    }

    /// After how long it leaves a session by itself, if it does: at random, so often a minute in the mean.
    pub(super) fn leaves_in(&mut self) -> Option<Duration> {
        let churn = self.fleet.weather.churn;
        if churn <= 0.0 {
            return None;
        }
        let chance: f64 = self.dice.random_range(f64::MIN_POSITIVE..1.0);
        Duration::try_from_secs_f64(-chance.ln() * 60.0 / churn).ok()
    }

    /// Takes an operation on.
    ///
    /// # Errors
    /// Why it does not run here, for people.
    pub(super) fn take(&mut self, assign: &Assign) -> Result<(), String> {
        let job = match &self.fleet.runner {
            None => None,
            Some(runner) => {
                let targets = assign.targets.len();
                if targets == 0 || targets > MAX_TARGETS {
                    return Err(format!("targets: must be 1 to {MAX_TARGETS}"));
                }
                let measurement = Measurement::parse(assign.kind, &assign.params);
                let measurement = measurement.map_err(|error| format!("params: {error}"))?;
                let suits = runner.suits(&measurement, targets);
                suits.map_err(|failure| failure.to_string())?;
                Some(Arc::new(Job {
                    measurement,
                    targets: assign.targets.clone(),
                    policy: self.policy,
                }))
            }
        };
        self.load.take(assign, job, Utc::now());
        Ok(())
    }

    /// Starts the runs that are due.
    pub(super) fn start_runs(&mut self) {
        let now = Utc::now();
        for due in self.load.due(now) {
            if due.skipped {
                self.fleet.tally.counters.skipped.fetch_add(1, Relaxed);
            } else {
                self.start(due.operation, now);
            }
        }
    }

    /// Makes a result of whatever operation has some left, where that is wanted.
    pub(super) fn run_flat_out(&mut self) {
        let now = Utc::now();
        if self.fleet.pace == Pace::FlatOut
            && let Some(operation) = self.load.flat_out(now)
        {
            self.start(operation, now);
        }
    }

    fn start(&mut self, operation: OperationId, started_at: DateTime<Utc>) {
        let Some(held) = self.load.held(operation) else {
            return;
        };
        let (kind, job) = (held.kind, held.job.clone());
        let (Some(job), Some(runner)) = (job, self.fleet.runner.clone()) else {
            return self.deliver(operation, Contents::Sample(kind), started_at);
        };
        let slots = self.fleet.slots.clone();
        self.running.spawn(async move {
            // Never closed.
            let _slot = slots.acquire_owned().await;
            let started_at = Utc::now();
            let output = runner.run(&job).await;
            Measured {
                operation,
                output,
                started_at,
            }
        });
    }

    /// A run has ended.
    pub(super) fn measured(&mut self, measured: Measured) {
        if self.load.held(measured.operation).is_none() {
            // It was over before.
            return;
        }
        let Output { format, content } = measured.output;
        let contents = Contents::Measured(format, content);
        self.deliver(measured.operation, contents, measured.started_at);
    }

    /// Lines a result up, and the lie that goes with it.
    fn deliver(&mut self, operation: OperationId, contents: Contents, started_at: DateTime<Utc>) {
        let lie = self.role.lie;
        let made = &self.fleet.tally.counters.made;
        made.fetch_add(1, Relaxed);
        let now = Utc::now();
        let garbled = lie == Some(Lie::Garbled);
        let parcel = Parcel {
            operation,
            code: self.load.code(now),
            contents: if garbled { Contents::Garbled } else { contents },
            started_at,
            finished_at: now,
            lie: lie.filter(|_| garbled),
            sent: None,
            number: 0,
            was_tried: false,
            was_sent: false,
        };
        let beside = match lie {
            Some(Lie::Forged) => Some(Parcel {
                operation: OperationId::new(),
                lie,
                ..parcel.clone()
            }),
            Some(Lie::Duplicate) => {
                made.fetch_add(1, Relaxed);
                Some(Parcel {
                    lie,
                    ..parcel.clone()
                })
            }
            Some(Lie::Oversized) => {
                self.oversized = self.oversized.saturating_add(1);
                None
            }
            Some(Lie::Garbled | Lie::Late) | None => None,
        };
        self.load.push(parcel, false);
        if let Some(beside) = beside {
            self.load.push(beside, true);
        }
    }

    /// A late liar goes on after an honest result was stored.
    pub(super) fn lie_late(&mut self, stored: &Parcel) {
        if self.role.lie != Some(Lie::Late) {
            return;
        }
        let Some(held) = self.load.held(stored.operation) else {
            return;
        };
        // On the old wire a result counts by when it arrives: before all are made, it would be in time.
        if self.role.wire == Wire::Old && !held.is_exhausted() {
            return;
        }
        let now = Utc::now();
        // What runs once is over the plan already.
        let started_at = held.stop.map_or(now, |stop| stop + TOO_LATE);
        let late = Parcel {
            code: self.load.code(now),
            started_at,
            finished_at: started_at,
            lie: self.role.lie,
            sent: None,
            was_tried: false,
            was_sent: false,
            ..stored.clone()
        };
        self.load.push(late, true);
    }
}

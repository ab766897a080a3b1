//! When runs happen. One task per live assignment waits for its next run, takes one of the few slots for measurements,
//! writes down that the run starts, and starts it. Results go to the shelf, nowhere else; no hub is needed.
//!
//! A run that gets no slot within [`START_WINDOW`] of its time is skipped and counted, so what waits is at most one run
//! per assignment. The only run of a `once` assignment waits for as long as it takes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Measurement, OperationId, ResultCode, TargetPolicy};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    assignments::{Ended, Progress, Record, new_code},
    clock::Clock,
    packing::{Run, pack},
    plan::Plan,
    runner::{Job, Runner},
    shelf::{ShelfGone, ShelfHandle},
    spool::ResultKey,
};

/// How late a run may start: a minute is the unit of schedules.
pub const START_WINDOW: Duration = Duration::from_secs(60);

/// Runs the assignments of this probe.
#[derive(Clone)]
pub struct Scheduler(Arc<Inner>);

struct Inner {
    shelf: ShelfHandle,
    runner: Arc<dyn Runner>,
    clock: Arc<dyn Clock>,
    slots: Arc<Semaphore>,
    max_concurrent: usize,
    stopping: CancellationToken,
    followed: Mutex<HashMap<OperationId, Followed>>,
}

/// The task of one assignment.
struct Followed {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

impl Scheduler {
    /// A scheduler without assignments.
    #[must_use]
    pub fn new(
        shelf: ShelfHandle,
        runner: Arc<dyn Runner>,
        clock: Arc<dyn Clock>,
        max_concurrent: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            shelf,
            runner,
            clock,
            slots: Arc::new(Semaphore::new(max_concurrent)),
            max_concurrent,
            stopping: CancellationToken::new(),
            followed: Mutex::default(),
        }))
    }

    /// What makes the measurements.
    #[must_use]
    pub fn runner(&self) -> &dyn Runner {
        &*self.0.runner
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Measurements running now.
    #[must_use]
    pub fn running(&self) -> u32 {
        let running = self.0.max_concurrent - self.0.slots.available_permits();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    /// Starts to follow a live assignment; one that ended or is followed already is left alone.
    pub fn follow(&self, record: Record) {
        let operation = record.operation();
        let mut followed = self.0.lock();
        followed.retain(|_, one| !one.task.is_finished());
        if record.ended.is_some() || followed.contains_key(&operation) {
            return;
        }
        let cancel = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&self.0).follow(record, cancel.clone()));
        followed.insert(operation, Followed { cancel, task });
    }

    /// Stops an assignment and kills its running measurements; nothing of it happens after this returns.
    pub async fn cancel(&self, operation: OperationId) {
        let followed = self.0.lock().remove(&operation);
        if let Some(Followed { cancel, task }) = followed {
            cancel.cancel();
            let _ = task.await; // a task that panicked has ended too
        }
    }

    /// Starts nothing more, gives running measurements `grace` to end, then kills them.
    pub async fn stop(&self, grace: Duration) {
        self.0.stopping.cancel();
        let all: Vec<Followed> = self.0.lock().drain().map(|(_, one)| one).collect();
        let cancels: Vec<_> = all.iter().map(|one| one.cancel.clone()).collect();
        let tasks = futures::future::join_all(all.into_iter().map(|one| one.task));
        tokio::pin!(tasks);
        if timeout(grace, &mut tasks).await.is_err() {
            cancels.iter().for_each(CancellationToken::cancel);
            tasks.await;
        }
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self: Arc<Self>, record: Record, cancel: CancellationToken) {
        let operation = record.operation();
        let mut runs = JoinSet::new();
        let life = Arc::clone(&self).live(record, &mut runs);
        match cancel.run_until_cancelled(life).await {
            None => runs.shutdown().await,
            Some(Ok(())) => {}
            Some(Err(ShelfGone)) => {
                error!(%operation, "cannot go on with {operation}: {ShelfGone}")
            }
        }
    }

    async fn live(
        self: Arc<Self>,
        record: Record,
        runs: &mut JoinSet<()>,
    ) -> Result<(), ShelfGone> {
        let operation = record.operation();
        let kind = record.assign.kind;
        let measurement = match Measurement::parse(kind, &record.assign.params) {
            Ok(measurement) => measurement,
            Err(error) => {
                // It parsed when it was accepted: another version of the agent wrote it.
                warn!(%operation, %error, "cannot read the parameters of {operation} any more");
                return self.end(operation).await;
            }
        };
        let (targets, operation) = (record.assign.targets.clone(), record.operation());
        let job = Job {
            measurement,
            targets,
            policy: TargetPolicy::Public, // the hub's is read when a run starts
        };
        match (&record.progress, record.assign.schedule.clone()) {
            (Progress::Once { code }, _) => self.once(operation, job, code.clone()).await,
            (Progress::Schedule { upto, .. }, Some(schedule)) => {
                let plan = Plan::new(schedule, record.received_at);
                self.scheduled(operation, job, &plan, *upto, runs).await
            }
            (Progress::Schedule { .. }, None) => self.end(operation).await,
        }
    }

    async fn once(
        self: Arc<Self>,
        operation: OperationId,
        job: Job,
        code: ResultCode,
    ) -> Result<(), ShelfGone> {
        let slot = tokio::select! {
            slot = Arc::clone(&self.slots).acquire_owned() => slot,
            () = self.stopping.cancelled() => return Ok(()),
        };
        let Ok(slot) = slot else {
            return Ok(());
        };
        let (key, frame, oversized) = self.measure(operation, job, code).await;
        let kept = self.shelf.call(move |shelf| {
            if oversized {
                shelf.count(|counters| counters.oversized += 1);
            }
            shelf.keep_last(key, &frame);
        });
        kept.await?;
        drop(slot);
        Ok(())
    }

    async fn scheduled(
        self: Arc<Self>,
        operation: OperationId,
        job: Job,
        plan: &Plan,
        mut upto: DateTime<Utc>,
        runs: &mut JoinSet<()>,
    ) -> Result<(), ShelfGone> {
        let window = TimeDelta::from_std(START_WINDOW).unwrap_or_default();
        loop {
            while runs.try_join_next().is_some() {}
            let too_late = self.clock.now() - window;
            let missed = plan.count(upto, too_late);
            if missed > 0 {
                upto = too_late;
                self.skip(operation, upto, missed).await?;
            }
            let Some(next) = plan.next_after(upto) else {
                break;
            };
            let slot = tokio::select! {
                () = self.stopping.cancelled() => return join(runs).await,
                slot = self.slot_for(next) => slot,
            };
            let Some(slot) = slot else {
                upto = next;
                self.skip(operation, upto, 1).await?;
                continue;
            };
            upto = next;
            if self.begin(operation, next).await? {
                let run = Arc::clone(&self).run(operation, job.clone(), slot);
                runs.spawn(run);
            }
        }
        join(runs).await?;
        self.end(operation).await
    }

    /// Waits for a run's time and for a slot to run in; none when there was no slot in time.
    async fn slot_for(&self, time: DateTime<Utc>) -> Option<OwnedSemaphorePermit> {
        self.clock.sleep_until(time).await;
        let window = TimeDelta::from_std(START_WINDOW).unwrap_or_default();
        tokio::select! {
            biased;
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok(),
            () = self.clock.sleep_until(time + window) => None,
        }
    }

    /// Writes down that a run starts, so that no later agent starts it again.
    async fn begin(&self, operation: OperationId, time: DateTime<Utc>) -> Result<bool, ShelfGone> {
        let begun = self.shelf.call(move |shelf| {
            shelf.advance(operation, time, 0).inspect_err(|_| {
                shelf.count(|counters| counters.skipped += 1);
            })
        });
        Ok(begun
            .await?
            .inspect_err(|cause| {
                warn!(%operation, %cause, "cannot write down a run of {operation}: skipped");
            })
            .is_ok())
    }

    async fn skip(
        &self,
        operation: OperationId,
        upto: DateTime<Utc>,
        runs: u64,
    ) -> Result<(), ShelfGone> {
        info!(%operation, runs, "skipped {runs} runs of {operation}: too late to start them");
        let noted = self
            .shelf
            .call(move |shelf| shelf.advance(operation, upto, runs));
        if let Err(cause) = noted.await? {
            warn!(%operation, %cause, "cannot write down the progress of {operation}");
        }
        Ok(())
    }

    async fn end(&self, operation: OperationId) -> Result<(), ShelfGone> {
        self.shelf
            .call(move |shelf| shelf.end(operation, Ended::Completed))
            .await
    }

    async fn run(self: Arc<Self>, operation: OperationId, job: Job, slot: OwnedSemaphorePermit) {
        let (key, frame, oversized) = self.measure(operation, job, new_code()).await;
        let kept = self.shelf.call(move |shelf| {
            if oversized {
                shelf.count(|counters| counters.oversized += 1);
            }
            shelf.keep(key, &frame);
        });
        if let Err(gone) = kept.await {
            error!(%operation, "cannot keep a result of {operation}: {gone}");
        }
        drop(slot);
    }

    /// Measures and packs the result as it travels; says whether it had to be replaced because of its size.
    async fn measure(
        &self,
        operation: OperationId,
        mut job: Job,
        code: ResultCode,
    ) -> (ResultKey, Vec<u8>, bool) {
        let rules = self.shelf.now().rules;
        job.policy = rules.target_policy;
        let started_at = self.clock.now();
        let output = self.runner.run(&job).await;
        let run = Run {
            operation,
            code: code.clone(),
            started_at,
            finished_at: self.clock.now(),
        };
        let (frame, oversized) = pack(run, output, rules.max_frame as usize, &job);
        (ResultKey { operation, code }, frame, oversized)
    }
}

async fn join(runs: &mut JoinSet<()>) -> Result<(), ShelfGone> {
    while runs.join_next().await.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests;

//! A look at everything once a day. Of all hubs that share a store, the one that gets the lease does it; its report says to
//! the others that it is done. Everything is found in the store: a hub that was away at the time makes up for it, and one
//! that dies in the middle is followed by another.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Asking, Company, Diagnosis, Report, counts, diagnose, newest};
use crate::{
    metrics,
    store::{Lease, Store, StoreError, Stored, Work},
};

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the newest report is read: another hub may have made it, and all show it in their metrics.
const READ_EVERY: Duration = Duration::from_secs(60);
/// How long a hub runs before it makes up for what was missed: others, and its probes, come first.
const SETTLES_FOR: TimeDelta = TimeDelta::seconds(60);
/// Pause before another attempt where another hub is at it.
const OTHERS_TAKE: Duration = Duration::from_secs(5);
/// Pause before another attempt where the store failed.
const FAILED_WAITS: Duration = Duration::from_secs(60);
/// How long the lease lasts from its last use: longer than the longest read of a piece.
const LEASE: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Longest pause after a piece. It is as long as the piece took, so that the store has at least half of its time for
/// others.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Looks at everything when its time has come.
pub(crate) struct Schedule {
    store: Arc<dyn Store>,
    holder: Arc<str>,
    /// The time of day, in UTC; none is never.
    at: Option<NaiveTime>,
    asking: Asking,
    started_at: DateTime<Utc>,
    /// When the newest report was begun, as far as is known.
    reported_at: Option<DateTime<Utc>>,
}

impl Schedule {
    /// A schedule of this hub, among those that share the store.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        holder: Arc<str>,
        at: Option<NaiveTime>,
        forgets: bool,
    ) -> Self {
        // Shown before there is anything to show.
        metrics::diagnosed(None, counts(None));
        let asking = Asking {
            by: format!("hub {holder}"),
            forgets,
        };
        Self {
            store,
            holder,
            at,
            asking,
            started_at: Utc::now(),
            reported_at: None,
        }
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_at: Option<Instant> = None;
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if read_at.is_none_or(|at| at.elapsed() > READ_EVERY) {
                read_at = Some(Instant::now());
                if let Err(error) = self.read().await {
                    tracing::debug!(%error, "the report was not read; it is read again");
                    continue;
                }
            }
            if !self.is_due(Utc::now()) || Instant::now() < not_before {
                continue;
            }
            let pause = match self.turn(&stop).await {
                Ok(()) | Err(StoreError::LeaseLost) => OTHERS_TAKE,
                Err(error) => {
                    tracing::warn!(%error, "not everything could be looked at; it is tried again");
                    FAILED_WAITS
                }
            };
            not_before = Instant::now() + pause;
        }
    }

    /// Whether there is no report since the last time that there should have been one.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        let due_at = |at| is_due(at, now, self.started_at, self.reported_at);
        self.at.is_some_and(due_at)
    }

    /// Reads the newest report, and shows it.
    async fn read(&mut self) -> Stored<()> {
        match newest(&*self.store).await {
            Ok(report) => {
                if let Some(report) = report {
                    self.show(&report);
                }
                Ok(())
            }
            // One that nobody can read is replaced by the next one.
            Err(StoreError::Corrupt(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn show(&mut self, report: &Report) {
        self.reported_at = Some(report.started_at);
        metrics::diagnosed(Some(report.finished_at), counts(Some(report)));
    }

    /// Looks at everything, if nobody else does.
    async fn turn(&mut self, stop: &CancellationToken) -> Stored<()> {
        let lease = self.store.lease(Work::Diagnose, &self.holder, LEASE);
        let Some(lease) = lease.await? else {
            return self.read().await;
        };
        let done = tokio::select! {
            () = stop.cancelled() => Ok(()),
            done = self.look(&lease) => done,
        };
        if let Err(error) = self.store.release(&lease).await {
            tracing::debug!(%error, "a lease is left to its time");
        }
        done
    }

    async fn look(&mut self, lease: &Lease) -> Stored<()> {
        // Whoever had the lease before may just have done it.
        self.read().await?;
        if !self.is_due(Utc::now()) {
            return Ok(());
        }
        tracing::info!("everything is looked at");
        let store = Arc::clone(&self.store);
        let mut company = Lessee {
            store: &*store,
            lease,
            renewed_at: Instant::now(),
            begun_at: Instant::now(),
        };
        let Diagnosis { report, .. } = diagnose(&*store, &self.asking, &mut company).await?;
        let text = report.json()?;
        store.keep_report(lease, text).await?;
        self.show(&report);
        if report.is_clean() {
            tracing::info!("everything is as it must be");
        } else {
            let findings = report.total;
            tracing::warn!(
                findings,
                "not everything is as it must be; GET /api/v1/admin/diagnostics tells what"
            );
        }
        Ok(())
    }
}

/// Whether a hub that was started at that time should look at everything, after the newest report that there is.
fn is_due(
    at: NaiveTime,
    now: DateTime<Utc>,
    started_at: DateTime<Utc>,
    reported_at: Option<DateTime<Utc>>,
) -> bool {
    let due = last_due(at, now);
    let is_settled = due > started_at || now >= started_at + SETTLES_FOR;
    is_settled && reported_at.is_none_or(|reported_at| reported_at < due)
}

/// The last time that everything should have been looked at.
fn last_due(at: NaiveTime, now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.date_naive().and_time(at).and_utc();
    if today <= now {
        today
    } else {
        today - TimeDelta::days(1)
    }
}

/// Leaves others their time, and keeps the lease.
struct Lessee<'a> {
    store: &'a dyn Store,
    lease: &'a Lease,
    renewed_at: Instant,
    /// When the piece under way was begun.
    begun_at: Instant,
}

#[async_trait]
impl Company for Lessee<'_> {
    async fn between(&mut self, _what: &'static str, _done: u64) -> Stored<()> {
        sleep(self.begun_at.elapsed().min(LONGEST_PAUSE)).await;
        if self.renewed_at.elapsed() > RENEW_EVERY {
            let holder = &self.lease.holder;
            let renewed = self.store.lease(Work::Diagnose, holder, LEASE).await?;
            if renewed.is_none_or(|renewed| renewed.fence != self.lease.fence) {
                return Err(StoreError::LeaseLost);
            }
            self.renewed_at = Instant::now();
        }
        self.begun_at = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_time_is_today_or_yesterday() {
        let at = NaiveTime::from_hms_opt(6, 30, 0).unwrap();
        for (now, due) in [
            ("2026-03-02T06:29:59Z", "2026-03-01T06:30:00Z"),
            ("2026-03-02T06:30:00Z", "2026-03-02T06:30:00Z"),
            ("2026-03-02T23:59:59Z", "2026-03-02T06:30:00Z"),
        ] {
            assert_eq!(last_due(at, time(now)), time(due));
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_when_a_hub_has_settled() {
        let at = NaiveTime::from_hms_opt(6, 30, 0).unwrap();
        let started = time("2026-03-02T06:29:00Z");
        let due = |now, reported: Option<&str>| is_due(at, time(now), started, reported.map(time));
        // Of today, in time.
        let yesterday = Some("2026-03-01T06:30:00Z");
        assert!(!due("2026-03-02T06:29:59Z", yesterday));
        assert!(due("2026-03-02T06:30:00Z", yesterday));
        assert!(!due("2026-03-02T06:30:01Z", Some("2026-03-02T06:30:00Z")));
        // Of yesterday, or never at all.
        for missed in [Some("2026-03-01T06:29:59Z"), None] {
            assert!(!due("2026-03-02T06:29:58Z", missed));
        }
        let late = time("2026-03-02T07:00:00Z");
        let made_up_for = |now| is_due(at, time(now), late, None);
        assert!(!made_up_for("2026-03-02T07:00:59Z"));
        assert!(made_up_for("2026-03-02T07:01:00Z"));
    }
}

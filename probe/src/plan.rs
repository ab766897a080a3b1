//! Which runs a schedule has: pure arithmetic over instants, no clock.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use probe_protocol::Schedule;

/// Seconds over which the runs of one instant are spread.
const SPREAD_MS: i64 = 60_000;

/// The runs of one scheduled assignment: for each instant t of the cron with `received < t < stop_time`, the k-th
/// of n runs at t + k·60/n seconds.
#[derive(Debug, Clone)]
pub struct Plan {
    schedule: Schedule,
    received: DateTime<Utc>,
}

impl Plan {
    /// The plan of a schedule that was received then.
    #[must_use]
    pub fn new(schedule: Schedule, received: DateTime<Utc>) -> Self {
        Self { schedule, received }
    }

    /// The first run strictly after `time`.
    #[must_use]
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = time.max(self.received);
        let in_this_minute = self.instant_of(time).and_then(|instant| {
            let runs = (0..self.per_instant()).map(|k| instant + self.offset(k));
            runs.into_iter().find(|&run| run > time)
        });
        in_this_minute.or_else(|| {
            let next = self.schedule.cron.next_after(time)?;
            (next < self.schedule.stop_time).then_some(next)
        })
    }

    /// How many runs r there are with `after < r <= upto`.
    #[must_use]
    pub fn count(&self, after: DateTime<Utc>, upto: DateTime<Utc>) -> u64 {
        self.count_to(upto).saturating_sub(self.count_to(after))
    }

    fn count_to(&self, time: DateTime<Utc>) -> u64 {
        let Some(minute) = floor_minute(time) else {
            return 0;
        };
        let before = minute.min(self.schedule.stop_time);
        let whole = self.schedule.cron.count_between(self.received, before);
        let begun = self.instant_of(time).map_or(0, |instant| {
            let due = |k: &u32| instant + self.offset(*k) <= time;
            (0..self.per_instant()).filter(due).count() as u64
        });
        whole * u64::from(self.per_instant()) + begun
    }

    /// The instant whose minute `time` lies in, if it counts.
    fn instant_of(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let minute = floor_minute(time)?;
        let just_before = minute - TimeDelta::nanoseconds(1);
        let is_instant = self.schedule.cron.next_after(just_before) == Some(minute);
        (is_instant && minute > self.received && minute < self.schedule.stop_time).then_some(minute)
    }

    fn per_instant(&self) -> u32 {
        self.schedule.times_per_minute.get()
    }

    fn offset(&self, k: u32) -> TimeDelta {
        TimeDelta::milliseconds(i64::from(k) * SPREAD_MS / i64::from(self.per_instant()))
    }
}

fn floor_minute(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    time.duration_trunc(TimeDelta::minutes(1)).ok()
}

#[cfg(test)]
mod tests {
    use probe_protocol::Whole;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn plan(cron: &str, times: u32, received: &str, stop: &str) -> Plan {
        let schedule = Schedule {
            cron: cron.parse().unwrap(),
            times_per_minute: Whole::new(times).unwrap(),
            stop_time: at(stop),
        };
        Plan::new(schedule, at(received))
    }

    fn runs(plan: &Plan) -> Vec<String> {
        let mut runs = Vec::new();
        let mut time = DateTime::UNIX_EPOCH;
        while let Some(run) = plan.next_after(time) {
            runs.push(run.format("%H:%M:%S%.3f").to_string());
            time = run;
        }
        runs
    }

    #[test]
    fn runs_are_spread_over_the_minute_of_each_instant() {
        let plan = plan("*/2 * * * *", 3, "10:00:30", "10:05:00");
        let expected = [
            "10:02:00.000",
            "10:02:20.000",
            "10:02:40.000",
            "10:04:00.000",
            "10:04:20.000",
            "10:04:40.000",
        ];
        assert_eq!(runs(&plan), expected);
    }

    #[test]
    fn an_instant_counts_only_strictly_after_receipt_and_before_the_stop() {
        assert_eq!(
            runs(&plan("* * * * *", 1, "10:00:00", "10:02:00")),
            ["10:01:00.000"]
        );
        assert!(runs(&plan("* * * * *", 60, "10:00:30", "10:01:00")).is_empty());
        // The runs of the last instant may lie after the stop.
        assert_eq!(runs(&plan("* * * * *", 2, "10:00:30", "10:01:10")).len(), 2);
    }

    #[test]
    fn counting_agrees_with_enumerating() {
        for times in [1, 7, 60] {
            let plan = plan("1-9/2,15 * * * *", times, "10:00:10", "11:04:00");
            let all = {
                let mut all = Vec::new();
                let mut time = DateTime::UNIX_EPOCH;
                while let Some(run) = plan.next_after(time) {
                    all.push(run);
                    time = run;
                }
                all
            };
            for (from, to) in [
                ("09:00:00", "12:00:00"),
                ("10:01:00", "10:03:30"),
                ("10:03:29.999", "10:03:30"),
                ("10:02:17", "11:03:00"),
                ("10:03:31", "10:03:32"),
            ] {
                let (from, to) = (at(from), at(to));
                let expected = all.iter().filter(|&&r| r > from && r <= to).count() as u64;
                assert_eq!(plan.count(from, to), expected, "{times} {from} {to}");
            }
        }
    }
}

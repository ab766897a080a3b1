//! Clocks: that of this host, as chrony sees it, and those of probes, as their newest results tell them.

use std::{collections::HashMap, process::Stdio, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::ProbeId;
use tokio::{process::Command, time::timeout};

use crate::domain::audit::{ClockFacts, Finding, Rule};

/// How far the host may be off, seconds. Hubs plan and judge in whole seconds; beyond half of one they disagree on which.
const HOST_MAY_BE_OFF: f64 = 0.5;
/// How far a probe may be off, µs, beyond what its exchanges with the hub leave open. A host that keeps time by NTP stays
/// within some milliseconds; runs that are meant for the same moment should begin in the same second.
const PROBE_MAY_BE_OFF_US: i64 = 1_000_000;
/// How old a result may be that tells of a clock: everything is looked at once a day.
pub(super) const CLOCKS_ARE_KNOWN_FOR: TimeDelta = TimeDelta::days(1);
/// Longest that chrony may take: it runs on this host or not at all.
const CHRONY_ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// What tells how chrony keeps time, as comma-separated values, and without asking for names.
const ASK: [&str; 3] = ["-c", "-n", "tracking"];
/// Places of values in its answer: the offset of the system's clock in seconds, and the leap status.
const OFFSET: usize = 4;
const LEAP: usize = 13;
/// The leap status of a chrony that has no source.
const WITHOUT_SOURCE: &str = "Not synchronised";

/// The clock of this host.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum HostClock {
    /// So many seconds off.
    Off(f64),
    /// Nobody knows, and why.
    Unknown(String),
}

/// The newest that is known of probes' clocks, and since when.
pub(super) type ProbeClocks = HashMap<ProbeId, (DateTime<Utc>, ClockFacts)>;

/// Asks chrony.
pub(super) async fn host() -> HostClock {
    let mut command = Command::new("chronyc");
    command
        .args(ASK)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let unknown = |why: &str| HostClock::Unknown(why.to_owned());
    match timeout(CHRONY_ANSWERS_WITHIN, command.output()).await {
        Err(_) => unknown("chrony does not answer in time"),
        Ok(Err(_)) => unknown("there is no chronyc here"),
        Ok(Ok(output)) if !output.status.success() => unknown("chrony does not answer"),
        Ok(Ok(output)) => read(&String::from_utf8_lossy(&output.stdout)),
    }
}

/// What chrony's answer says.
fn read(answer: &str) -> HostClock {
    let values: Vec<&str> = answer.trim().split(',').collect();
    if values.get(LEAP) == Some(&WITHOUT_SOURCE) {
        return HostClock::Unknown("chrony has no source of time".to_owned());
    }
    let offset = values.get(OFFSET).and_then(|text| text.parse::<f64>().ok());
    match offset.filter(|offset| offset.is_finite()) {
        Some(seconds) => HostClock::Off(seconds),
        None => HostClock::Unknown("chrony's answer cannot be read".to_owned()),
    }
}

/// What is wrong with the clock of this host.
pub(super) fn judge_host(clock: &HostClock) -> Option<Finding> {
    match clock {
        HostClock::Off(seconds) if seconds.abs() > HOST_MAY_BE_OFF => Some(Finding::of(
            Rule::HostClock,
            format!("the clock of this host is {seconds:+.3} s off, by chrony"),
        )),
        HostClock::Off(_) | HostClock::Unknown(_) => None,
    }
}

/// What is wrong with clocks of probes, in the order of their identifiers.
pub(super) fn judge_probes(clocks: ProbeClocks) -> Vec<Finding> {
    let is_off = |clock: &ClockFacts| {
        let open = clock.error_us.max(0).unsigned_abs();
        clock.offset_us.unsigned_abs().saturating_sub(open) > PROBE_MAY_BE_OFF_US.unsigned_abs()
    };
    let mut off: Vec<_> = clocks
        .into_iter()
        .filter(|(_, (_, clock))| is_off(clock))
        .collect();
    off.sort_unstable_by_key(|(probe, _)| *probe);
    let told = off.into_iter().map(|(probe, (at, clock))| {
        let what = format!(
            "its clock was {:+.3} s from the hub's at {} (known to {:.3} s)",
            seconds(clock.offset_us),
            super::shown(at),
            seconds(clock.error_us)
        );
        Finding::of(Rule::ProbeClock, what).probe(probe)
    });
    told.collect()
}

/// The offset that is furthest from none.
pub(super) fn furthest_us(clocks: &ProbeClocks) -> Option<i64> {
    let offsets = clocks.values().map(|(_, clock)| clock.offset_us);
    offsets.max_by_key(|offset| offset.unsigned_abs())
}

/// Seconds of microseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "for people, who read six digits"
)]
pub(super) fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "D8EF230C,216.239.35.12,2,1763740000.123456789,-0.000123,0.000010,0.000020,-1.5,0.001,0.05,0.02,\
                          0.001,64.0,Normal\n";

    #[test]
    fn chrony_is_understood() {
        assert_eq!(read(ANSWER), HostClock::Off(-0.000_123));
        assert_eq!(judge_host(&read(ANSWER)), None);
        let off = read(&ANSWER.replace("-0.000123", "-0.75"));
        let finding = judge_host(&off).unwrap();
        assert_eq!(finding.rule, Rule::HostClock);
        assert!(finding.what.contains("-0.750 s"), "{}", finding.what);
        for unknown in [
            ANSWER.replace("Normal", WITHOUT_SOURCE),
            ANSWER.replace("-0.000123", "NaN"),
            "506 Cannot talk to daemon\n".to_owned(),
            String::new(),
        ] {
            let clock = read(&unknown);
            assert!(matches!(clock, HostClock::Unknown(_)), "{unknown}");
            assert_eq!(judge_host(&clock), None);
        }
    }

    #[test]
    fn a_probe_is_off_beyond_what_is_open() {
        let judged = |offset_us, error_us| {
            let clock = ClockFacts {
                offset_us,
                error_us,
            };
            let known = (DateTime::UNIX_EPOCH, clock);
            judge_probes(ProbeClocks::from([(ProbeId::new(), known)])).len()
        };
        assert_eq!(judged(1_000_000, 0), 0);
        assert_eq!(judged(1_000_001, 0), 1);
        assert_eq!(judged(-1_000_001, 0), 1);
        assert_eq!(judged(-1_000_001, 1), 0);
        assert_eq!(judged(i64::MIN, i64::MAX), 0);
        assert_eq!(judged(i64::MIN, i64::MIN), 1);
    }
}

//! What a fleet tells at its end, as JSON; `glance` is what it tells meanwhile.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use hdrhistogram::Histogram;
use probe_protocol::OperationId;
use serde::Serialize;

use super::{
    options::Lie,
    tally::{Lied, Tally},
};

mod glance;

pub use glance::Glance;
pub(super) use glance::Looker;

/// Everything, when a fleet has ended. Times are in the unit of their names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Whether everything that had to be stored was acknowledged, every probe was connected, and nothing unexpected
    /// happened.
    pub ok: bool,
    /// The number by which it can be done again.
    pub seed: u64,
    /// How long it took, s.
    pub seconds: f64,
    /// Probes.
    pub probes: usize,
    /// Those among them that spoke as agents of the replaced system.
    pub old_probes: usize,
    /// Connections.
    pub connections: Connections,
    /// Operations as they came, oldest first.
    pub operations: Vec<OperationTold>,
    /// Operations that came beyond those.
    pub more_operations: u64,
    /// Frames of operations, those that came again among them.
    pub assigned: u64,
    /// Results.
    pub results: ResultsTold,
    /// From sending a result to its acknowledgement.
    pub ack: Spread,
    /// Payload of all frames.
    pub bytes: Bytes,
    /// Honest results that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Lies by kind.
    pub lies: BTreeMap<Lie, LieTold>,
    /// Sessions that the hub ended, by websocket code.
    pub closes: BTreeMap<u16, u64>,
    /// What went wrong, by kind.
    pub errors: BTreeMap<&'static str, ErrorTold>,
    /// How much of that no hub may ever give reason to.
    pub unexpected: u64,
}

/// Connections of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connections {
    /// Most sessions that were ready at the same time.
    pub peak: usize,
    /// Probes that never had a session.
    pub never_ready: usize,
    /// Sessions that became ready.
    pub sessions: u64,
    /// Those among them that were not their probe's first.
    pub reconnects: u64,
    /// From the start until the last probe was ready for the first time, s.
    pub all_ready_s: f64,
    /// Probes that became ready in one second of that time.
    pub per_s: f64,
    /// From dialling to a ready session.
    pub ready: Spread,
}

/// How measured times are spread, ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// Half took less.
    pub p50_ms: f64,
    /// 99 of 100 took less.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// How an operation came to its probes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationTold {
    /// Which.
    pub operation: OperationId,
    /// Probes that got it.
    pub probes: u64,
    /// Frames of it that came again.
    pub again: u64,
    /// When the first probe had it.
    pub first_at: String,
    /// When the last probe had it.
    pub last_at: String,
    /// Between them, ms.
    pub spread_ms: f64,
}

/// Results of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultsTold {
    /// Made, and to be stored.
    pub made: u64,
    /// Frames sent, lies and repeats among them.
    pub sent: u64,
    /// Frames that were sent before.
    pub again: u64,
    /// Acknowledged of those that had to be stored.
    pub acked: u64,
    /// Refused of those.
    pub refused: u64,
    /// Not answered of those, at the end.
    pub unanswered: u64,
    /// Runs for which there was no room or no time.
    pub skipped: u64,
    /// Acknowledged in a second, from the first one that left to the last answer.
    pub per_s: f64,
    /// Bytes of contents.
    pub content_bytes: u64,
}

/// What was sent and heard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bytes {
    /// Bytes.
    pub sent: u64,
    /// Bytes.
    pub heard: u64,
}

/// What became of the lies of a kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LieTold {
    /// How many.
    pub sent: u64,
    /// Acknowledged.
    pub stored: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Sessions that ended for them, by websocket code.
    pub closed: BTreeMap<u16, u64>,
    /// Those that met with what they should not have met with.
    pub unexpected: u64,
}

/// What went wrong in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorTold {
    /// How often.
    pub count: u64,
    /// How it was the last time.
    pub last: String,
}

impl Spread {
    fn of(times: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            count: times.len(),
            p50_ms: ms(times.value_at_quantile(0.5)),
            p99_ms: ms(times.value_at_quantile(0.99)),
            max_ms: ms(times.max()),
        }
    }
}

impl From<&Lied> for LieTold {
    fn from(lied: &Lied) -> Self {
        Self {
            sent: lied.sent,
            stored: lied.stored,
            refused: lied.refused.clone(),
            closed: lied.closed.clone(),
            unexpected: lied.unexpected,
        }
    }
}

/// Thousandths are more than anybody measures here.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn per_second(count: u64, time: Option<Duration>) -> f64 {
    let seconds = time.unwrap_or_default().as_secs_f64();
    if seconds > 0.0 {
        rounded(count as f64 / seconds)
    } else {
        0.0
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// What is there to tell at the end.
pub(super) fn sum_up(tally: &Tally, seed: u64, probes: usize, old_probes: usize) -> Summary {
    tally.look();
    tally.settle();
    let connections = connections(tally, probes);
    let results = results(tally);
    let book = tally.book();
    let unexpected = book
        .troubles
        .iter()
        .filter(|(trouble, _)| trouble.is_unexpected())
        .map(|(_, troubled)| troubled.count)
        .sum();
    let errors = book.troubles.iter().map(|(trouble, troubled)| {
        let told = ErrorTold {
            count: troubled.count,
            last: troubled.last.clone(),
        };
        (trouble.as_str(), told)
    });
    let mut operations: Vec<_> = book.operations.iter().collect();
    operations.sort_by_key(|(_, dispatched)| dispatched.first);
    let operations = operations.into_iter().map(|(operation, dispatched)| {
        let spread = (dispatched.last - dispatched.first).as_secs_f64();
        OperationTold {
            operation: *operation,
            probes: dispatched.probes,
            again: dispatched.again,
            first_at: shown(tally.at(dispatched.first)),
            last_at: shown(tally.at(dispatched.last)),
            spread_ms: rounded(spread * 1000.0),
        }
    });
    Summary {
        ok: unexpected == 0 && connections.never_ready == 0 && results.unanswered == 0,
        seed,
        seconds: rounded(tally.began.elapsed().as_secs_f64()),
        probes,
        old_probes,
        connections,
        operations: operations.collect(),
        more_operations: book.more_operations,
        assigned: tally.counters.assigned.load(Relaxed),
        results,
        ack: Spread::of(&tally.times().ack),
        bytes: Bytes {
            sent: tally.counters.bytes_sent.load(Relaxed),
            heard: tally.counters.bytes_heard.load(Relaxed),
        },
        refused: book.refused.clone(),
        lies: book
            .lies
            .iter()
            .map(|(lie, lied)| (*lie, lied.into()))
            .collect(),
        closes: book.closes.clone(),
        errors: errors.collect(),
        unexpected,
    }
}

fn connections(tally: &Tally, probes: usize) -> Connections {
    let counters = &tally.counters;
    let ever = counters.ever_ready.load(Relaxed);
    let sessions = counters.sessions.load(Relaxed);
    let times = tally.times();
    let took = times.all_ready.map(|at| at - tally.began);
    Connections {
        peak: counters.peak.load(Relaxed),
        never_ready: probes.saturating_sub(ever),
        sessions,
        reconnects: sessions.saturating_sub(ever as u64),
        all_ready_s: rounded(took.unwrap_or_default().as_secs_f64()),
        per_s: per_second(ever as u64, took),
        ready: Spread::of(&times.ready),
    }
}

fn results(tally: &Tally) -> ResultsTold {
    let counters = &tally.counters;
    let [made, acked, refused] =
        [&counters.made, &counters.acked, &counters.refused].map(|count| count.load(Relaxed));
    let times = tally.times();
    let took = times.first_sent.zip(times.last_acked);
    let took = took.map(|(first, last)| last.saturating_duration_since(first));
    ResultsTold {
        made,
        sent: counters.sent.load(Relaxed),
        again: counters.again.load(Relaxed),
        acked,
        refused,
        unanswered: made.saturating_sub(acked + refused),
        skipped: counters.skipped.load(Relaxed),
        per_s: per_second(acked, took),
        content_bytes: counters.content_bytes.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{super::tally::Trouble, *};

    #[test]
    fn a_summary_is_right_only_when_all_is() {
        let tally = Tally::new().unwrap();
        let now = Instant::now();
        let sum = || sum_up(&tally, 1, 1, 0);
        assert_eq!((sum().ok, sum().connections.never_ready), (false, 1));
        tally.ready(now, true);
        assert!(sum().ok);
        tally.counters.made.fetch_add(2, Relaxed);
        tally.acked(now, None);
        assert_eq!((sum().ok, sum().results.unanswered), (false, 1));
        tally.refused(
            OperationId::new(),
            probe_protocol::Rejection::Cancelled,
            None,
        );
        assert!(sum().ok);
        tally.trouble(Trouble::Broken, "as it happens");
        assert!(sum().ok);
        tally.believed(Lie::Forged, "stored");
        let summary = sum();
        assert_eq!((summary.ok, summary.unexpected), (false, 1));
        assert_eq!(summary.errors["broken"].last, "as it happens");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["lies"]["forged"]["unexpected"], 1);
        assert_eq!(json["refused"]["cancelled"], 1);
    }
}

//! What was measured, and what follows from it.

use std::time::Duration;

use serde::Serialize;

use crate::machine::Machine;

/// The share of what bare inserts reach that a hub has to reach.
pub(crate) const TARGET: f64 = 0.5;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Where.
    pub(crate) machine: Machine,
    /// How.
    pub(crate) setup: Setup,
    /// What came out.
    pub(crate) rounds: Vec<Round>,
}

/// How it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Setup {
    /// Probes that are connected.
    pub(crate) probes: usize,
    /// Results that each keeps unanswered.
    pub(crate) window: usize,
    /// How long a round measures the hub.
    pub(crate) seconds: f64,
    /// Documents of one bare insert.
    pub(crate) batch: usize,
}

/// Both halves of one round.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// With a hub.
    pub(crate) hub: Hub,
    /// Without.
    pub(crate) inserts: Vec<Inserts>,
    /// Mean length of the documents, bytes.
    pub(crate) document_bytes: usize,
}

/// Time of processors for one result, microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cpu {
    /// The hub's.
    pub(crate) hub: f64,
    /// MongoDB's.
    pub(crate) mongod: f64,
    /// Of the probes, or of whoever inserts.
    pub(crate) bench: f64,
}

/// What a hub did.
#[derive(Debug, Serialize)]
pub(crate) struct Hub {
    /// Results acknowledged in a second.
    pub(crate) per_second: f64,
    /// Half of the answers took less, milliseconds.
    pub(crate) ack_p50_ms: f64,
    /// 99 of 100 answers took less, milliseconds.
    pub(crate) ack_p99_ms: f64,
    /// What a result costs.
    pub(crate) cpu_us: Cpu,
    /// Results acknowledged in all, warm-up included; as many were stored.
    pub(crate) acknowledged: usize,
}

/// What bare inserts did.
#[derive(Debug, Serialize)]
pub(crate) struct Inserts {
    /// Batches under way at a time.
    pub(crate) writers: usize,
    /// Documents inserted in a second.
    pub(crate) per_second: f64,
    /// Half of the batches took less, milliseconds.
    pub(crate) batch_p50_ms: f64,
    /// 99 of 100 batches took less, milliseconds.
    pub(crate) batch_p99_ms: f64,
    /// What a document costs.
    pub(crate) cpu_us: Cpu,
}

impl Figures {
    /// Median over the rounds.
    pub(crate) fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        }
    }

    /// The hub's share of what bare inserts by so many writers reach, in the order in which they were measured.
    pub(crate) fn share(&self, place: usize) -> f64 {
        self.median(|round| round.hub.per_second / round.inserts[place].per_second)
    }

    /// Whether the hub reaches [`TARGET`] of what one writer reaches.
    pub(crate) fn is_on_target(&self) -> bool {
        self.share(0) >= TARGET
    }
}

/// How many in a second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from) / took.as_secs_f64()
}

/// What so many of a hundred stay below, milliseconds; they are sorted.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(place)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

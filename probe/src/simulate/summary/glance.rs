//! What a fleet tells each second: one line for people.

use std::{fmt, sync::atomic::Ordering::Relaxed};

use tokio::time::Instant;

use super::{Tally, per_second};

/// What a fleet does right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Since the start, whole s.
    pub seconds: u64,
    /// Sessions that are ready.
    pub connected: usize,
    /// Of so many probes.
    pub probes: usize,
    /// Results acknowledged since the last glance, in a second.
    pub per_s: f64,
    /// Results acknowledged so far.
    pub acked: u64,
    /// Acknowledgements since the last glance, ms.
    pub ack_p50_ms: f64,
    /// The same.
    pub ack_p99_ms: f64,
    /// What went wrong so far.
    pub errors: u64,
}

/// Looks again and again.
#[derive(Debug)]
pub(in crate::simulate) struct Looker {
    last: Instant,
    acked: u64,
}

impl Looker {
    /// Nothing was seen yet.
    pub(in crate::simulate) fn new(tally: &Tally) -> Self {
        Self {
            last: tally.began,
            acked: 0,
        }
    }

    /// Looks.
    pub(in crate::simulate) fn look(&mut self, tally: &Tally, probes: usize) -> Glance {
        let (half, most) = tally.look();
        let (now, acked) = (Instant::now(), tally.counters.acked.load(Relaxed));
        let per_s = per_second(acked - self.acked, Some(now - self.last));
        (self.last, self.acked) = (now, acked);
        let troubles: u64 = tally.book().troubles.values().map(|it| it.count).sum();
        Glance {
            seconds: (now - tally.began).as_secs(),
            connected: tally.counters.connected.load(Relaxed),
            probes,
            per_s,
            acked,
            ack_p50_ms: half as f64 / 1000.0,
            ack_p99_ms: most as f64 / 1000.0,
            errors: troubles,
        }
    }
}

/// The live line.
impl fmt::Display for Glance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seconds,
            connected,
            probes,
            per_s,
            acked,
            ack_p50_ms,
            ack_p99_ms,
            errors,
        } = self;
        write!(
            f,
            "{seconds} s: connected {connected}/{probes}, results {acked} ({per_s:.0}/s), \
             ack p50 {ack_p50_ms:.1} ms p99 {ack_p99_ms:.1} ms, errors {errors}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_glance_tells_what_is_new() {
        let tally = Tally::new().unwrap();
        let mut looker = Looker::new(&tally);
        tally.acked(Instant::now() - Duration::from_millis(5), None);
        let glance = looker.look(&tally, 3);
        assert_eq!((glance.acked, glance.connected), (1, 0));
        assert!(glance.per_s > 0.0 && glance.ack_p50_ms >= 5.0, "{glance}");
        let again = looker.look(&tally, 3);
        assert_eq!((again.acked, again.ack_p99_ms), (1, 0.0));
        assert!(again.to_string().contains("connected 0/3"), "{again}");
    }
}

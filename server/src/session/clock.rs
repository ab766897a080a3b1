//! How far a probe's clock is from the hub's, from NTP-style exchanges (RFC 5905 section 8).

use std::collections::VecDeque;

use crate::store::Clock;

/// Exchanges remembered; the one with the shortest delay tells best (the clock filter of RFC 5905 section 10).
const KEPT: usize = 8;
/// Longest delay an exchange may have to tell anything, µs.
const LONGEST_DELAY_US: i64 = 30_000_000;

/// Offset of one probe's clock.
#[derive(Debug, Default)]
pub(crate) struct ClockFilter {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    offset_us: i64,
    delay_us: i64,
}

impl ClockFilter {
    /// Takes one exchange: hub sent, probe received, probe sent, hub received; µs, each by its own clock. An impossible
    /// one (a probe may say anything) is ignored.
    pub(crate) fn exchange(&mut self, hub_sent: i64, received: i64, sent: i64, hub_received: i64) {
        let sample = (|| {
            let delay_us = hub_received
                .checked_sub(hub_sent)?
                .checked_sub(sent.checked_sub(received)?)?;
            let there = received.checked_sub(hub_sent)?;
            let back = sent.checked_sub(hub_received)?;
            Some(Sample {
                offset_us: there.checked_add(back)? / 2,
                delay_us,
            })
        })();
        let plausible = |sample: &Sample| (0..=LONGEST_DELAY_US).contains(&sample.delay_us);
        if let Some(sample) = sample.filter(plausible) {
            if self.samples.len() == KEPT {
                self.samples.pop_front();
            }
            self.samples.push_back(sample);
        }
    }

    /// The best that is known. The error bound is half the delay: the offset is exact when both ways take the same time
    /// and wrong by half the delay when one takes it all.
    pub(crate) fn best(&self) -> Option<Clock> {
        let best = self.samples.iter().min_by_key(|sample| sample.delay_us)?;
        Some(Clock {
            offset_us: best.offset_us,
            error_us: best.delay_us / 2 + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_true_offset_lies_within_the_bound(
            offset in -1_000_000_000_i64..1_000_000_000,
            ways in prop::collection::vec((0_i64..5_000_000, 0_i64..5_000_000, 0_i64..1_000_000), 1..20),
        ) {
            let mut filter = ClockFilter::default();
            let mut now = 1_700_000_000_000_000;
            for (there, back, busy) in ways {
                let received = now + there + offset;
                let hub_received = now + there + busy + back;
                filter.exchange(now, received, received + busy, hub_received);
                now = hub_received + 1_000_000;
            }
            let clock = filter.best().unwrap();
            prop_assert!((clock.offset_us - offset).abs() <= clock.error_us, "{clock:?}");
        }

        #[test]
        fn a_liar_cannot_break_it(a: i64, b: i64, c: i64, d: i64) {
            let mut filter = ClockFilter::default();
            filter.exchange(a, b, c, d);
            if let Some(clock) = filter.best() {
                prop_assert!(clock.error_us >= 0);
            }
        }
    }
}

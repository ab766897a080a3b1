//! How long to wait before the next try: longer each time, never the same for two probes.

use std::time::Duration;

/// First pause.
const FIRST: Duration = Duration::from_millis(500);

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// Exponential backoff with jitter.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The pause before the next try: a random half to whole of 0.5 s, 1 s, 2 s … 60 s.
    pub fn pause(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.tries));
        self.tries = self.tries.saturating_add(1);
        doubled.min(LONGEST).mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Like [`Backoff::pause`], but at least `least`, which gets up to a half more at random so that the probes of a
    /// hub that told all of them the same do not come back together.
    pub fn pause_of_at_least(&mut self, least: Duration) -> Duration {
        self.pause()
            .max(least.mul_f64(rand::random_range(1.0..=1.5)))
    }

    /// Begins anew, after a session that lasted.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..40 {
            let pause = backoff.pause();
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?}");
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
        let later = backoff.pause_of_at_least(LONGEST);
        assert!(later >= LONGEST && later <= LONGEST * 3 / 2);
    }
}

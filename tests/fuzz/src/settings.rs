//! What a run is told by its environment, which `make fuzz` sets.

use std::{env, time::Duration};

use crate::corpus;

/// Variable with the seed of random tests; the same for all of them.
pub const SEED: &str = "PLADMED_SEED";
/// Variable with the minutes that all targets have together; without it each has [`SHORT`].
const MINUTES: &str = "PLADMED_FUZZ_MINUTES";
/// Variable with the only target to run.
const TARGET: &str = "PLADMED_FUZZ_TARGET";
/// Variable with a file: the only input to run.
const INPUT: &str = "PLADMED_FUZZ_INPUT";

/// How long a target runs in `make test`.
const SHORT: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where randomness begins.
    pub seed: u64,
    /// How long a target runs.
    pub time: Duration,
    /// The only input to run.
    pub input: Option<String>,
    /// The only target to run.
    pub only: Option<String>,
}

impl Settings {
    /// What the environment says.
    ///
    /// # Panics
    /// When a number is none, or a target does not exist.
    #[must_use]
    pub fn from_env() -> Self {
        let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let only = given(TARGET);
        let all = corpus::targets();
        if let Some(name) = &only {
            assert!(
                all.contains(name),
                "there is no target {name}; there are: {}",
                all.join(", ")
            );
        }
        let sharing = only.as_ref().map_or(all.len(), |_| 1);
        let seed = given(SEED).map(|text| text.parse().expect("PLADMED_SEED must be a number"));
        Self {
            seed: seed.unwrap_or_else(rand::random),
            time: given(MINUTES).map_or(SHORT, |minutes| share(&minutes, sharing)),
            input: given(INPUT),
            only,
        }
    }

    /// Whether a target is to run.
    #[must_use]
    pub fn wants(&self, target: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == target)
    }
}

/// The time of one target.
fn share(minutes: &str, targets: usize) -> Duration {
    let minutes: f64 = minutes.parse().expect("MINUTES must be a number");
    Duration::from_secs_f64(minutes * 60.0 / targets as f64)
}

//! Randomness that can be repeated: a test prints its seed and takes it from `PLADMED_SEED`.

use rand::{SeedableRng, rngs::StdRng};

/// Environment variable with the seed of random tests.
pub const SEED_VARIABLE: &str = "PLADMED_SEED";

/// A generator whose seed was printed.
///
/// # Panics
/// When the variable holds no number.
#[must_use]
pub fn seeded(test: &str) -> StdRng {
    let seed = match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().expect("PLADMED_SEED must be a number"),
        Err(_) => rand::random::<u64>(),
    };
    eprintln!("{test}: {SEED_VARIABLE}={seed} repeats this run");
    StdRng::seed_from_u64(seed)
}

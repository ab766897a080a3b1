//! What an old operation cost, in the terms of this system: the price of a run, and how many runs are paid for. The old
//! one kept the sum alone, which need not be a whole number of runs, nor a whole number.

/// Most runs that anything plans on a probe: one a second for a year and a day.
pub(super) const MOST_RUNS: u32 = 366 * 24 * 60 * 60;

/// Runs on each of so many probes that a price paid for, at least one.
pub(super) fn paid_runs(credits: f64, probes: usize, run_price: u32) -> u32 {
    // Both are small enough for a float to name them exactly.
    let one_each = probes as f64 * f64::from(run_price);
    let runs = (credits / one_each).round();
    if !runs.is_finite() {
        return 1;
    }
    // What is left of the fraction fits after the clamp.
    runs.clamp(1.0, f64::from(MOST_RUNS)) as u32
}

/// The price of runs, credits; `None` beyond anything that balances can hold.
pub(super) fn total(run_price: u32, runs: impl Iterator<Item = u32>) -> Option<i64> {
    let mut all = runs.map(i64::from);
    let runs = all.try_fold(0_i64, i64::checked_add)?;
    runs.checked_mul(run_price.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_become_runs() {
        for (credits, probes, run_price, runs) in [
            (18.0, 2, 1, 9),
            (16.142857142857142, 1, 1, 16),
            (21.0, 1, 15, 1),
            (22.5, 1, 15, 2),
            (525_599.0, 1, 1, 525_599),
            (-900.0, 1, 1, 1),
            (0.0, 3, 15, 1),
            (100.0, 0, 15, 1),
            (100.0, 3, 0, 1),
            (0.0, 0, 0, 1),
            (f64::NAN, 1, 1, 1),
            (f64::INFINITY, 1, 1, 1),
            (1e300, 1, 1, MOST_RUNS),
        ] {
            let found = paid_runs(credits, probes, run_price);
            assert_eq!(found, runs, "{credits} {probes} {run_price}");
        }
    }

    #[test]
    fn what_nobody_could_pay_has_no_price() {
        assert_eq!(total(15, [1, 2, 3].into_iter()), Some(90));
        let many = || std::iter::repeat_n(u32::MAX, 1000);
        assert_eq!(total(1, many()), Some(1000 * i64::from(u32::MAX)));
        assert_eq!(total(u32::MAX, many()), None);
    }
}

//! Waiting for something to become true, never for a time to pass.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Enough for anything that should happen at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(10);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `check` answers something.
///
/// # Panics
/// With `what` when nothing came within the deadline.
pub async fn eventually<T, F>(within: Duration, what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// The result of `work`.
///
/// # Panics
/// With `what` when it is not there within the deadline.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, work).await {
        Ok(value) => value,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}

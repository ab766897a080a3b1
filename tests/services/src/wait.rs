//! Waiting for something to become true, never for a time to pass.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `check` answers something.
///
/// # Panics
/// With `what` when nothing came within the deadline.
pub(crate) async fn until<T, F>(within: Duration, what: &str, mut check: impl FnMut() -> F) -> T
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

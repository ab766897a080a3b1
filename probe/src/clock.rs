//! The wall clock, so that tests can have another one.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Longest sleep before the wall clock is looked at again: it may be set, and a laptop may sleep.
const GLANCE: Duration = Duration::from_secs(20);

/// Tells the time and waits for times to come.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// Returns at this time or soon after, at once if it is past.
    async fn sleep_until(&self, time: DateTime<Utc>) {
        loop {
            let Ok(left) = (time - self.now()).to_std() else {
                return;
            };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(GLANCE)).await;
        }
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Microseconds since 1970-01-01 UTC by the machine's clock.
#[must_use]
pub fn now_micros() -> i64 {
    Utc::now().timestamp_micros()
}

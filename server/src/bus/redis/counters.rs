//! Counts attempts for all hubs together, in Redis. The counts live for a minute; when Redis loses them, or is away, some
//! attempts more than allowed are let in.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::redis::{RedisResult, Script, cmd};
use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::{
    servers::{Keys, Servers, in_time},
    wire::Channels,
};
use crate::throttle::SharedCounters;

/// Longest a login waits for the shared count: a tenth of what checking the password takes is nothing, this is noticed.
const COUNTED_WITHIN: Duration = Duration::from_millis(250);
/// After a failure Redis is left alone for so long, so that logins do not wait one by one.
const PAUSE: Duration = Duration::from_secs(1);
/// A minute, µs.
const MINUTE_US: u64 = 60_000_000;

/// The generic cell rate algorithm (ITU-T I.371, the one that `governor` uses in a process): a counter is the time at
/// which it will be empty, in µs by the clock of Redis. Answers how many µs to wait; where the attempt is let in, how far
/// the counter is from empty now, negative, or 0.
const COUNT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = tonumber(redis.call('GET', KEYS[1])) or now
if empty < now then empty = now end
local wait = empty + interval - burst - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', empty + interval), 'PX', math.ceil((empty + interval - now) / 1000))
return now - empty - interval
";

/// Time in which one attempt comes back, µs.
fn interval_us(per_minute: NonZeroU32) -> u64 {
    MINUTE_US / u64::from(per_minute.get())
}

/// Counters in Redis.
pub(crate) struct RedisCounters {
    servers: Servers,
    channels: Channels,
    script: Script,
    state: Mutex<State>,
}

struct State {
    connection: Option<Keys>,
    rests_until: Option<Instant>,
}

impl RedisCounters {
    /// Connects, so that servers that cannot count are found at the start.
    ///
    /// # Errors
    /// When they cannot be reached or do not allow it.
    pub(super) async fn connect(servers: Servers, channels: Channels) -> RedisResult<Self> {
        let mut connection = servers.keys().await?;
        in_time(
            cmd("EXISTS")
                .arg(channels.counter(""))
                .query_async::<()>(&mut connection),
        )
        .await?;
        Ok(Self {
            servers,
            channels,
            script: Script::new(COUNT),
            state: Mutex::new(State {
                connection: Some(connection),
                rests_until: None,
            }),
        })
    }

    async fn count(&self, counter: &str, per_minute: NonZeroU32) -> RedisResult<i64> {
        let kept = self.state().connection.clone();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.servers.keys().await?,
        };
        let wait = self
            .script
            .key(self.channels.counter(counter))
            .arg(interval_us(per_minute))
            .arg(MINUTE_US)
            .invoke_async(&mut connection)
            .await?;
        self.state().connection = Some(connection);
        Ok(wait)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // No code panics while it holds the lock, and what it holds is whole after every call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SharedCounters for RedisCounters {
    async fn attempt(
        &self,
        counter: &str,
        per_minute: NonZeroU32,
    ) -> Option<Result<u32, Duration>> {
        let rests_until = self.state().rests_until;
        if rests_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        match timeout(COUNTED_WITHIN, self.count(counter, per_minute)).await {
            Ok(Ok(wait @ 1..)) => {
                return Some(Err(Duration::from_micros(wait.unsigned_abs())));
            }
            Ok(Ok(filled)) => {
                let room = MINUTE_US.saturating_sub(filled.unsigned_abs());
                let more = room / interval_us(per_minute);
                return Some(Ok(u32::try_from(more).unwrap_or(u32::MAX)));
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "Redis does not count attempts; this hub counts alone")
            }
            Err(_) => {
                tracing::warn!("Redis takes too long to count attempts; this hub counts alone")
            }
        }
        *self.state() = State {
            connection: None,
            rests_until: Some(Instant::now() + PAUSE),
        };
        None
    }
}

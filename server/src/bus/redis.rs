//! The bus of hubs that share a platform, over Redis pub/sub. Redis keeps nothing of it: what is said while a hub does not
//! listen is lost, and found in the store.
//!
//! One task publishes, one listens, each on a connection of its own that is made again when it breaks. Channels carry the
//! name of the environment and of the database, so that only hubs that share their data hear each other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use probe_protocol::OperationId;
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{Arrivals, Bus, Errand, Event, Gossip, InstanceId, To, local::BACKLOG};
use crate::config::RedisSettings;

mod counters;
mod queue;
mod reader;
mod servers;
mod wire;
mod writer;

pub(crate) use counters::RedisCounters;
use queue::Queue;
use reader::{Reader, Watched};
use servers::Servers;
use wire::{Body, Channels, Message};
use writer::Writer;

/// Messages that may wait to be read; what does not fit is lost.
const ARRIVALS: usize = 4096;

/// How long a start waits for a Redis that is not there: as long as one takes to restart.
const WAITED_FOR: Duration = Duration::from_secs(5);
/// Pause between two attempts of that time.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Longest a hub that stops waits for its last words to leave.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisOpenError {
    /// The address is no good.
    #[error("this is no address of Redis: {0}")]
    Address(String),
    /// It does not let us in.
    #[error("Redis refuses us: {0}")]
    Refused(String),
    /// It does not answer, or not as Redis does.
    #[error("Redis cannot be reached: {0}")]
    Away(String),
}

/// Events across processes.
pub(crate) struct RedisBus {
    me: InstanceId,
    channels: Channels,
    events: broadcast::Sender<Event>,
    queue: Arc<Queue>,
    watched: Arc<Watched>,
    tasks: [JoinHandle<()>; 2],
}

impl RedisBus {
    /// Connects; hubs that share `prefix` hear each other. A Redis that is not there is waited for, but not for long.
    ///
    /// # Errors
    /// When Redis cannot be used. Later it may go away and come back.
    pub(crate) async fn connect(
        settings: &RedisSettings,
        prefix: &str,
        me: InstanceId,
    ) -> Result<(Self, Arrivals, RedisCounters), RedisOpenError> {
        let until = Instant::now() + WAITED_FOR;
        loop {
            match Self::attempt(settings, prefix, me).await {
                Err(RedisOpenError::Away(why)) if Instant::now() < until => {
                    tracing::warn!(%why, "waiting for Redis");
                    sleep(RETRY_AFTER).await;
                }
                done => return done,
            }
        }
    }

    async fn attempt(
        settings: &RedisSettings,
        prefix: &str,
        me: InstanceId,
    ) -> Result<(Self, Arrivals, RedisCounters), RedisOpenError> {
        let servers =
            Servers::of(settings).map_err(|error| RedisOpenError::Address(error.to_string()))?;
        let channels = Channels::new(prefix);
        let (queue, watched) = (Arc::<Queue>::default(), Arc::<Watched>::default());
        let events = broadcast::Sender::new(BACKLOG);
        let (gossip, heard) = mpsc::channel(ARRIVALS);
        let (errands, to_do) = mpsc::channel(ARRIVALS);
        let reader = Reader {
            servers: servers.clone(),
            channels: channels.clone(),
            me,
            watched: watched.clone(),
            events: events.clone(),
            gossip,
            errands,
        };
        let writer = Writer {
            servers: servers.clone(),
            channels: channels.clone(),
            me,
            queue: queue.clone(),
        };
        let publishing = servers.connect().await.map_err(unusable)?;
        let counters = RedisCounters::connect(servers, channels.clone()).await;
        let counters = counters.map_err(unusable)?;
        let listening = reader.connect().await.map_err(unusable)?;
        let bus = Self {
            me,
            channels,
            events,
            queue,
            watched,
            tasks: [
                tokio::spawn(writer.run(publishing)),
                tokio::spawn(reader.run(listening)),
            ],
        };
        let arrivals = Arrivals {
            gossip: heard,
            errands: to_do,
        };
        Ok((bus, arrivals, counters))
    }

    fn send(&self, channel: String, body: Body) {
        let message = Message {
            from: self.me,
            body,
        };
        if let Some(message) = message.encode() {
            self.queue.send(channel, message);
        }
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, event: Event) {
        match &event {
            Event::Recorded(recorded) => self.queue.stored(recorded.operation, recorded.row.seq),
            Event::Changed(change) => self.queue.changed(*change),
            Event::Revoked(probe) => self.send(self.channels.everyone(), Body::Revoked(*probe)),
            Event::Numbered(..) | Event::Missed(_) => {}
        }
        // Fails only where nobody listens.
        let _ = self.events.send(event);
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn watch(&self, operation: OperationId) {
        self.watched.add(operation);
    }

    fn unwatch(&self, operation: OperationId) {
        self.watched.remove(operation);
    }

    fn tell(&self, to: To, gossip: Gossip) {
        let channel = match to {
            To::Everyone => self.channels.everyone(),
            To::One(instance) => self.channels.instance(instance),
        };
        self.send(channel, Body::Gossip(gossip));
    }

    fn hand(&self, to: InstanceId, errand: Errand) {
        self.send(self.channels.instance(to), Body::Errand(errand));
    }

    async fn flush(&self) {
        // Without Redis nobody hears them, which is the same as if this hub had died.
        let _ = timeout(FLUSHED_WITHIN, self.queue.flushed()).await;
    }
}

fn unusable(error: ::redis::RedisError) -> RedisOpenError {
    let is_refused = error.kind() == ::redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "NOPERM" | "WRONGPASS"));
    if is_refused {
        RedisOpenError::Refused(error.to_string())
    } else {
        RedisOpenError::Away(error.to_string())
    }
}

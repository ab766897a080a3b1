//! Listens to other instances: what is for everyone, what is for this one, and the operations that somebody watches here.
//!
//! An instance hears its own beat too; a connection on which it does not come back is given up, so that one that is half
//! open is noticed as soon as one that broke.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::{
    RedisResult,
    aio::{PubSub, PubSubSink, PubSubStream},
};
use futures::StreamExt as _;
use probe_protocol::OperationId;
use tokio::{
    sync::{Notify, broadcast, mpsc},
    time::{Instant, timeout_at},
};

use super::{
    servers::{Servers, again, in_time},
    wire::{Body, Channels, Message},
};
use crate::{
    bus::{Errand, Event, Gossip, InstanceId},
    store::Change,
};

/// A connection on which nothing comes for so long is given up: three beats of this very instance.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// Channels in one command.
const CHANNELS_AT_ONCE: usize = 500;

/// Operations that somebody watches here.
#[derive(Debug, Default)]
pub(super) struct Watched {
    operations: Mutex<HashSet<OperationId>>,
    changed: Notify,
}

impl Watched {
    /// Adds one.
    pub(super) fn add(&self, operation: OperationId) {
        self.change(|operations| operations.insert(operation));
    }

    /// Removes one.
    pub(super) fn remove(&self, operation: OperationId) {
        self.change(|operations| operations.remove(&operation));
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashSet<OperationId>) -> T) -> T {
        let mut operations = self
            .operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut operations);
        drop(operations);
        self.changed.notify_one();
        changed
    }

    fn all(&self) -> HashSet<OperationId> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The task that listens.
pub(super) struct Reader {
    pub(super) servers: Servers,
    pub(super) channels: Channels,
    pub(super) me: InstanceId,
    pub(super) watched: Arc<Watched>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) gossip: mpsc::Sender<(InstanceId, Gossip)>,
    pub(super) errands: mpsc::Sender<Errand>,
}

impl Reader {
    /// Connects and listens to what is always listened to.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not allow it.
    pub(super) async fn connect(&self) -> RedisResult<PubSub> {
        let mut connection = self.servers.listen().await?;
        let channels = [self.channels.everyone(), self.channels.instance(self.me)];
        in_time(connection.subscribe(&channels[..])).await?;
        Ok(connection)
    }

    /// Listens until it is aborted.
    pub(super) async fn run(self, mut connection: PubSub) {
        loop {
            let why = self.listen(connection).await;
            tracing::warn!(why, "Redis is not heard; this hub does not hear others");
            connection = again(|| self.connect()).await;
            // Nobody knows what was said meanwhile.
            let _ = self.events.send(Event::Missed(None));
            tracing::info!("Redis is heard again");
        }
    }

    /// Hears messages until the connection is no good; why.
    async fn listen(&self, connection: PubSub) -> String {
        let (mut sink, mut stream) = connection.split();
        let (mut listened, mut heard) = (HashSet::new(), Instant::now());
        loop {
            let ended = tokio::select! {
                ended = self.hear(&mut stream, &mut heard) => ended,
                () = self.watched.changed.notified() => {
                    match self.follow(&mut sink, &mut listened).await {
                        Ok(()) => continue,
                        Err(error) => error.to_string(),
                    }
                }
            };
            // What is watched is subscribed to on the next connection.
            self.watched.changed.notify_one();
            return ended;
        }
    }

    async fn hear(&self, stream: &mut PubSubStream, heard: &mut Instant) -> String {
        loop {
            match timeout_at(*heard + SILENT_AFTER, stream.next()).await {
                Ok(Some(message)) => {
                    *heard = Instant::now();
                    if let Some(message) = Message::decode(message.get_payload_bytes()) {
                        self.take(message);
                    }
                }
                Ok(None) => return "the connection ended".to_owned(),
                Err(_) => return "nothing is heard".to_owned(),
            }
        }
    }

    /// Subscribes to what is watched and not listened to yet, and the other way round.
    async fn follow(
        &self,
        sink: &mut PubSubSink,
        listened: &mut HashSet<OperationId>,
    ) -> RedisResult<()> {
        let watched = self.watched.all();
        let new: Vec<OperationId> = watched.difference(listened).copied().collect();
        for some in new.chunks(CHANNELS_AT_ONCE) {
            let channels: Vec<String> =
                some.iter().map(|id| self.channels.operation(*id)).collect();
            in_time(sink.subscribe(&channels)).await?;
            for operation in some {
                let _ = self.events.send(Event::Missed(Some(*operation)));
            }
        }
        let old: Vec<OperationId> = listened.difference(&watched).copied().collect();
        for some in old.chunks(CHANNELS_AT_ONCE) {
            let channels: Vec<String> =
                some.iter().map(|id| self.channels.operation(*id)).collect();
            in_time(sink.unsubscribe(&channels)).await?;
        }
        *listened = watched;
        Ok(())
    }

    fn take(&self, message: Message) {
        let is_mine = message.from == self.me;
        match message.body {
            // Whoever is too slow to read these misses some, and notices by their numbers.
            Body::Gossip(gossip) => drop(self.gossip.try_send((message.from, gossip))),
            Body::Errand(errand) => self.pass_on(errand),
            Body::Revoked(probe) if !is_mine => drop(self.events.send(Event::Revoked(probe))),
            Body::News(operation, news) if !is_mine => {
                if let Some(last_seq) = news.last_seq {
                    let _ = self.events.send(Event::Numbered(operation, last_seq));
                }
                let count = news.changes.len();
                for (place, (probe, state)) in news.changes.into_iter().enumerate() {
                    let _ = self.events.send(Event::Changed(Change {
                        operation,
                        probe,
                        state,
                        operation_ended: news.ended && place + 1 == count,
                    }));
                }
            }
            _ => {}
        }
    }

    fn pass_on(&self, errand: Errand) {
        if self.errands.try_send(errand).is_err() {
            tracing::warn!(
                "too many errands of other hubs at once; the store has what they were about"
            );
        }
    }
}

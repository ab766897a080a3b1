//! Publishes what waits in the queue, many messages a round trip. When Redis does not take it, it is lost.

use std::sync::Arc;

use ::redis::{Pipeline, RedisResult, aio::MultiplexedConnection};

use super::{
    queue::{Queue, Waiting},
    servers::{Servers, again, in_time},
    wire::{Body, Channels, Message},
};
use crate::{bus::InstanceId, metrics};

/// Bytes of one pipeline: enough to share a round trip, few enough to be written in time on a slow line.
const PIPELINE_BYTES: usize = 1 << 20;

/// The task that publishes.
pub(super) struct Writer {
    pub(super) servers: Servers,
    pub(super) channels: Channels,
    pub(super) me: InstanceId,
    pub(super) queue: Arc<Queue>,
}

impl Writer {
    /// Publishes until it is aborted.
    pub(super) async fn run(self, mut connection: MultiplexedConnection) {
        loop {
            let waiting = self.queue.take().await;
            if waiting.lost > 0 {
                metrics::bus_lost(waiting.lost);
                tracing::warn!(
                    lost = waiting.lost,
                    "Redis is too slow: messages to other hubs were lost"
                );
            }
            if let Err(error) = self.publish(&mut connection, waiting).await {
                tracing::warn!(%error, "Redis does not take messages; other hubs do not hear this one");
                connection = again(|| self.servers.connect()).await;
                // What waited meanwhile is old; whoever misses it finds it in the store.
                drop(self.queue.take_now());
                tracing::info!("Redis takes messages again");
            }
        }
    }

    async fn publish(
        &self,
        connection: &mut MultiplexedConnection,
        waiting: Waiting,
    ) -> RedisResult<()> {
        let news = waiting.news.into_iter().filter_map(|(operation, news)| {
            let message = Message {
                from: self.me,
                body: Body::News(operation, news),
            };
            Some((self.channels.operation(operation), message.encode()?))
        });
        let (mut pipeline, mut bytes) = (Pipeline::new(), 0);
        for (channel, message) in waiting.letters.into_iter().chain(news) {
            bytes += message.len();
            pipeline.publish(channel, message).ignore();
            if bytes >= PIPELINE_BYTES {
                in_time(pipeline.query_async::<()>(connection)).await?;
                pipeline.clear();
                bytes = 0;
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        in_time(pipeline.query_async::<()>(connection)).await
    }
}

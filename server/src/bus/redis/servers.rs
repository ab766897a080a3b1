//! Finds the Redis server to talk to: the one there is, the master that sentinels name, or any of a cluster, whose
//! members pass on to each other what is published.

use std::{sync::Arc, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, RedisResult, TlsMode,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::config::RedisSettings;

/// Longest a connection may take to be made, and a server to answer: under the four seconds after which others take a
/// silent hub for gone.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Pause before another attempt to connect; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest of these pauses: an operator who restarts Redis sees the hubs come back soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The servers of the settings. A cheap handle.
#[derive(Clone)]
pub(super) enum Servers {
    /// One server.
    One(Box<Client>),
    /// Whoever the sentinels say is the master.
    Sentinel(Arc<Mutex<SentinelClient>>),
    /// Members of a cluster, and the client that finds the member of a key.
    Cluster(Arc<(Vec<Client>, ClusterClient)>),
}

/// A connection for commands on keys.
#[derive(Clone)]
pub(super) enum Keys {
    /// To one server.
    One(MultiplexedConnection),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl Servers {
    /// Those of the settings; nothing is connected yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub(super) fn of(settings: &RedisSettings) -> RedisResult<Self> {
        Ok(match settings {
            RedisSettings::One(url) => Self::One(Box::new(Client::open(url.as_str())?)),
            RedisSettings::Cluster(urls) => {
                let members: RedisResult<Vec<Client>> =
                    urls.iter().map(|url| Client::open(url.as_str())).collect();
                let client = ClusterClient::builder(urls.iter().map(String::as_str))
                    .connection_timeout(ANSWERS_WITHIN)
                    .response_timeout(ANSWERS_WITHIN)
                    .build()?;
                Self::Cluster(Arc::new((members?, client)))
            }
            RedisSettings::Sentinel {
                sentinels,
                master,
                node,
            } => {
                let login = node.as_str().into_connection_info()?;
                let mut info = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(login.redis_settings().clone());
                if node.starts_with("rediss") {
                    info = info.set_tls_mode(TlsMode::Secure);
                }
                let sentinels = sentinels.iter().map(String::as_str).collect();
                let client = SentinelClient::build(
                    sentinels,
                    master,
                    Some(info),
                    SentinelServerType::Master,
                )?;
                Self::Sentinel(Arc::new(Mutex::new(client)))
            }
        })
    }

    /// A connection to publish on.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWERS_WITHIN))
            .set_response_timeout(Some(ANSWERS_WITHIN));
        self.first(|client| {
            let config = config.clone();
            async move {
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            }
        })
        .await
    }

    /// A connection to listen on.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        self.first(|client| async move { client.get_async_pubsub().await })
            .await
    }

    /// A connection to the first server that gives one.
    async fn first<C, F>(&self, connect: impl Fn(Client) -> F) -> RedisResult<C>
    where
        F: Future<Output = RedisResult<C>>,
    {
        let mut failure = late();
        for client in self.clients().await? {
            match in_time(connect(client)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A connection for commands on keys.
    pub(super) async fn keys(&self) -> RedisResult<Keys> {
        match self {
            Self::Cluster(cluster) => {
                let connection = in_time(cluster.1.get_async_connection()).await?;
                Ok(Keys::Cluster(connection))
            }
            Self::One(_) | Self::Sentinel(_) => Ok(Keys::One(self.connect().await?)),
        }
    }

    /// Servers to try in turn.
    async fn clients(&self) -> RedisResult<Vec<Client>> {
        Ok(match self {
            Self::One(client) => vec![Client::clone(client)],
            Self::Cluster(cluster) => cluster.0.clone(),
            Self::Sentinel(client) => {
                let master = async { client.lock().await.async_get_client().await };
                vec![in_time(master).await?]
            }
        })
    }
}

impl ConnectionLike for Keys {
    fn req_packed_command<'a>(
        &'a mut self,
        command: &'a ::redis::Cmd,
    ) -> ::redis::RedisFuture<'a, ::redis::Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a ::redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> ::redis::RedisFuture<'a, Vec<::redis::Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Connects again, however long that takes.
pub(super) async fn again<C, F>(connect: impl Fn() -> F) -> C
where
    F: Future<Output = RedisResult<C>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        match connect().await {
            Ok(connection) => return connection,
            Err(error) => tracing::debug!(%error, "Redis cannot be reached"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits no longer than a server may take.
pub(super) async fn in_time<T>(work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(ANSWERS_WITHIN, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

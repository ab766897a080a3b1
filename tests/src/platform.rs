//! Several hubs that are one platform: one database, one Redis of their own.

use std::time::Duration;

use probe_protocol::ProbeId;
use serde_json::Value;
use services::{mongod, redis, redis::Redis};

use crate::{Hub, TestUser, eventually};

/// The key of all hubs of a test.
pub const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

/// Such hubs.
#[derive(Debug)]
pub struct Platform {
    /// The hubs.
    pub hubs: Vec<Hub>,
    /// Their Redis.
    pub redis: Redis,
}

impl Platform {
    /// Why there can be none on this machine; none if there can.
    #[must_use]
    pub fn missing() -> Option<String> {
        mongod::missing().or_else(redis::missing)
    }

    /// So many hubs.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, &[]).await
    }

    /// So many hubs, with settings beside the usual ones.
    pub async fn start_with(count: usize, settings: &[(&str, &str)]) -> Self {
        let uri = mongod::shared().await.uri();
        Self::start_on(&uri, Redis::start().await, count, settings).await
    }

    /// So many hubs on this MongoDB and this Redis.
    pub async fn start_on(
        uri: &str,
        redis: Redis,
        count: usize,
        settings: &[(&str, &str)],
    ) -> Self {
        let url = redis.url();
        let mut all = vec![("REDIS_URL", url.as_str()), ("SECRET_KEY", SECRET)];
        all.extend(settings);
        let first = Hub::on_mongo(uri, &all).await;
        let mut hubs = vec![first];
        while hubs.len() < count {
            hubs.push(hubs[0].beside().await);
        }
        Self { hubs, redis }
    }

    /// Another hub.
    pub async fn join(&mut self) -> &Hub {
        let hub = self.hubs[0].beside().await;
        self.hubs.push(hub);
        &self.hubs[self.hubs.len() - 1]
    }

    /// A probe as one of the hubs shows it.
    pub async fn seen_at(&self, hub: usize, user: &TestUser, probe: ProbeId) -> Value {
        seen(&user.at(&self.hubs[hub]), probe).await
    }

    /// Waits until all hubs but those show something of a probe.
    ///
    /// # Panics
    /// When that takes longer.
    pub async fn all_see(
        &self,
        limit: Duration,
        user: &TestUser,
        probe: ProbeId,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) {
        for hub in &self.hubs {
            let user = user.at(hub);
            eventually(limit, what, async || {
                let seen = seen(&user, probe).await;
                fits(&seen).then_some(())
            })
            .await;
        }
    }
}

/// Whether a probe is shown as connected.
#[must_use]
pub fn is_connected(seen: &Value) -> bool {
    seen["connected"] == true
}

async fn seen(user: &TestUser, probe: ProbeId) -> Value {
    user.api
        .get(&format!("/api/v1/probes/{probe}"))
        .await
        .expect(200)
}

//! A hub with users, probes and operations of all kinds, ready to be kept busy.

use mongodb::Database;
use probe_protocol::{ContentFormat, OperationId};
use serde_json::Value;
use tests::{Hub, TestProbe, orders};

/// Credits of who pays: more than all operations cost.
const RICH: i64 = 1_000_000_000_000;
/// Users who host the probes.
const HOSTS: usize = 4;
/// Operations of each kind; all of them run on all probes.
const OF_EACH_KIND: usize = 2;

/// An operation, and what each of its runs brings in.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The operation.
    pub(crate) operation: OperationId,
    /// What the contents are.
    pub(crate) format: ContentFormat,
    /// What a tool wrote.
    pub(crate) content: Vec<u8>,
}

/// Everything that is there before the first result.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The hub.
    pub(crate) hub: Hub,
    /// Its probes; nobody is connected.
    pub(crate) probes: Vec<TestProbe>,
    /// Each is assigned to all probes and plans far more runs than there will be results.
    pub(crate) work: Vec<Work>,
}

impl Scene {
    /// Sets it on the MongoDB of that URI, in a fresh database.
    pub(crate) async fn set(uri: &str, probes: usize) -> Self {
        let hub = Hub::on_mongo(uri, &[("LOG_LEVEL", "info")]).await;
        let mut hosts = Vec::with_capacity(HOSTS);
        for number in 0..HOSTS {
            hosts.push(hub.user(&format!("host-{number}"), 0).await);
        }
        let mut registered = Vec::with_capacity(probes);
        for (number, host) in hosts.iter().cycle().take(probes).enumerate() {
            registered.push(host.probe(&format!("probe {number}")).await);
        }
        let ids: Vec<_> = registered.iter().map(|probe| probe.id).collect();
        let payer = hub.user("payer", RICH).await;
        let mut work = Vec::new();
        for _ in 0..OF_EACH_KIND {
            for (order, format, content) in kinds(&ids) {
                let order = orders::endless(orders::queued(order));
                work.push(Work {
                    operation: payer.launch(&order).await,
                    format,
                    content,
                });
            }
        }
        Self {
            hub,
            probes: registered,
            work,
        }
    }

    /// Where the hub keeps everything.
    pub(crate) async fn database(&self) -> Database {
        self.hub.mongo().await.expect("a hub on MongoDB")
    }
}

/// An order of each kind, and what agents with the usual tools answer to it.
fn kinds(probes: &[probe_protocol::ProbeId]) -> [(Value, ContentFormat, Vec<u8>); 3] {
    [
        (
            orders::ping(probes),
            ContentFormat::Warts,
            orders::PING_WARTS.to_vec(),
        ),
        (
            orders::traceroute(probes),
            ContentFormat::Warts,
            orders::TRACEROUTE_WARTS.to_vec(),
        ),
        (
            orders::dns(probes),
            ContentFormat::Gzip,
            orders::gzip(orders::DIG_TEXT.as_bytes()),
        ),
    ]
}

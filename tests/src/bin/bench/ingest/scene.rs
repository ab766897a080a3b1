//! A hub with users, probes and operations of all kinds, ready to be kept busy.

use probe_protocol::{ContentFormat, OperationId};
use serde_json::Value;
use tests::{Hub, TestProbe, orders};

use crate::population::RICH;

/// Users who host the probes.
const HOSTS: usize = 4;
/// Operations of each kind; all of them run on all probes.
const OF_EACH_KIND: usize = 2;

/// An operation, and what each of its runs brings in.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// The operation.
    pub(super) operation: OperationId,
    /// What the contents are.
    pub(super) format: ContentFormat,
    /// What a tool wrote.
    pub(super) content: Vec<u8>,
}

/// Everything that is there before the first result.
#[derive(Debug)]
pub(super) struct Scene {
    /// The hub.
    pub(super) hub: Hub,
    /// Others on the same database.
    pub(super) others: Vec<Hub>,
    /// Its probes; nobody is connected.
    pub(super) probes: Vec<TestProbe>,
    /// Each is assigned to all probes and plans far more runs than there will be results.
    pub(super) work: Vec<Work>,
}

impl Scene {
    /// Sets it in a fresh database on the MongoDB of that URI, or in a file.
    pub(super) async fn set(mongo: Option<&str>, probes: usize) -> Self {
        let quiet = &[("LOG_LEVEL", "info")];
        let hub = match mongo {
            Some(uri) => Hub::on_mongo(uri, quiet).await,
            None => Hub::start_with(quiet).await,
        };
        Self::of(hub, Vec::new(), probes).await
    }

    /// Sets it on hubs that are there.
    pub(super) async fn of(hub: Hub, others: Vec<Hub>, probes: usize) -> Self {
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
            others,
            probes: registered,
            work,
        }
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

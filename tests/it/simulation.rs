//! `pladmed-probe simulate` at a real hub: nothing gets lost, each profile is what it says, and what is told is true.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream};
use probe_protocol::{OperationId, ProbeId};
use serde_json::{Value, json};
use tests::{Hub, Simulated, TestProbe, TestUser, Trial, eventually};

mod honest;
mod liars;
mod usage;
mod weather;

pub(crate) fn trials() -> Vec<Trial> {
    let all = [
        honest::trials(),
        liars::trials(),
        usage::trials(),
        weather::trials(),
    ];
    all.into_iter().flatten().collect()
}

/// Longest results may take to be there, on a machine that is busy.
const STORED_WITHIN: Duration = Duration::from_secs(60);
/// More than any operations of these tests cost.
const RICH: i64 = 1_000_000_000;
/// Probes that are registered at the same time.
const AT_ONCE: usize = 16;

/// A hub with a user and probes.
struct Site {
    hub: Hub,
    user: TestUser,
    probes: Vec<TestProbe>,
}

impl Site {
    async fn new(probes: usize) -> Self {
        let hub = Hub::start().await;
        let user = hub.user("fleet", RICH).await;
        let registering = stream::iter(0..probes).map(async |number| {
            let name = format!("probe {number}");
            user.probe(&name).await
        });
        let probes = registering.buffered(AT_ONCE).collect().await;
        Self { hub, user, probes }
    }

    fn ids(&self) -> Vec<ProbeId> {
        self.probes.iter().map(|probe| probe.id).collect()
    }

    /// The fleet of all its probes.
    fn simulate(&self, arguments: &[&str]) -> Simulated {
        let tokens: Vec<&str> = self.probes.iter().map(|it| it.token.as_str()).collect();
        Simulated::start(&self.hub.url(), &tokens, arguments)
    }

    /// Waits until so many results are there.
    async fn stored(&self, results: i64) {
        let what = format!("{results} results");
        let all = || async { (self.count().await >= results).then_some(()) };
        eventually(STORED_WITHIN, &what, all).await;
    }

    /// Results that are there.
    async fn count(&self) -> i64 {
        self.hub.number("select count(*) from results").await
    }

    /// Probes that brought a result of an operation, by the API.
    async fn brought(&self, operation: OperationId) -> BTreeSet<String> {
        let results = self.user.results(operation).await;
        let probe = |result: &Value| result["probe"].as_str().expect("a probe").to_owned();
        results.iter().map(probe).collect()
    }
}

/// One run of a kind on these probes, which may be away.
fn once(kind: &str, probes: &[ProbeId]) -> Value {
    json!({"kind": kind, "targets": ["192.0.2.1"], "probes": probes, "offline": "queue"})
}

//! Many probes that deliver results of the same few operations.

use std::{collections::HashSet, time::Duration};

use probe_protocol::OperationId;
use tokio::task::JoinSet;

use crate::{Courier, Hub, TestProbe, TestUser, courier::Tally, database, orders, probe::result};

/// Probes, operations that all of them run, and the results they will deliver.
#[derive(Debug)]
pub struct Fleet {
    /// Pays for everything and hosts the probes.
    pub owner: TestUser,
    /// The probes.
    pub probes: Vec<TestProbe>,
    /// Each is assigned to all probes and plans far more runs than there are results.
    pub operations: Vec<OperationId>,
    /// Counts what the couriers do.
    pub tally: Tally,
}

/// More than any fleet's operations cost.
const RICH: i64 = 100_000_000_000;

impl Fleet {
    /// Registers the probes and creates the operations.
    ///
    /// # Panics
    /// When the hub refuses any of it.
    pub async fn new(hub: &Hub, probes: usize, operations: usize) -> Self {
        Self::of(hub.user("fleet", RICH).await, probes, operations).await
    }

    /// The same for a user who is there.
    ///
    /// # Panics
    /// When the hub refuses any of it.
    pub async fn of(owner: TestUser, probes: usize, operations: usize) -> Self {
        let mut registered = Vec::new();
        for number in 0..probes {
            registered.push(owner.probe(&format!("probe {number}")).await);
        }
        let ids: Vec<_> = registered.iter().map(|probe| probe.id).collect();
        let order = orders::endless(orders::queued(orders::ping(&ids)));
        let mut launched = Vec::new();
        for _ in 0..operations {
            launched.push(owner.launch(&order).await);
        }
        Self {
            owner,
            probes: registered,
            operations: launched,
            tally: Tally::default(),
        }
    }

    /// Starts a courier for each probe with so many results, spread over the operations.
    #[must_use]
    pub fn deliver(&self, url: &str, results_each: usize, pause: Option<Duration>) -> JoinSet<()> {
        let mut couriers = JoinSet::new();
        for probe in &self.probes {
            let results = (0..results_each)
                .map(|number| {
                    result(
                        self.operations[number % self.operations.len()],
                        &format!("run-{number}"),
                    )
                })
                .collect();
            let (url, token, tally) = (url.to_owned(), probe.token.clone(), self.tally.clone());
            couriers.spawn(
                Courier {
                    url,
                    token,
                    results,
                    pause,
                    tally,
                }
                .run(),
            );
        }
        couriers
    }

    /// Holds the store to what was delivered: every result once, nothing else.
    ///
    /// # Panics
    /// With what is missing.
    pub fn check(&self, hub: &Hub, results_each: usize) {
        self.check_codes(
            &database::snapshot(&hub.data_dir()).result_codes(),
            results_each,
        );
    }

    /// The same for what [`database::Snapshot::result_codes`] tells of any store.
    ///
    /// # Panics
    /// With what is missing.
    pub fn check_codes(&self, stored: &HashSet<String>, results_each: usize) {
        let expected: HashSet<String> = self
            .probes
            .iter()
            .flat_map(|probe| {
                (0..results_each).map(move |number| {
                    format!(
                        "{} {} run-{number}",
                        self.operations[number % self.operations.len()],
                        probe.id
                    )
                })
            })
            .collect();
        let missing: Vec<&String> = expected.difference(stored).collect();
        assert!(
            missing.is_empty(),
            "{} acknowledged results are missing, as {:?}",
            missing.len(),
            missing[0]
        );
        let strange: Vec<&String> = stored.difference(&expected).collect();
        assert!(
            strange.is_empty(),
            "{} results came from nowhere, as {:?}",
            strange.len(),
            strange[0]
        );
    }
}

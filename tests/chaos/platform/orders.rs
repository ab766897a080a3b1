//! Customers who create the plan's operations through whichever instance answers, cancel some, and watch some.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use probe_protocol::{OperationId, ProbeId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Api, orders, random};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    plan::{self, Order},
    scene::Scene,
};
use crate::{
    customer::{Receipts, insist},
    watcher::Watcher,
};

/// Longest a customer waits for an answer before another instance is asked: longer than any of them stands still.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far ahead an operation on a schedule ends, seconds: after some instants, after the longest silence of its probes, and
/// after the longest that a customer waits for it to be taken.
const SCHEDULED_FOR_S: i64 = 270;
/// Streams that watch an operation, and how often each is cut.
const WATCHERS: usize = 2;
const CUTS: usize = 3;

/// What a customer was told of one operation.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) receipts: Receipts,
    /// Streams that its watchers needed.
    pub(crate) streams: usize,
}

/// Places all orders at their times.
pub(crate) fn place_all(scene: &Scene, all: &[Order], started: Instant) -> JoinSet<Placed> {
    let mut placing = JoinSet::new();
    for order in all {
        let ids: Vec<ProbeId> = order
            .probes
            .iter()
            .map(|probe| scene.probes[*probe].id)
            .collect();
        let buyer = Buyer {
            apis: scene.customers[order.customer].clone(),
            random: StdRng::seed_from_u64(order.seed),
            receipts: Receipts::default(),
        };
        let results = order
            .probes
            .iter()
            .filter(|probe| !plan::refuses(scene.seed, **probe, order.number))
            .count();
        // Without word from the others an instance cannot tell what goes on there.
        let results = (order.watched && scene.is_shared()).then_some(results);
        placing.spawn(buyer.buy(order.clone(), ids, results, started));
    }
    placing
}

/// Someone who creates one operation.
struct Buyer {
    apis: Vec<Api>,
    random: StdRng,
    receipts: Receipts,
}

impl Buyer {
    async fn buy(
        mut self,
        order: Order,
        ids: Vec<ProbeId>,
        results: Option<usize>,
        started: Instant,
    ) -> Placed {
        sleep_until(started + order.at).await;
        let body = body(&order, &ids);
        let key = format!("order {}", order.number);
        let made = self.insist(|api| {
            let request = api.request(Method::POST, "/api/v1/operations");
            request.header("idempotency-key", &key).json(&body)
        });
        let made = made.await;
        let id = made["id"].as_str().expect("an id").to_owned();
        if let Some(after) = order.cancel_after {
            sleep(after).await;
            let path = format!("/api/v1/operations/{id}");
            self.insist(|api| api.request(Method::DELETE, &path)).await;
        }
        let operation: OperationId = id.parse().expect("an identifier");
        self.receipts.note(id, order.cancel_after.is_some());
        let streams = match results {
            Some(results) => self.watch(operation, results).await,
            None => 0,
        };
        Placed {
            receipts: self.receipts,
            streams,
        }
    }

    /// Asks one instance after the other until one answers with success.
    async fn insist(&mut self, request: impl Fn(&Api) -> reqwest::RequestBuilder) -> Value {
        let (apis, random) = (&self.apis, &mut self.random);
        let request = || request(&apis[random.random_range(0..apis.len())]);
        insist(request, Some(PATIENCE), &mut self.receipts).await
    }

    async fn watch(&mut self, operation: OperationId, results: usize) -> usize {
        let mut watching = JoinSet::new();
        for _ in 0..WATCHERS {
            let watcher = Watcher {
                apis: self.apis.clone(),
                operation,
                results,
                cuts: CUTS,
                random: StdRng::seed_from_u64(self.random.random()),
            };
            watching.spawn(watcher.watch());
        }
        watching.join_all().await.into_iter().sum()
    }
}

fn body(order: &Order, ids: &[ProbeId]) -> Value {
    let mut body = orders::queued(orders::ping(ids));
    body["targets"] = json!([plan::target(order.number)]);
    match order.times_per_minute {
        Some(times) => {
            let stop = Utc::now() + TimeDelta::seconds(SCHEDULED_FOR_S);
            orders::every_minute(body, times, stop)
        }
        None => body,
    }
}

/// The seed of a run, printed.
pub(crate) fn seed(test: &str) -> u64 {
    random::seeded(test).random()
}

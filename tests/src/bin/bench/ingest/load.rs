//! Keeps a hub busy and measures it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::doc;
use tests::{Hub, wait::within};
use tokio::{task::JoinSet, time::sleep};

use super::{
    PROBES, WINDOW,
    scene::Scene,
    sender::{Frame, Phase, Sender, Shared},
};
use crate::{
    figure::{percentile, rate},
    machine::CpuTimes,
};

/// Time before what is measured: caches fill, batches find their size.
const WARM_UP: Duration = Duration::from_secs(2);
/// Longest the answers to the last results may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What a hub did.
#[derive(Debug)]
pub(super) struct Taken {
    /// Results acknowledged in a second.
    pub(super) per_second: f64,
    /// Half of the answers took less, milliseconds.
    pub(super) p50_ms: f64,
    /// 99 of 100 answers took less, milliseconds.
    pub(super) p99_ms: f64,
    /// Processor time of the hub, of the store's own process and of this one for a result, µs.
    pub(super) cpu_us: [f64; 3],
}

/// Measures it, with the others of its scene, at so many results a second or at as many as it takes. `store` is the store's own process.
///
/// # Panics
/// When the hub stores anything else than it acknowledged.
pub(super) async fn measure(
    scene: &mut Scene,
    time: Duration,
    rate_wanted: Option<f64>,
    store: Option<u32>,
) -> Taken {
    let before = stored(&scene.hub).await;
    let shared = Shared::default();
    shared.begin(Phase::Warm);
    let mut running = JoinSet::new();
    #[expect(clippy::cast_precision_loss, reason = "a few probes")]
    let pace = rate_wanted.map(|rate| Duration::from_secs_f64(PROBES as f64 / rate));
    for sender in connect(scene, pace, &shared).await {
        running.spawn(sender.run());
    }
    sleep(WARM_UP).await;
    let hub = scene.hub.process().pid();
    let us = Some(std::process::id());
    // Where the store is a part of the hub, the account of this process stands in for its own, and is left out below.
    let processes = [hub, store.or(us), us];
    let cpu_before = CpuTimes::of(processes);
    let (stored_before, began) = (shared.stored(), Instant::now());
    shared.begin(Phase::Measured);
    sleep(time).await;
    let (count, took) = (shared.stored() - stored_before, began.elapsed());
    let mut cpu_us = CpuTimes::of(processes).since(&cpu_before).per(count);
    if store.is_none() {
        cpu_us[1] = 0.0;
    }
    shared.begin(Phase::Over);
    let all = within(ANSWERED_WITHIN, "the last answers", running.join_all()).await;
    let mut latencies: Vec<Duration> = all.into_iter().flatten().collect();
    latencies.sort_unstable();
    let [results, rewards] = stored(&scene.hub).await;
    let acknowledged = i64::try_from(shared.stored()).expect("a number");
    assert_eq!(results - before[0], acknowledged, "stored results");
    assert_eq!(rewards - before[1], acknowledged, "rewards");
    Taken {
        per_second: rate(count, took),
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        cpu_us,
    }
}

async fn connect(scene: &Scene, pace: Option<Duration>, shared: &Shared) -> Vec<Sender> {
    let frames: Arc<Vec<Frame>> = Arc::new(scene.work.iter().map(Frame::of).collect());
    let operations: Vec<_> = scene.work.iter().map(|work| work.operation).collect();
    let hubs = std::iter::once(&scene.hub).chain(&scene.others);
    let urls: Vec<String> = hubs.map(Hub::url).collect();
    let mut senders = Vec::with_capacity(scene.probes.len());
    for (probe, url) in scene.probes.iter().zip(urls.iter().cycle()) {
        let (frames, operations) = (frames.clone(), operations.clone());
        let sender = Sender::connect(url, &probe.token, operations, frames, shared.clone());
        let sender = sender.await;
        senders.push(match pace {
            Some(pace) => sender.paced(pace),
            None => sender.with_window(WINDOW),
        });
    }
    senders
}

/// Results and rewards in the store.
pub(crate) async fn stored(hub: &Hub) -> [i64; 2] {
    if let Some(database) = hub.mongo().await {
        let count = async |name: &str, filter| {
            let all = database.collection::<bson::Document>(name);
            let count = all.count_documents(filter).await.expect("a number");
            i64::try_from(count).expect("a number")
        };
        let rewards = doc! { "reason": "reward" };
        return [
            count("results", doc! {}).await,
            count("ledger", rewards).await,
        ];
    }
    let file = tests::database::open(&hub.data_dir());
    let count = |sql| file.query_row(sql, [], |row| row.get(0)).expect("a number");
    [
        count("select count(*) from results"),
        count("select count(*) from ledger where reason = 'reward'"),
    ]
}

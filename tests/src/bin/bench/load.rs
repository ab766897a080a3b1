//! Keeps a hub busy and measures it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::doc;
use mongodb::Database;
use services::Mongod;
use tests::wait::within;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    figures::{Cpu, Hub, percentile, rate},
    machine::CpuTimes,
    rounds::Plan,
    scene::Scene,
    sender::{Frame, Phase, Sender, Shared},
};

/// Time before what is measured: caches fill, batches find their size.
const WARM_UP: Duration = Duration::from_secs(2);
/// Longest the answers to the last results may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Measures it.
///
/// # Panics
/// When the hub stores anything else than it acknowledged.
pub(crate) async fn measure(scene: &mut Scene, plan: &Plan, mongod: &Mongod) -> Hub {
    let shared = Shared::default();
    shared.begin(Phase::Warm);
    let mut running = JoinSet::new();
    for sender in connect(scene, plan.window, &shared).await {
        running.spawn(sender.run());
    }
    sleep(WARM_UP).await;
    let hub = scene.hub.process().pid();
    let processes = [hub, mongod.pid(), Some(std::process::id())];
    let cpu_before = CpuTimes::of(processes);
    let (stored_before, began) = (shared.stored(), Instant::now());
    shared.begin(Phase::Measured);
    sleep(plan.time).await;
    let (stored, took) = (shared.stored() - stored_before, began.elapsed());
    let cpu = CpuTimes::of(processes).since(&cpu_before);
    shared.begin(Phase::Over);
    let all = within(ANSWERED_WITHIN, "the last answers", running.join_all()).await;
    let mut latencies: Vec<Duration> = all.into_iter().flatten().collect();
    latencies.sort_unstable();
    check(&scene.database().await, shared.stored()).await;
    let [hub, mongod, bench] = cpu.per(stored);
    Hub {
        per_second: rate(stored, took),
        ack_p50_ms: percentile(&latencies, 50),
        ack_p99_ms: percentile(&latencies, 99),
        cpu_us: Cpu { hub, mongod, bench },
        acknowledged: shared.stored(),
    }
}

async fn connect(scene: &Scene, window: usize, shared: &Shared) -> Vec<Sender> {
    let frames: Arc<Vec<Frame>> = Arc::new(scene.work.iter().map(Frame::of).collect());
    let operations: Vec<_> = scene.work.iter().map(|work| work.operation).collect();
    let url = scene.hub.url();
    let mut senders = Vec::with_capacity(scene.probes.len());
    for probe in &scene.probes {
        let (frames, operations) = (frames.clone(), operations.clone());
        let sender = Sender::connect(
            &url,
            &probe.token,
            operations,
            frames,
            window,
            shared.clone(),
        );
        senders.push(sender.await);
    }
    senders
}

/// Stored is what was acknowledged, and paid for.
async fn check(database: &Database, acknowledged: usize) {
    let acknowledged = u64::try_from(acknowledged).expect("a number");
    let results = database.collection::<bson::Document>("results");
    let stored = results.count_documents(doc! {}).await;
    assert_eq!(stored.expect("a number"), acknowledged, "stored results");
    let ledger = database.collection::<bson::Document>("ledger");
    let rewards = ledger.count_documents(doc! { "reason": "reward" }).await;
    assert_eq!(rewards.expect("a number"), acknowledged, "rewards");
}

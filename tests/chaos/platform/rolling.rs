//! A new version is rolled out: each hub in turn is told to stop and started again, while operations run.

use std::{collections::HashMap, time::Duration};

use tests::eventually;
use tokio::time::Instant;

use super::{
    endure,
    faults::{Broken, Victims},
    journal::of,
    minutes, orders,
    plan::{HUBS, Plan, Size},
    quiet, quiet_after,
    scene::Scene,
    summary::Summary,
    verdict::Verdict,
};

/// How long operations are created: three hubs stop and start in it.
const LENGTH: Duration = Duration::from_secs(30);
/// Probes, and more of them where chaos goes on for long.
const PROBES: usize = 300;
const MANY_PROBES: usize = 1500;
const MANY_FROM_MINUTES: f64 = 5.0;
/// One in so many speaks as agents of the replaced system do.
const OLD_IN: usize = 20;
/// Longest until all probes are served again after a hub stopped.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// Every hub stops cleanly, loses nothing, and sends nobody away but its own probes.
pub(crate) async fn rolling() {
    let seed = orders::seed("rolling");
    let probes = if minutes() < MANY_FROM_MINUTES {
        PROBES
    } else {
        MANY_PROBES
    };
    let size = Size {
        length: LENGTH,
        probes,
        old: probes / OLD_IN,
    };
    let plan = Plan::of(seed, size);
    let mut scene = Scene::start(seed, size, false).await;
    let broken = Broken::default();
    let started = Instant::now();
    let placing = orders::place_all(&scene, &plan.orders, started);
    let mut summary = Summary::new(&format!("rolling: {probes} probes"));
    for hub in 0..HUBS {
        roll(&scene, &broken, hub, &mut summary).await;
    }
    let placed = endure(
        &mut scene,
        &broken,
        tokio::task::JoinSet::new(),
        placing,
        started,
    )
    .await;
    let quiet = quiet(&mut scene, &broken, started).await;
    let verdict = Verdict::of(&scene, &placed).await;
    summary.work(&scene.tally, &placed, &verdict);
    summary.row("quiet after the last order", quiet_after(quiet));
    let kept = summary.promises(&verdict.promises);
    summary.show();
    assert!(kept && quiet.is_some(), "promises were broken");
}

/// Ends of sessions so far, by hub.
fn ends(scene: &Scene) -> HashMap<usize, usize> {
    let mut ends = HashMap::new();
    for journal in &scene.journals {
        for (hub, count) in &journal.open().ends {
            *ends.entry(*hub).or_default() += count;
        }
    }
    ends
}

async fn roll(scene: &Scene, broken: &Broken, hub: usize, summary: &mut Summary) {
    let all_served = async || (of(&scene.tally.connected) == scene.size.probes).then_some(());
    eventually(SERVED_WITHIN, "all probes served", all_served).await;
    let before = ends(scene);
    let here = scene
        .journals
        .iter()
        .filter(|journal| journal.open().at == Some(hub))
        .count();
    let began = Instant::now();
    let mut process = scene.hubs[hub].lock().await;
    let code = process.terminate().await;
    let stopped = began.elapsed();
    eventually(SERVED_WITHIN, "all probes served", all_served).await;
    let served = began.elapsed();
    Victims::of(scene, broken).serve_again(&mut process).await;
    summary.row(
        &format!("hub {hub}"),
        format!("{here} probes, stopped in {stopped:.1?}, all served elsewhere after {served:.1?}"),
    );
    assert_eq!(code, 0, "the exit code of a hub that was told to stop");
    let after = ends(scene);
    for other in (0..HUBS).filter(|other| *other != hub) {
        assert_eq!(
            before.get(&other),
            after.get(&other),
            "probes of hub {other} had to move"
        );
    }
    let moved = after.get(&hub).unwrap_or(&0) - before.get(&hub).unwrap_or(&0);
    assert_eq!(moved, here, "probes of hub {hub} that moved");
}

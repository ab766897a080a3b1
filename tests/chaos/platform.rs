//! Many hubs, one platform: three hubs, a thousand probes that keep journals of their own, and a plan of faults and orders
//! that follows from a seed. Afterwards the journals and the store must agree on everything.
//!
//! `make chaos MINUTES=10` runs it for long; `PLADMED_SEED` repeats a run.

use std::time::Duration;

use bson::{Document, doc};
use tests::{Case, Trial};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

mod faults;
mod ghosts;
mod journal;
mod latency;
mod old;
mod orders;
mod plan;
mod player;
mod probe;
mod redis;
mod rolling;
mod scene;
mod summary;
mod verdict;

use faults::{Broken, Victims};
use orders::Placed;
use plan::{Plan, Size};
use scene::Scene;
use summary::Summary;
use verdict::{Promise, Verdict};

/// Environment variable with the minutes of chaos.
const MINUTES: &str = "PLADMED_CHAOS_MINUTES";
/// When it is not set: what every run of the tests can afford.
const USUAL_MINUTES: f64 = 0.75;
/// Environment variable that makes MongoDB a replica set that elects, whatever it holds.
const ELECTS: &str = "PLADMED_CHAOS_ELECTS";
const PROBES: usize = 1000;
const OLD_PROBES: usize = 50;
/// Longest from the last repair until all operations ended and all results are answered. What a hub that was killed held
/// in a transaction is free again after a minute at the latest.
const QUIET_WITHIN: Duration = Duration::from_secs(90);
/// Longest all else may take: starting, looking, measuring, on a machine that is busy.
const AROUND: Duration = Duration::from_secs(240);
/// Longest the last repairs and the customers' last answers may take.
const REPAIRED_WITHIN: Duration = Duration::from_secs(120);
/// Pause between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often the store is asked whether it is quiet, and old agents settle what they can only settle by connecting.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SETTLE_EVERY: Duration = Duration::from_secs(6);
/// Longest a count may take.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("chaos::platform::nothing_is_lost_or_doubled")
            .within(chaos_length() + QUIET_WITHIN + AROUND)
            .unless(services::mongod::missing())
            .unless(redis::missing())
            .run(nothing_is_lost_or_doubled),
        Case::new("chaos::platform::rolling")
            .within(AROUND)
            .unless(services::mongod::missing())
            .unless(redis::missing())
            .run(rolling::rolling),
    ]
}

fn minutes() -> f64 {
    let set = std::env::var(MINUTES).ok();
    set.map_or(USUAL_MINUTES, |text| {
        text.parse()
            .expect("PLADMED_CHAOS_MINUTES must be a number")
    })
}

fn chaos_length() -> Duration {
    Duration::from_secs_f64(minutes() * 60.0)
}

async fn nothing_is_lost_or_doubled() {
    let seed = orders::seed("platform");
    let size = Size {
        length: chaos_length(),
        probes: PROBES,
        old: OLD_PROBES,
    };
    let plan = Plan::of(seed, size);
    assert_eq!(plan, Plan::of(seed, size), "a plan follows from its seed");
    let began = Instant::now();
    let mut scene = Scene::start(seed, size, std::env::var(ELECTS).is_ok()).await;
    eprintln!(
        "platform: {} probes at {} hubs after {:.1?}; {} faults and {} orders in {:.0?}",
        size.probes,
        scene.urls.len(),
        began.elapsed(),
        plan.lanes.iter().map(Vec::len).sum::<usize>(),
        plan.orders.len(),
        size.length,
    );
    let broken = Broken::default();
    let started = Instant::now();
    let faults = Victims::of(&scene, &broken).suffer(&plan.lanes, started);
    let placing = orders::place_all(&scene, &plan.orders, started);
    let placed = endure(&mut scene, &broken, faults, placing, started).await;
    let quiet = quiet(&mut scene, &broken, started).await;
    let mut verdict = Verdict::of(&scene, &placed).await;
    let mut summary = Summary::new(&format!(
        "platform: {:.0?} of chaos, {:.0?} in all",
        size.length,
        began.elapsed()
    ));
    summary.faults(&broken);
    summary.work(&scene.tally, &placed, &verdict);
    summary.row("quiet after the last repair", quiet_after(quiet));
    let kept = if scene.is_shared() {
        news(&scene, &mut summary, &mut verdict).await
    } else {
        summary.row("presence, dispatch, ghosts", "not looked at: no Redis");
        true
    };
    let kept = summary.promises(&verdict.promises) && kept;
    if !(kept && quiet.is_some()) {
        summary.timeline(&broken);
    }
    summary.show();
    assert!(kept && quiet.is_some(), "promises were broken");
}

/// Looks at what hubs hear of each other; whether it is quick enough.
async fn news(scene: &Scene, summary: &mut Summary, verdict: &mut Verdict) -> bool {
    let latencies = latency::measure(scene).await;
    summary.latencies(&latencies);
    let ghosts = ghosts::ghosts(scene).await;
    for (when, took) in &ghosts.took {
        summary.row(
            &format!("all hubs agree on who is there {when}"),
            format!("{took:.1?}"),
        );
    }
    let broken = ghosts.broken;
    verdict.promises.push(Promise {
        name: "ghosts",
        broken,
    });
    let is_quick = |samples: &latency::Samples| samples.percentile(99) <= latency::PRESENCE_P99;
    latencies.presence.iter().all(is_quick)
}

/// What is done now and then while something is waited for.
struct Upkeep {
    started: Instant,
    progress: Instant,
    settle: Instant,
}

impl Upkeep {
    /// Of a run that started then; old agents settle from a moment on.
    fn from(started: Instant, settle: Instant) -> Self {
        Self {
            started,
            progress: Instant::now(),
            settle,
        }
    }

    async fn look(&mut self, scene: &mut Scene, broken: &Broken, settles: bool) {
        scene.look_after_probes();
        let now = Instant::now();
        if settles && now >= self.settle {
            self.settle = now + SETTLE_EVERY;
            settle_old(scene);
        }
        if now >= self.progress {
            self.progress = now + PROGRESS_EVERY;
            let operations = operations(scene).await;
            summary::progress(self.started.elapsed(), &scene.tally, broken, &operations);
        }
    }
}

/// Waits until everything that the plan breaks is repaired and all orders are placed.
async fn endure(
    scene: &mut Scene,
    broken: &Broken,
    mut faults: JoinSet<()>,
    mut placing: JoinSet<Placed>,
    started: Instant,
) -> Vec<Placed> {
    let mut placed = Vec::new();
    let limit = scene.size.length + REPAIRED_WITHIN;
    let mut upkeep = Upkeep::from(started, started + scene.size.length);
    while !(faults.is_empty() && placing.is_empty()) {
        tokio::select! {
            Some(ended) = faults.join_next() => ended.expect("a lane of faults"),
            Some(one) = placing.join_next() => placed.push(one.expect("a customer")),
            () = sleep(LOOK_EVERY) => {}
        }
        // Those who watch an operation wait for old agents too.
        upkeep.look(scene, broken, faults.is_empty()).await;
        assert!(
            started.elapsed() < limit,
            "not repaired: {:?}",
            broken.open().now
        );
    }
    placed
}

/// How many operations there are and how many have not ended, for people.
async fn operations(scene: &Scene) -> String {
    match (count(scene, doc! {}).await, count(scene, open()).await) {
        (Some(all), Some(open)) => format!("{all} operations, {open} open"),
        _ => "the store is away".to_owned(),
    }
}

fn open() -> Document {
    doc! { "ended_at": null }
}

async fn count(scene: &Scene, filter: Document) -> Option<u64> {
    let operations = scene.database.collection::<Document>("operations");
    let counting = operations.count_documents(filter).into_future();
    timeout(COUNTED_WITHIN, counting).await.ok()?.ok()
}

/// Waits until all operations ended and all results are answered; how long that took, if it came so far.
async fn quiet(scene: &mut Scene, broken: &Broken, started: Instant) -> Option<Duration> {
    let repaired = Instant::now();
    let mut upkeep = Upkeep::from(started, repaired + SETTLE_EVERY);
    while repaired.elapsed() < QUIET_WITHIN {
        let is_quiet = count(scene, open()).await == Some(0)
            && scene
                .journals
                .iter()
                .all(|journal| journal.held().is_empty());
        if is_quiet {
            return Some(repaired.elapsed());
        }
        upkeep.look(scene, broken, true).await;
        sleep(LOOK_EVERY).await;
    }
    None
}

/// The same for people.
fn quiet_after(quiet: Option<Duration>) -> String {
    quiet.map_or("no".to_owned(), |took| format!("{took:.1?}"))
}

/// Lets old agents that count no credits connect again: only then can a hub tell that what left for them did not arrive.
/// Without that it would be given back when its time is over.
fn settle_old(scene: &Scene) {
    for number in scene.size.probes - scene.size.old..scene.size.probes {
        if scene.journals[number].held().is_empty() {
            scene.wishes[number].send_modify(|wish| wish.cuts += 1);
        }
    }
}

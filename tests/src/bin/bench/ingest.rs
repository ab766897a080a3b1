//! How many results a second a hub takes and acknowledges after a durable commit, on either store, beside bare inserts of the
//! same documents into the same store; and how long a probe waits at half of that.
//!
//! In each round [`scene`] sets up a hub on a fresh database, [`load`] keeps it busy with the probes of [`sender`], and
//! [`mod@on_mongo`] or [`mod@on_sqlite`] reads the documents that it stored and inserts them again without a hub.

use std::time::Duration;

use services::Mongod;
use tests::Hub;

use crate::figure::{Figure, Section, Target, median};

mod load;
mod on_mongo;
mod on_sqlite;
mod scene;
mod sender;

use load::Taken;
pub(crate) use load::stored;
use scene::Scene;

/// Probes that are connected.
const PROBES: usize = 200;
/// Results that each of them keeps unanswered.
const WINDOW: usize = 16;
/// The share of what bare inserts reach that a hub has to reach.
const SHARE: f64 = 0.6;
/// The load at which a probe's wait is bounded, as a share of the most that the hub takes.
const HALF: f64 = 0.5;
/// What 99 of 100 waits have to stay below at that load, milliseconds.
const WAIT_MS: f64 = 100.0;
/// MongoDB's cache: a quarter of what the smallest sensible server has. Tests run it with less.
const CACHE: &str = "cache_size=1G";
/// Documents of one bare insert: the most reports that the hub commits together (`BATCH` of its ingest).
const BATCH: usize = 2048;
/// Of all batches one in so many comes before what is measured.
const WARM_UP: usize = 10;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How often; the figures are medians.
    pub(crate) rounds: usize,
    /// How long a round measures the hub at each load.
    pub(crate) time: Duration,
}

/// What bare inserts did.
#[derive(Debug, Clone)]
pub(crate) struct Inserts {
    /// Batches under way at a time.
    writers: usize,
    /// Documents inserted in a second.
    per_second: f64,
    /// Processor time of the store's own process and of this one for a document, µs.
    cpu_us: [f64; 2],
}

/// One round.
#[derive(Debug)]
struct Round {
    peak: Taken,
    half: Taken,
    inserts: Vec<Inserts>,
    document_bytes: usize,
}

/// On SQLite.
pub(crate) async fn on_sqlite(plan: Plan) -> Section {
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        say(number, "a hub on SQLite takes results");
        let mut scene = Scene::set(None, PROBES).await;
        let (peak, half) = both_loads(&mut scene, plan, None).await;
        assert_eq!(scene.hub.terminate().await, 0, "the hub stops well");
        say(number, "bare inserts into SQLite");
        let documents = on_sqlite::Documents::read(&scene.hub.data_dir());
        let document_bytes = documents.mean_bytes();
        let inserts = tokio::task::spawn_blocking(move || on_sqlite::measure(&documents));
        rounds.push(Round {
            peak,
            half,
            inserts: vec![inserts.await.expect("bare inserts")],
            document_bytes,
        });
    }
    section("Ingest on SQLite", "a transaction a batch", plan, &rounds)
}

/// On MongoDB.
pub(crate) async fn on_mongo(plan: Plan) -> Section {
    const TITLE: &str = "Ingest on MongoDB";
    if let Some(why) = services::mongod::missing() {
        return Section::skipped(TITLE, why);
    }
    let mongod = mongod().await;
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        say(number, "a hub on MongoDB takes results");
        let mut scene = Scene::set(Some(&mongod.uri()), PROBES).await;
        let (peak, half) = both_loads(&mut scene, plan, mongod.pid()).await;
        let database = scene.hub.mongo().await.expect("a hub on MongoDB");
        // The hub's sweep must not work while others are measured.
        assert_eq!(scene.hub.terminate().await, 0, "the hub stops well");
        say(number, "bare inserts into MongoDB");
        let documents = on_mongo::Documents::read(&database).await;
        rounds.push(Round {
            peak,
            half,
            inserts: on_mongo::measure(&documents, &mongod).await,
            document_bytes: documents.mean_bytes(),
        });
        database.drop().await.expect("the database is dropped");
    }
    section(
        TITLE,
        "`insert_many`, one batch after the other",
        plan,
        &rounds,
    )
}

/// A MongoDB with room to work.
pub(crate) async fn mongod() -> Mongod {
    let mongod = Mongod::single().await;
    let admin = mongod.client().await.database("admin");
    let cache = bson::doc! { "setParameter": 1, "wiredTigerEngineRuntimeConfig": CACHE };
    admin.run_command(cache).await.expect("a larger cache");
    mongod
}

/// How many results a second some hubs on one MongoDB take together.
pub(crate) async fn by_several(mut hubs: Vec<Hub>, time: Duration, store: Option<u32>) -> f64 {
    let first = hubs.remove(0);
    let mut scene = Scene::of(first, hubs, PROBES).await;
    load::measure(&mut scene, time, None, store)
        .await
        .per_second
}

fn say(round: usize, what: &str) {
    eprintln!("ingest, round {round}: {what}");
}

async fn both_loads(scene: &mut Scene, plan: Plan, store: Option<u32>) -> (Taken, Taken) {
    let peak = load::measure(scene, plan.time, None, store).await;
    let half = Some(peak.per_second * HALF);
    let half = load::measure(scene, plan.time, half, store).await;
    (peak, half)
}

fn section(title: &'static str, limit: &str, plan: Plan, rounds: &[Round]) -> Section {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let bytes = rounds.first().map_or(0, |round| round.document_bytes);
    let how = format!(
        "{PROBES} probes with up to {WINDOW} results unanswered each send pings and traceroutes as scamper writes them and dns \
         answers as dig prints them: {bytes} bytes a document on average, {} rounds of {} s at the most that the hub takes and as \
         many at half of it.",
        rounds.len(),
        plan.time.as_secs(),
    );
    let share = "results acknowledged a second";
    let figures = vec![
        Figure::new(share, "/s", of(&|round| round.peak.per_second))
            .beside(limit, of(&|round| round.inserts[0].per_second))
            .target(Target::AtLeast(SHARE)),
        Figure::new(
            "wait at most load, half below",
            "ms",
            of(&|round| round.peak.p50_ms),
        ),
        Figure::new(
            "wait at most load, 99 % below",
            "ms",
            of(&|round| round.peak.p99_ms),
        ),
        Figure::new(
            "results a second at half load",
            "/s",
            of(&|round| round.half.per_second),
        ),
        Figure::new(
            "wait at half load, half below",
            "ms",
            of(&|round| round.half.p50_ms),
        ),
        Figure::new(
            "wait at half load, 99 % below",
            "ms",
            of(&|round| round.half.p99_ms),
        )
        .target(Target::Below(WAIT_MS)),
    ];
    Section {
        title,
        how,
        figures,
        more: costs(rounds),
        skipped: None,
    }
}

/// What a result costs whom.
fn costs(rounds: &[Round]) -> String {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let mut more = format!(
        "A result costs {:.1} µs of processor in the hub, {:.1} in the server of the store and {:.1} in the probes.",
        of(&|round| round.peak.cpu_us[0]),
        of(&|round| round.peak.cpu_us[1]),
        of(&|round| round.peak.cpu_us[2]),
    );
    for (place, inserts) in rounds
        .first()
        .iter()
        .flat_map(|round| &round.inserts)
        .enumerate()
    {
        more += &format!(
            " A bare insert by {} at a time: {:.0} a second, {:.1} µs in the server and {:.1} in the writer.",
            inserts.writers,
            of(&|round| round.inserts[place].per_second),
            of(&|round| round.inserts[place].cpu_us[0]),
            of(&|round| round.inserts[place].cpu_us[1]),
        );
    }
    more
}

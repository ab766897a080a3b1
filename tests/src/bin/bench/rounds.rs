//! The rounds: the hub and the bare inserts take turns, so that noise of the machine meets both.

use std::time::Duration;

use services::Mongod;

use crate::{
    figures::{Figures, Round, Setup},
    inserts::{self, Documents},
    load,
    machine::{self, Machine},
    scene::Scene,
};

/// MongoDB's cache: a quarter of what the smallest sensible server has. Tests run it with less.
const CACHE: &str = "cache_size=1G";
/// Bare inserts are done by so many at a time, one after the other. The first is what the hub does: one batch is committed
/// after the other.
const WRITERS: [usize; 3] = [1, 2, 4];

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How often.
    pub(crate) rounds: usize,
    /// How long a round measures the hub.
    pub(crate) time: Duration,
    /// Probes that are connected.
    pub(crate) probes: usize,
    /// Results that each of them keeps unanswered.
    pub(crate) window: usize,
}

/// Does it; says on stderr how far it is.
pub(crate) async fn run(plan: &Plan) -> Figures {
    let load = machine::load();
    let mongod = Mongod::single().await;
    let client = mongod.client().await;
    let admin = client.database("admin");
    let cache = bson::doc! { "setParameter": 1, "wiredTigerEngineRuntimeConfig": CACHE };
    admin.run_command(cache).await.expect("a larger cache");
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        rounds.push(round(plan, number, &mongod).await);
    }
    Figures {
        machine: Machine::this(&client, load).await,
        setup: Setup {
            probes: plan.probes,
            window: plan.window,
            seconds: plan.time.as_secs_f64(),
            batch: inserts::BATCH,
        },
        rounds,
    }
}

async fn round(plan: &Plan, number: usize, mongod: &Mongod) -> Round {
    let say = |what: &str| eprintln!("round {number} of {}: {what}", plan.rounds);
    say("a hub, its users and probes");
    let mut scene = Scene::set(&mongod.uri(), plan.probes).await;
    say("the hub takes results");
    let hub = load::measure(&mut scene, plan, mongod).await;
    say(&format!("{:.0} a second; now bare inserts", hub.per_second));
    let database = scene.database().await;
    // The hub's sweep must not work while others are measured.
    assert_eq!(scene.hub.terminate().await, 0, "the hub stops well");
    let documents = Documents::read(&database).await;
    let mut bare = Vec::with_capacity(WRITERS.len());
    for writers in WRITERS {
        let figure = inserts::measure(&documents, writers, mongod).await;
        say(&format!(
            "{:.0} a second by {writers} at a time",
            figure.per_second
        ));
        bare.push(figure);
    }
    database.drop().await.expect("the database is dropped");
    Round {
        hub,
        inserts: bare,
        document_bytes: documents.mean_bytes(),
    }
}

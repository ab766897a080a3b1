//! kill -9 of the hub while many probes deliver, users read and watch, and one spends.

use std::time::Duration;

use bson::doc;
use rand::{RngExt as _, rngs::StdRng};
use services::Mongod;
use tests::{Hub, Trial, random};
use tokio::time::sleep;

use crate::load::{Load, Size};

const KILLS: usize = 20;
/// Of a hub on MongoDB.
const KILLS_ON_MONGO: usize = 5;
const SIZE: Size = Size {
    customers: 1,
    readers: 0,
    probes: 50,
    operations: 5,
    results_each: 400,
    pause: None,
    limit: DELIVERED_WITHIN,
    hub_dies: true,
};
/// In less time than MongoDB keeps up what a killed hub has begun, which is a minute after each kill.
const SIZE_ON_MONGO: Size = Size {
    probes: 20,
    results_each: 200,
    limit: Duration::from_secs(60),
    ..SIZE
};
/// Longest all deliveries may take.
const DELIVERED_WITHIN: Duration = Duration::from_secs(240);
/// Kills come before this share of all results is acknowledged, so that each meets results on their way.
const LAST_KILL: f64 = 0.9;
/// Pause before a kill, ms.
const PAUSE_MS: std::ops::Range<u64> = 0..100;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = tests::trials![
        |it| it.within(DELIVERED_WITHIN * 2);
        nothing_is_lost_and_nothing_is_double
    ];
    trials.extend(tests::trials![
        |it| it.within(DELIVERED_WITHIN * 2).unless(services::mongod::missing());
        nor_on_mongo
    ]);
    trials
}

async fn nothing_is_lost_and_nothing_is_double() {
    kill_often(Hub::start().await, "hub_killed", SIZE, KILLS).await;
}

/// As a user who may read and write one database and nothing else: this must do, also to end what a killed hub left.
async fn nor_on_mongo() {
    let mongod = Mongod::with().auth("root", "root-password").start().await;
    let database = mongod.fresh_database();
    let create = doc! {
        "createUser": "hub",
        "pwd": "hub-password",
        "roles": [{ "role": "readWrite", "db": &database }],
    };
    let admin = mongod.client().await.database("admin");
    admin.run_command(create).await.expect("a user");
    let settings = [
        ("DATABASE", "mongo"),
        ("MONGO_URI", &*mongod.uri().replace("root", "hub")),
        ("MONGO_DATABASE", &database),
    ];
    let hub = Hub::start_with(&settings).await;
    kill_often(hub, "hub_killed on mongo", SIZE_ON_MONGO, KILLS_ON_MONGO).await;
}

/// Kills the hub at random points of the delivery's progress.
async fn kill_often(mut hub: Hub, name: &str, size: Size, kills: usize) {
    let mut random: StdRng = random::seeded(&format!("{name}, kills"));
    let load = Load::start(&hub, name, size).await;
    let mut points: Vec<f64> = (0..kills)
        .map(|_| random.random_range(0.0..LAST_KILL))
        .collect();
    points.sort_unstable_by(f64::total_cmp);
    for point in points {
        load.reach(point).await;
        sleep(Duration::from_millis(random.random_range(PAUSE_MS))).await;
        hub.kill9().await;
        hub.restart().await;
    }
    load.finish(&hub, name).await;
}

//! Starts that succeed, sooner or later.

use std::{future::ready, time::Instant};

use futures::future::join_all;
use services::Mongod;
use tests::{Ack, FakeProbe, Hub, Trial, at_work, eventually, wait::SOON};

use super::{fresh, restart_with, settings, with_mongod};

pub(crate) fn trials() -> Vec<Trial> {
    with_mongod![
        it_waits_for_a_database_that_comes_up,
        it_may_be_stopped_while_it_waits,
        a_login_is_taken_from_the_settings,
        many_may_start_at_once,
    ]
}

/// What it logs when there is no database yet.
const WAITS: &str = "waiting for MongoDB";
/// A name and a password that mean something in a URI.
const LOGIN: (&str, &str) = ("pl@dmed", "p:ss/w%rd?1");

async fn it_waits_for_a_database_that_comes_up() {
    let mut mongod = Mongod::single().await;
    let mut hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    let ana = hub.user("ana", 7).await;
    assert_eq!(hub.terminate().await, 0);
    mongod.kill9().await;
    let log_so_far = hub.start_again();
    eventually(SOON * 2, WAITS, || {
        let waits = hub.process().log()[log_so_far..].contains(WAITS);
        ready(waits.then_some(()))
    })
    .await;
    mongod.restart().await;
    hub.until_ready(log_so_far).await;
    assert_eq!(ana.credits().await, 7);
}

async fn it_may_be_stopped_while_it_waits() {
    let mut mongod = Mongod::single().await;
    let mut hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    assert_eq!(hub.terminate().await, 0);
    mongod.kill9().await;
    let log_so_far = hub.start_again();
    eventually(SOON * 2, WAITS, || {
        let waits = hub.process().log()[log_so_far..].contains(WAITS);
        ready(waits.then_some(()))
    })
    .await;
    let told = Instant::now();
    assert_eq!(hub.terminate().await, 0);
    assert!(told.elapsed() < SOON, "it went on waiting");
}

async fn a_login_is_taken_from_the_settings() {
    let (name, password) = LOGIN;
    let mongod = Mongod::with().auth(name, password).start().await;
    let port = mongod.port().to_string();
    let hub = Hub::start_with(&[
        ("DATABASE", "mongo"),
        ("MONGO_HOST", mongod.host()),
        ("MONGO_PORT", &port),
        ("MONGO_USERNAME", name),
        ("MONGO_PASSWORD", password),
        ("MONGO_DATABASE", "ours"),
    ])
    .await;
    let (_ana, _, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    let ours = mongod.client().await.database("ours");
    tests::database::mongo::snapshot(&ours).await.check();
    // The URI holds the same login.
    let hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    let _probe = at_work(&hub).await;
    hub.check().await;
}

async fn many_may_start_at_once() {
    const HUBS: usize = 4;
    const ROUNDS: usize = 3;
    for _ in 0..ROUNDS {
        let database = fresh().await;
        let uri = services::mongod::shared().await.uri();
        let settings = settings(&uri, database.name());
        let settings = [&settings[..], &[("RESULT_TTL_DAYS", "1")]].concat();
        let mut hubs = join_all((0..HUBS).map(|_| Hub::without_superuser(&settings))).await;
        for (number, hub) in hubs.iter().enumerate() {
            let ana = hub.user(&format!("ana-{number}"), 0).await;
            let probe = ana.probe("p").await;
            let _probe = FakeProbe::connect(hub, &probe.token).await;
        }
        // Nor are they in each other's way when all of them change the same index.
        for days in ["2", "", "3"] {
            join_all(hubs.iter_mut().map(|hub| restart_with(hub, days))).await;
        }
        tests::database::mongo::snapshot(&database).await.check();
    }
}

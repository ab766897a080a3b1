//! What MongoDB does by its indexes: it forgets results by their age, and finds probes by their place.

use std::time::Duration;

use bson::{DateTime, Document, doc};
use mongodb::Database;
use probe_protocol::OperationId;
use serde_json::json;
use tests::{Ack, FakeProbe, Hub, TestUser, Trial, at_work, eventually, wait::SOON};

use super::{restart_with, with_mongod};

pub(crate) fn trials() -> Vec<Trial> {
    with_mongod![
        old_results_are_forgotten,
        outdated_ones_go_and_transactions_are_not_waited_for,
        probes_are_found_by_place,
    ]
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn old_results_are_forgotten() {
    let uri = services::mongod::shared().await.uri();
    let mut hub = Hub::on_mongo(&uri, &[("RESULT_TTL_DAYS", "3")]).await;
    let database = hub.mongo().await.expect("a database");
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    for code in ["1", "2", "3", "4"] {
        assert_eq!(probe.deliver(operation, code).await, Ack::Stored);
    }
    assert_eq!(life(&database).await, Some(3 * DAY));
    age(&database, &[1, 2], 4 * DAY).await;
    remain(&ana, operation, &[3, 4]).await;

    restart_with(&mut hub, "1").await;
    assert_eq!(life(&database).await, Some(DAY));
    age(&database, &[3], 2 * DAY).await;
    remain(&ana, operation, &[4]).await;

    restart_with(&mut hub, "").await;
    assert_eq!(life(&database).await, None);
    age(&database, &[4], 1000 * DAY).await;
    two_rounds(&database).await;
    remain(&ana, operation, &[4]).await;

    // Numbers go on after what was forgotten.
    restart_with(&mut hub, "20000").await;
    assert_eq!(life(&database).await, Some(20_000 * DAY));
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    assert_eq!(probe.deliver(operation, "5").await, Ack::Stored);
    remain(&ana, operation, &[4, 5]).await;
}

async fn outdated_ones_go_and_transactions_are_not_waited_for() {
    const OUTDATED: &str = "assignments_by_operation";
    let uri = services::mongod::shared().await.uri();
    let mut hub = Hub::on_mongo(&uri, &[]).await;
    let database = hub.mongo().await.expect("a database");
    let index = doc! { "name": OUTDATED, "key": { "_id.operation": 1, "_id.probe": 1 } };
    let create = doc! { "createIndexes": "assignments", "indexes": [index] };
    database.run_command(create).await.expect("an index");
    restart_with(&mut hub, "").await;
    let assignments = database.collection::<Document>("assignments");
    let names = assignments.list_index_names().await.expect("indexes");
    assert!(!names.iter().any(|name| name == OUTDATED), "{names:?}");

    // As a hub leaves it behind that is killed.
    let session = database.client().start_session().await;
    let mut session = session.expect("a session");
    session.start_transaction().await.expect("a transaction");
    let insert = assignments.insert_one(doc! { "_id": "left behind" });
    insert.session(&mut session).await.expect("a document");
    restart_with(&mut hub, "").await;
    session.abort_transaction().await.expect("its end");
}

/// How long MongoDB keeps results, and what came too long to stand in one.
async fn life(database: &Database) -> Option<Duration> {
    let mut lives = Vec::new();
    for name in ["results", "raws"] {
        let collection = database.collection::<Document>(name);
        let mut indexes = collection.list_indexes().await.expect("indexes");
        let mut life = None;
        while indexes.advance().await.expect("an index") {
            let index = indexes.deserialize_current().expect("an index");
            let expires = index.options.and_then(|options| options.expire_after);
            assert!(life.is_none() || expires.is_none(), "two lives");
            life = life.or(expires);
        }
        lives.push(life);
    }
    assert_eq!(lives[0], lives[1]);
    lives[0]
}

/// Makes results look older.
async fn age(database: &Database, numbers: &[i64], by: Duration) {
    let at = DateTime::now().timestamp_millis() - i64::try_from(by.as_millis()).expect("a time");
    let changed = database
        .collection::<Document>("results")
        .update_many(
            doc! { "seq": { "$in": numbers } },
            doc! { "$set": { "received_at": DateTime::from_millis(at) } },
        )
        .await
        .expect("an update");
    assert_eq!(changed.modified_count, numbers.len() as u64);
}

/// Waits until only these results are left.
async fn remain(ana: &TestUser, operation: OperationId, numbers: &[u64]) {
    eventually(SOON, &format!("{numbers:?} and nothing else"), async || {
        let results = ana.results(operation).await;
        let found = results
            .iter()
            .map(|result| result["seq"].as_u64().expect("a number"));
        found.eq(numbers.iter().copied()).then_some(())
    })
    .await;
}

/// Waits until MongoDB has looked for what to forget twice: once may have begun before.
async fn two_rounds(database: &Database) {
    let admin = database.client().database("admin");
    let rounds = async || {
        let status = admin
            .run_command(doc! { "serverStatus": 1 })
            .await
            .expect("a status");
        let metrics = status.get_document("metrics").expect("metrics");
        let ttl = metrics.get_document("ttl").expect("of expiry");
        ttl.get_i64("passes").expect("a number")
    };
    let before = rounds().await;
    eventually(SOON, "two rounds", async || {
        (rounds().await >= before + 2).then_some(())
    })
    .await;
}

async fn probes_are_found_by_place() {
    let uri = services::mongod::shared().await.uri();
    let hub = Hub::on_mongo(&uri, &[]).await;
    let ana = hub.user("ana", 0).await;
    let places = [
        ("Lima", -77.03, -12.05),
        ("Buenos Aires", -58.38, -34.6),
        ("Madrid", -3.7, 40.42),
        ("the date line", 180.0, 0.0),
        ("the pole", -180.0, 90.0),
    ];
    for (name, longitude, latitude) in places {
        let body =
            json!({"name": name, "location": {"longitude": longitude, "latitude": latitude}});
        let _ = ana.api.post("/api/v1/probes", &body).await.expect(201);
    }
    let database = hub.mongo().await.expect("a database");
    let montevideo = doc! { "type": "Point", "coordinates": [-56.19, -34.9] };
    let near =
        doc! { "location": { "$near": { "$geometry": &montevideo, "$maxDistance": 4_000_000 } } };
    assert_eq!(
        names(&database, "find", near).await,
        ["Buenos Aires", "Lima"]
    );
    let by_distance =
        doc! { "$geoNear": { "near": &montevideo, "distanceField": "metres", "spherical": true } };
    let all = names(&database, "aggregate", by_distance).await;
    assert_eq!(all[..3], ["Buenos Aires", "Lima", "Madrid"]);
    assert_eq!(all.len(), places.len());
}

/// The names of probes that a query, or a stage of an aggregation, finds, in its order.
async fn names(database: &Database, how: &str, query: Document) -> Vec<String> {
    let probes = database.collection::<Document>("probes");
    let mut cursor = match how {
        "find" => probes.find(query).await.expect("probes"),
        _ => probes.aggregate([query]).await.expect("probes"),
    };
    let mut names = Vec::new();
    while cursor.advance().await.expect("a probe") {
        let probe = cursor.deserialize_current().expect("a probe");
        names.push(probe.get_str("name").expect("a name").to_owned());
    }
    names
}

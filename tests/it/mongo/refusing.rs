//! Starts that fail, at once and in words: what is wrong and what to do. What is not ours is left as it is.

use bson::{Document, doc};
use services::{Mongod, mongod};
use tests::{Hub, Trial};

use super::{all, fresh, settings, with_mongod};

pub(crate) fn trials() -> Vec<Trial> {
    with_mongod![
        a_standalone_server_is_refused,
        a_wrong_login_is_told_without_the_password,
        a_database_of_the_replaced_system_is_left_alone,
        a_database_of_somebody_else_is_left_alone,
        a_newer_schema_is_refused,
    ]
}

const PASSWORD: &str = "Right-password-1";
const WRONG: &str = "Wr0ng-password-2";

/// Starts a hub that must end with exit code 1 and these words.
async fn refuses(settings: &[(&str, &str)], words: &[&str]) -> String {
    let (code, log) = Hub::refused(settings).await;
    assert_eq!(code, 1, "{log}");
    for word in words {
        assert!(log.contains(word), "{word:?} is not in {log}");
    }
    log
}

async fn a_standalone_server_is_refused() {
    let mongod = Mongod::with().standalone().start().await;
    let address = format!("{}:{}", mongod.host(), mongod.port());
    let words = [&*address, "standalone", "--replSet", "rs.initiate()"];
    let uris = [
        mongod.uri(),
        format!("mongodb://{address}/"),
        format!("mongodb://{address}/?replicaSet=rs0"),
    ];
    for uri in &uris {
        refuses(&settings(uri, "pladmed"), &words).await;
    }
    let port = mongod.port().to_string();
    let hosts = [
        ("DATABASE", "mongo"),
        ("MONGO_HOST", mongod.host()),
        ("MONGO_PORT", &port),
    ];
    refuses(&hosts, &words).await;
}

async fn a_wrong_login_is_told_without_the_password() {
    let mongod = Mongod::with().auth("pladmed", PASSWORD).start().await;
    let port = mongod.port().to_string();
    let hosts = [
        ("DATABASE", "mongo"),
        ("MONGO_HOST", mongod.host()),
        ("MONGO_PORT", &port),
    ];
    let wrong = [("MONGO_USERNAME", "pladmed"), ("MONGO_PASSWORD", WRONG)];
    let login = "MongoDB does not let us in";
    let log = refuses(&[&hosts[..], &wrong].concat(), &[login]).await;
    assert!(!log.contains(WRONG), "{log}");
    let uri = mongod.uri().replace("Right", "Wrong");
    let log = refuses(&settings(&uri, "pladmed"), &[login]).await;
    assert!(!log.contains("Wrong"), "{log}");
    refuses(&hosts, &["requires authentication"]).await;
    // Not even where it cannot be read.
    let uri = format!("mongodb://pladmed:{WRONG}/@{}/", mongod.host());
    let log = refuses(&settings(&uri, "pladmed"), &["cannot be read"]).await;
    assert!(!log.contains(WRONG), "{log}");
}

async fn a_database_of_the_replaced_system_is_left_alone() {
    let database = fresh().await;
    let names = ["users", "probes", "operations"];
    for name in names {
        let one = doc! { "_id": 1, "email": "ana@example.org" };
        database
            .collection(name)
            .insert_one(one)
            .await
            .expect("a document");
    }
    let uri = mongod::shared().await.uri();
    let words = ["MONGO_DATABASE", "import", database.name()];
    refuses(&settings(&uri, database.name()), &words).await;
    let mut there = database.list_collection_names().await.expect("names");
    there.sort();
    assert_eq!(there, ["operations", "probes", "users"]);
    for name in names {
        assert_eq!(all(&database, name).await.len(), 1);
        let collection = database.collection::<Document>(name);
        let indexes = collection.list_index_names().await;
        assert_eq!(indexes.expect("indexes"), ["_id_"]);
    }
}

async fn a_database_of_somebody_else_is_left_alone() {
    let database = fresh().await;
    let things = database.collection("things");
    things.insert_one(doc! { "_id": 1 }).await.expect("a thing");
    let uri = mongod::shared().await.uri();
    let words = ["holds other collections", database.name()];
    refuses(&settings(&uri, database.name()), &words).await;
    let there = database.list_collection_names().await.expect("names");
    assert_eq!(there, ["things"]);
}

async fn a_newer_schema_is_refused() {
    let database = fresh().await;
    let uri = mongod::shared().await.uri();
    let settings = settings(&uri, database.name());
    let mut hub = Hub::start_with(&settings).await;
    assert_eq!(hub.terminate().await, 0);
    let stamps = database.collection::<Document>("meta");
    let stamp = doc! { "_id": "schema" };
    let newer = stamps.update_one(stamp, doc! { "$inc": { "version": 1 } });
    assert_eq!(newer.await.expect("an update").modified_count, 1);
    refuses(&settings, &["newer version", "update", database.name()]).await;
}

//! A hub on MongoDB: how it starts, what it refuses to start on, what it says while its database is away, and what only
//! MongoDB does for it. That everything else is as on SQLite is seen by running all tests with `TEST_DATABASE=mongo`.

use bson::Document;
use mongodb::Database;
use services::mongod;
use tests::{Hub, Trial};

mod away;
mod indexes;
mod largest;
mod refusing;
mod starting;

pub(crate) fn trials() -> Vec<Trial> {
    [
        away::trials(),
        indexes::trials(),
        largest::trials(),
        refusing::trials(),
        starting::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Trials from functions of this module, where there is a mongod.
macro_rules! with_mongod {
    ($($test:ident),+ $(,)?) => {
        tests::trials![|it| it.unless(services::mongod::missing()); $($test),+]
    };
}
use with_mongod;

/// A database that nobody has used, on the server that tests share.
async fn fresh() -> Database {
    let server = mongod::shared().await;
    let client = server.client().await;
    client.database(&server.fresh_database())
}

/// The settings of a hub in a database.
fn settings<'a>(uri: &'a str, database: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("DATABASE", "mongo"),
        ("MONGO_URI", uri),
        ("MONGO_DATABASE", database),
    ]
}

/// Starts a hub again that keeps results for so many days.
async fn restart_with(hub: &mut Hub, days: &str) {
    assert_eq!(hub.terminate().await, 0);
    hub.set("RESULT_TTL_DAYS", days);
    hub.restart().await;
}

/// All documents of a collection.
pub(crate) async fn all(database: &Database, collection: &str) -> Vec<Document> {
    let mut cursor = database
        .collection::<Document>(collection)
        .find(Document::new())
        .await
        .expect("documents");
    let mut all = Vec::new();
    while cursor.advance().await.expect("a document") {
        all.push(cursor.deserialize_current().expect("a document"));
    }
    all
}

//! What bare work on MongoDB has in common with the hub's: its indexes and its write concern.

use bson::{Document, doc};
use futures::TryStreamExt as _;
use mongodb::{
    Database,
    options::{Acknowledgment, WriteConcern},
};

/// A majority has it in its journal, as for the hub.
pub(crate) fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// The indexes that a hub made in a collection of its database, but for the one of identifiers, which is there by itself.
pub(crate) async fn indexes(of_hub: &Database, collection: &str) -> Vec<Document> {
    let listed = of_hub.run_cursor_command(doc! { "listIndexes": collection });
    let listed = listed.await.expect("indexes");
    let mut indexes: Vec<Document> = listed.try_collect().await.expect("indexes");
    indexes.retain(|index| index.get_str("name").is_ok_and(|name| name != "_id_"));
    assert!(!indexes.is_empty(), "the hub's indexes");
    indexes
}

/// Makes such a collection.
pub(crate) async fn create(database: &Database, collection: &str, indexes: &[Document]) {
    let create = doc! { "createIndexes": collection, "indexes": indexes };
    database.run_command(create).await.expect("the indexes");
}

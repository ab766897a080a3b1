//! Keeping the database tidy, and closing it.

use async_trait::async_trait;
use bson::{Document, doc};
use chrono::{DateTime, Utc};
use mongodb::Collection;
use probe_protocol::ProbeId;

use super::{
    MongoStore,
    documents::{OnlyId, date},
    error::Attempt,
    link::Tx,
};
use crate::store::{Stored, UpkeepStore};

#[async_trait]
impl UpkeepStore for MongoStore {
    async fn forget_keys(&self, before: DateTime<Utc>) -> Stored<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let keys = tx.kept.keys.clone();
                tx.delete(&keys, doc! { "created_at": { "$lt": date(before) } })
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn forget_results(&self, _before: DateTime<Utc>, _limit: usize) -> Stored<usize> {
        // MongoDB does so by an index: `schema`.
        Ok(0)
    }

    async fn delete_all(&self) -> Stored<Vec<ProbeId>> {
        self.write(|tx| Box::pin(delete_all(tx))).await
    }

    async fn ping(&self) -> Stored<()> {
        self.answers().await
    }

    async fn close(&self) {
        self.shut().await;
    }
}

/// Deletes all documents and keeps the indexes; answers with the probes there were. For tests and rehearsals: all in one
/// transaction, so not for large databases.
async fn delete_all(tx: &mut Tx) -> Attempt<Vec<ProbeId>> {
    let probes = tx
        .kept
        .probes
        .clone_with_type::<OnlyId<bson::oid::ObjectId>>();
    let there = tx
        .all(probes.find(doc! {}).projection(doc! { "_id": 1 }))
        .await?;
    let names = [
        tx.kept.keys.name().to_owned(),
        tx.kept.ledger.name().to_owned(),
        tx.kept.results.name().to_owned(),
        tx.kept.raws.name().to_owned(),
        tx.kept.assignments.name().to_owned(),
        tx.kept.operations.name().to_owned(),
        tx.kept.probes.name().to_owned(),
        tx.kept.users.name().to_owned(),
    ];
    for name in names {
        let collection: Collection<Document> = tx.kept.database.collection(&name);
        tx.delete(&collection, doc! {}).await?;
    }
    Ok(there.into_iter().map(|only| only.id.into()).collect())
}

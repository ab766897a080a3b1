//! Keeping the database tidy, and closing it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bson::{Document, doc};
use chrono::{DateTime, Utc};
use mongodb::Collection;
use probe_protocol::ProbeId;

use super::{
    MongoStore, audit,
    documents::{OnlyId, date},
    error::Attempt,
    leases::{self, Wish},
    link::Tx,
    moving, schema,
};
use crate::store::{Lease, Stored, UpkeepStore, Work, stamp::stamped};

#[async_trait]
impl UpkeepStore for MongoStore {
    fn name(&self) -> &str {
        self.kept.database.name()
    }

    async fn environment(&self) -> Stored<Option<String>> {
        self.read(|kept| async move { Ok(schema::environment(&kept).await?) })
            .await
    }

    async fn stamp(&self, environment: &str) -> Stored<String> {
        let wanted: Arc<str> = environment.into();
        let found = self.write(move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move { schema::stamp(tx, &wanted).await })
        });
        stamped(found.await?)
    }

    async fn lease(&self, work: Work, holder: &str, length: Duration) -> Stored<Option<Lease>> {
        let wish = Arc::new(Wish {
            work,
            holder: holder.into(),
            length,
        });
        self.write(move |tx| {
            let wish = wish.clone();
            Box::pin(async move { leases::take(tx, &wish).await })
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Stored<()> {
        let lease = lease.clone();
        self.write(move |tx| {
            let lease = lease.clone();
            Box::pin(async move { leases::release(tx, &lease).await })
        })
        .await
    }

    async fn forget_keys(&self, lease: &Lease, before: DateTime<Utc>) -> Stored<()> {
        lease.is_for(Work::ForgetKeys)?;
        let lease = lease.clone();
        self.write(move |tx| {
            let lease = lease.clone();
            Box::pin(async move {
                leases::hold(tx, &lease).await?;
                let keys = tx.kept.keys.clone();
                tx.delete(&keys, doc! { "created_at": { "$lt": date(before) } })
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn forget_results(
        &self,
        lease: &Lease,
        _before: DateTime<Utc>,
        _limit: usize,
    ) -> Stored<usize> {
        lease.is_for(Work::ForgetResults)?;
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

/// Deletes all documents and keeps the indexes, and the leases: their numbers would begin anew, and be those of others that
/// hubs still have in hand. Answers with the probes there were. For tests and rehearsals: all in one
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
    moving::forget(tx).await?;
    audit::forget(tx).await?;
    for name in names {
        let collection: Collection<Document> = tx.kept.database.collection(&name);
        tx.delete(&collection, doc! {}).await?;
    }
    Ok(there.into_iter().map(|only| only.id.into()).collect())
}

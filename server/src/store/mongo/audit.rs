//! Reading the database to judge it: [`reading`] has the pages, [`repairing`] what is put right. This module looks whether
//! the indexes are there that keep promises, and keeps the report. Each page is one short transaction, or one query on
//! what never changes; none walks along more than it answers with.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bson::{Document, doc};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::Collection;
use probe_protocol::UserId;

use super::{Kept, MongoStore, error::Attempt, leases, link::Tx, schema};
use crate::{
    domain::audit::{EntryFacts, ProbeFacts, Repair, ResultFacts, Thing, UserFacts},
    store::{AuditStore, Edge, Facts, Lease, OperationsFacts, Stored, Work},
};

mod reading;
mod repairing;

/// The report's identifier in `meta`.
const REPORT: &str = "report";

#[async_trait]
impl AuditStore for MongoStore {
    async fn user_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<UserFacts>> {
        let after = after.cloned();
        self.write(move |tx| {
            let after = after.clone();
            Box::pin(async move { reading::users(tx, after.as_ref(), limit).await })
        })
        .await
    }

    async fn probe_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<ProbeFacts>> {
        let after = after.cloned();
        self.read(move |kept| {
            let after = after.clone();
            async move { reading::probes(&kept, after.as_ref(), limit).await }
        })
        .await
    }

    async fn operation_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<OperationsFacts> {
        let after = after.cloned();
        self.write(move |tx| {
            let after = after.clone();
            Box::pin(async move { reading::operations(tx, after.as_ref(), limit).await })
        })
        .await
    }

    async fn result_facts(
        &self,
        after: Option<&Edge>,
        last: Option<&Edge>,
        limit: usize,
    ) -> Stored<Facts<ResultFacts>> {
        let (after, last) = (after.cloned(), last.cloned());
        self.read(move |kept| {
            let (after, last) = (after.clone(), last.clone());
            async move { reading::results(&kept, after.as_ref(), last.as_ref(), limit).await }
        })
        .await
    }

    async fn entry_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<EntryFacts>> {
        let after = after.cloned();
        self.read(move |kept| {
            let after = after.clone();
            async move { reading::entries(&kept, after.as_ref(), limit).await }
        })
        .await
    }

    async fn first_entry(&self, user: UserId) -> Stored<Option<DateTime<Utc>>> {
        self.read(move |kept| async move { reading::first_entry(&kept, user).await })
            .await
    }

    async fn absent(&self, things: Vec<Thing>) -> Stored<Vec<Thing>> {
        let things: Arc<[Thing]> = things.into();
        self.read(move |kept| {
            let things = things.clone();
            async move { reading::absent(&kept, &things).await }
        })
        .await
    }

    async fn inspect(&self) -> Stored<Vec<String>> {
        self.read(|kept| async move { missing_indexes(&kept).await })
            .await
    }

    async fn repair(&self, repair: Repair) -> Stored<Option<String>> {
        self.write(move |tx| Box::pin(repairing::repair(tx, repair)))
            .await
    }

    async fn keep_report(&self, lease: &Lease, report: String) -> Stored<()> {
        lease.is_for(Work::Diagnose)?;
        let (lease, report): (_, Arc<str>) = (lease.clone(), report.into());
        self.write(move |tx| {
            let (lease, report) = (lease.clone(), report.clone());
            Box::pin(async move {
                leases::hold(tx, &lease).await?;
                let meta = tx.kept.meta.clone_with_type::<Document>();
                // Literal: a text that begins with `$` would be a field.
                let set = doc! { "$set": { "report": { "$literal": &*report } } };
                tx.put(&meta, doc! { "_id": REPORT }, vec![set]).await?;
                Ok(())
            })
        })
        .await
    }

    async fn report(&self) -> Stored<Option<String>> {
        self.read(|kept| async move {
            let meta = kept.meta.clone_with_type::<Document>();
            let found = meta.find_one(doc! { "_id": REPORT }).await?;
            let text = found.and_then(|found| found.get_str("report").ok().map(str::to_owned));
            Ok(text)
        })
        .await
    }
}

/// Forgets the report: what it tells of is deleted.
pub(super) async fn forget(tx: &mut Tx) -> Attempt<()> {
    let meta = tx.kept.meta.clone();
    tx.delete(&meta, doc! { "_id": REPORT }).await?;
    Ok(())
}

/// Indexes that should be there and are not: without them nobody keeps an address or a number from being there twice, and
/// queries walk along everything.
async fn missing_indexes(kept: &Kept) -> Attempt<Vec<String>> {
    let mut missing = Vec::new();
    for (collection, wanted) in schema::INDEXES {
        let there: Collection<Document> = kept.database.collection(collection);
        let there: Vec<_> = there.list_indexes().await?.try_collect().await?;
        let names: HashSet<String> = there
            .into_iter()
            .filter_map(|index| index.options?.name)
            .collect();
        for name in wanted.iter().filter(|name| !names.contains(**name)) {
            missing.push(format!(
                "the index {name} of {collection} is missing; the next hub that starts makes it"
            ));
        }
    }
    Ok(missing)
}

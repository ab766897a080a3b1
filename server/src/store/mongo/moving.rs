//! Carrying everything out of the database and into it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf, doc};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::{Collection, options::Hint};
use serde::de::DeserializeOwned;

use super::{
    Kept, MongoStore,
    documents::{
        AssignmentDoc, AssignmentId, KeyDoc, LedgerDoc, OperationDoc, ProbeDoc, ReadDoc, ResultId,
        UserDoc, date, time,
    },
    error::Attempt,
    link::Tx,
    paging,
    probes::with_loads,
    results::apart,
};
use crate::{
    domain::{Assignment, User},
    store::{IdempotencyKey, LedgerEntry, MoveStore, Part, Record, Stored},
};

mod filling;

use filling::Documents;

/// Longest a count of everything may take: millions a second, of which there may be a thousand million.
const COUNT_DEADLINE: Duration = Duration::from_secs(1200);
/// The move's identifier in `meta`.
const MOVE: &str = "move";

#[async_trait]
impl MoveStore for MongoStore {
    async fn records(
        &self,
        part: Part,
        after: Option<&Record>,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<Record>> {
        let after = after.map(edge).unwrap_or_default();
        self.read(move |kept| {
            let after = after.clone();
            async move { page(&kept, part, after, limit, most_bytes).await }
        })
        .await
    }

    async fn fill(&self, records: Vec<Record>) -> Stored<usize> {
        let documents = Arc::new(Documents::of(&records)?);
        self.write(move |tx| {
            let documents = documents.clone();
            Box::pin(async move { documents.fill(tx).await })
        })
        .await
    }

    async fn count_loads(&self) -> Stored<()> {
        // They are not kept, but added up where they are asked for.
        Ok(())
    }

    async fn count(&self, part: Part) -> Stored<u64> {
        self.read_within(COUNT_DEADLINE, move |kept| async move {
            let collection: Collection<Document> = kept.database.collection(name(&kept, part));
            let all = collection.count_documents(doc! {});
            Ok(all.hint(Hint::Keys(doc! { "_id": 1 })).await?)
        })
        .await
    }

    async fn begin_move(&self, from: &str, at: DateTime<Utc>) -> Stored<Option<String>> {
        let from = from.to_owned();
        self.write(move |tx| {
            let from = from.clone();
            Box::pin(async move {
                let meta = tx.kept.meta.clone_with_type::<Document>();
                let unfinished = unfinished(tx).await?;
                if let Some(other) = unfinished {
                    return Ok((other != from).then_some(other));
                }
                tx.delete(&meta, doc! { "_id": MOVE }).await?;
                let begun = doc! { "_id": MOVE, "from": from, "started_at": date(at) };
                tx.insert(&meta, [begun]).await?;
                Ok(None)
            })
        })
        .await
    }

    async fn end_move(&self, at: DateTime<Utc>) -> Stored<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let meta = tx.kept.meta.clone();
                let change = doc! { "$set": { "finished_at": date(at) } };
                tx.change(&meta, doc! { "_id": MOVE }, change).await?;
                Ok(())
            })
        })
        .await
    }

    async fn unfinished_move(&self) -> Stored<Option<String>> {
        self.write(|tx| Box::pin(unfinished(tx))).await
    }
}

async fn unfinished(tx: &mut Tx) -> Attempt<Option<String>> {
    let meta = tx.kept.meta.clone();
    let found = tx
        .one(
            &meta,
            doc! { "_id": MOVE, "finished_at": { "$exists": false } },
        )
        .await?;
    Ok(found.and_then(|found| found.from))
}

/// Forgets the note of a move: what it brought is deleted.
pub(super) async fn forget(tx: &mut Tx) -> Attempt<()> {
    let meta = tx.kept.meta.clone();
    tx.delete(&meta, doc! { "_id": MOVE }).await?;
    Ok(())
}

fn name(kept: &Kept, part: Part) -> &str {
    match part {
        Part::Users => kept.users.name(),
        Part::Probes => kept.probes.name(),
        Part::Operations => kept.operations.name(),
        Part::Assignments => kept.assignments.name(),
        Part::Results => kept.results.name(),
        Part::Ledger => kept.ledger.name(),
        Part::Keys => kept.keys.name(),
    }
}

/// What lies behind a record in the order of identifiers.
fn edge(record: &Record) -> Document {
    match record {
        Record::User { user, .. } => doc! { "_id": { "$gt": user.id.object_id() } },
        Record::Probe { probe, .. } => doc! { "_id": { "$gt": probe.id.object_id() } },
        Record::Operation { operation, .. } => {
            doc! { "_id": { "$gt": operation.plan.id.object_id() } }
        }
        Record::Assignment { assignment, .. } => {
            doc! { "_id": { "$gt": AssignmentId::of(assignment.operation, assignment.probe) } }
        }
        Record::Result { operation, row } => {
            doc! { "_id": { "$gt": ResultId::of(*operation, row.probe, &row.result.code) } }
        }
        Record::Ledger { user, entry } => doc! { "_id": { "$gt": {
            "user": user.object_id(), "number": entry.id,
        } } },
        Record::Key { key, .. } => doc! { "_id": { "$gt": {
            "user": key.user.object_id(), "key": &key.key,
        } } },
    }
}

async fn page(
    kept: &Kept,
    part: Part,
    after: Document,
    limit: usize,
    most_bytes: usize,
) -> Attempt<Vec<Record>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let most = (limit, most_bytes);
    match part {
        Part::Users => some(&kept.users, after, most, user).await,
        Part::Probes => probes(kept, after, limit).await,
        Part::Operations => some(&kept.operations, after, most, operation).await,
        Part::Assignments => some(&kept.assignments, after, most, assignment).await,
        Part::Results => results(kept, after, most).await,
        Part::Ledger => some(&kept.ledger, after, most, entry).await,
        Part::Keys => some(&kept.keys, after, most, key).await,
    }
}

fn user(user: UserDoc) -> Attempt<Record> {
    Ok(Record::User {
        user: User::from(&user),
        password_hash: user.password_hash,
    })
}

fn operation(operation: OperationDoc) -> Attempt<Record> {
    Ok(Record::Operation {
        open_assignments: u32::try_from(operation.open_assignments)?,
        operation: Box::new(operation.operation()?),
    })
}

fn assignment(document: AssignmentDoc) -> Attempt<Record> {
    Ok(Record::Assignment {
        assignment: Assignment::from(&document),
        created_at: time(document.created_at),
        ends_at: document.ends_at.map(time),
    })
}

fn entry(document: LedgerDoc) -> Attempt<Record> {
    Ok(Record::Ledger {
        user: document.id.user.into(),
        entry: LedgerEntry::from(document),
    })
}

fn key(document: KeyDoc) -> Attempt<Record> {
    Ok(Record::Key {
        key: IdempotencyKey {
            user: document.id.user.into(),
            key: document.id.key,
            fingerprint: document.fingerprint,
        },
        subject: document.subject,
        answer: document.answer,
        created_at: time(document.created_at),
    })
}

/// Records behind an edge: so many, and no more after so many bytes.
async fn some<T>(
    collection: &Collection<T>,
    after: Document,
    (limit, most_bytes): (usize, usize),
    record: impl Fn(T) -> Attempt<Record>,
) -> Attempt<Vec<Record>>
where
    T: DeserializeOwned + Send + Sync,
{
    let raw = collection.clone_with_type::<RawDocumentBuf>();
    let find = raw
        .find(after)
        .sort(doc! { "_id": 1 })
        .limit(paging::limit(limit));
    let mut cursor = find.await?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while bytes <= most_bytes
        && let Some(document) = cursor.try_next().await?
    {
        bytes = bytes.saturating_add(document.as_bytes().len());
        found.push(record(bson::deserialize_from_slice(document.as_bytes())?)?);
    }
    Ok(found)
}

async fn probes(kept: &Kept, after: Document, limit: usize) -> Attempt<Vec<Record>> {
    let find = kept
        .probes
        .find(after)
        .sort(doc! { "_id": 1 })
        .limit(paging::limit(limit));
    let found: Vec<ProbeDoc> = find.await?.try_collect().await?;
    let deleted: Vec<_> = found
        .iter()
        .map(|probe| probe.deleted_at.map(time))
        .collect();
    let probes = with_loads(kept, found).await?;
    let records = probes.into_iter().zip(deleted);
    Ok(records
        .map(|(probe, deleted_at)| Record::Probe { probe, deleted_at })
        .collect())
}

async fn results(
    kept: &Kept,
    after: Document,
    (limit, most_bytes): (usize, usize),
) -> Attempt<Vec<Record>> {
    let mut cursor = kept
        .results
        .clone_with_type::<RawDocumentBuf>()
        .find(after)
        .sort(doc! { "_id": 1 })
        .limit(paging::limit(limit))
        .await?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while bytes <= most_bytes && cursor.advance().await? {
        let document: ReadDoc<'_> = bson::deserialize_from_slice(cursor.current().as_bytes())?;
        let id = document.id.clone();
        let operation = id.operation.into();
        let mut row = Box::new(document.row()?);
        if row.result.raw.is_empty()
            && let Some(raw) = apart(kept, id).await?
        {
            row.result.raw = raw;
        }
        bytes = bytes.saturating_add(row.result.document.len() + row.result.raw.len());
        found.push(Record::Result { operation, row });
    }
    Ok(found)
}

//! Writing records that are not there.

use std::collections::{HashMap, HashSet};

use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::Collection;
use serde::{Deserialize, Serialize};

use crate::store::{
    Part, Record, StoreError,
    mongo::{
        documents::{
            AssignmentDoc, LedgerDoc, OnlyId, OperationDoc, ProbeDoc, RawDoc, ResultDoc, UserDoc,
            date,
        },
        error::{Attempt, Failure, is_duplicate},
        keys,
        link::{Tx, Update},
    },
};

/// A document with its identifier.
type Named = (Bson, RawDocumentBuf);

/// Records as they are written.
#[derive(Debug, Default)]
pub(super) struct Documents {
    parts: HashMap<Part, Vec<Named>>,
    /// Still without the price of a run, which their operations know.
    assignments: Vec<AssignmentDoc>,
    /// Raw bytes of results that stand apart.
    raws: Vec<RawDoc>,
    /// The newest entry of each user's ledger that is among them.
    newest: HashMap<ObjectId, i64>,
}

impl Documents {
    /// What stands in these records.
    pub(super) fn of(records: &[Record]) -> Attempt<Self> {
        let mut all = Self::default();
        for record in records {
            let named = match record {
                Record::User {
                    user,
                    password_hash,
                } => named(&UserDoc::of(user, password_hash))?,
                Record::Probe { probe, deleted_at } => {
                    let mut document = ProbeDoc::from(probe);
                    document.deleted_at = deleted_at.map(date);
                    named(&document)?
                }
                Record::Operation {
                    operation,
                    open_assignments,
                } => named(&OperationDoc::of(operation, i64::from(*open_assignments))?)?,
                Record::Assignment {
                    assignment,
                    created_at,
                    ends_at,
                } => {
                    let document = AssignmentDoc::of(assignment, 0, *created_at, *ends_at);
                    all.assignments.push(document);
                    continue;
                }
                Record::Result { operation, row } => {
                    all.raws.extend(RawDoc::of(*operation, row));
                    let document = ResultDoc::of(*operation, row)?;
                    let id = document.id.clone().into();
                    (id, ResultDoc::numbered(document.unnumbered()?, row.seq)?)
                }
                Record::Ledger { user, entry } => {
                    let newest = all.newest.entry(user.object_id()).or_default();
                    *newest = entry.id.max(*newest);
                    named(&LedgerDoc::of(user.object_id(), entry))?
                }
                Record::Key {
                    key,
                    subject,
                    answer,
                    created_at,
                } => named(&keys::document(
                    key,
                    subject.clone(),
                    answer.clone(),
                    *created_at,
                ))?,
            };
            all.parts.entry(record.part()).or_default().push(named);
        }
        Ok(all)
    }

    /// Writes what is not there; how many records were new.
    pub(super) async fn fill(&self, tx: &mut Tx) -> Attempt<usize> {
        let mut new = 0;
        for part in Part::ALL {
            if part == Part::Assignments {
                let priced = self.priced(tx).await?;
                new += fill(tx, part, &priced).await?;
            } else if let Some(documents) = self.parts.get(&part) {
                new += fill(tx, part, documents).await?;
            }
        }
        let raws = self.raws.iter().map(named).collect::<Attempt<Vec<_>>>()?;
        fill_named(tx, tx.kept.raws.name().to_owned(), &raws).await?;
        let newest = self.newest.iter().map(|(user, number)| Update {
            filter: doc! { "_id": user },
            change: doc! { "$max": { "ledger_entries": number } },
        });
        let users = tx.kept.users.clone();
        tx.update(&users, newest.collect()).await?;
        Ok(new)
    }

    async fn priced(&self, tx: &mut Tx) -> Attempt<Vec<Named>> {
        let mut ids: Vec<ObjectId> = self.assignments.iter().map(|it| it.id.operation).collect();
        ids.sort_unstable();
        ids.dedup();
        let operations = tx.kept.operations.clone_with_type::<PriceDoc>();
        let find = operations
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "run_price": 1 });
        let found = tx.all(find).await?;
        let prices: HashMap<ObjectId, u32> =
            found.into_iter().map(|it| (it.id, it.run_price)).collect();
        let priced = self.assignments.iter().map(|assignment| {
            let price = prices.get(&assignment.id.operation);
            let run_price = *price.ok_or_else(|| {
                let text = format!("an assignment of no operation: {:?}", assignment.id);
                Failure::Final(StoreError::Corrupt(text))
            })?;
            named(&AssignmentDoc {
                run_price,
                ..assignment.clone()
            })
        });
        priced.collect()
    }
}

/// The price of an operation's run.
#[derive(Debug, Deserialize)]
struct PriceDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    run_price: u32,
}

fn named<T: Serialize>(document: &T) -> Attempt<Named> {
    let document = bson::serialize_to_raw_document_buf(document)?;
    let id = document.get("_id")?.map(Bson::try_from).transpose()?;
    Ok((id.unwrap_or(Bson::Null), document))
}

/// Writes those that are not there; how many.
async fn fill(tx: &mut Tx, part: Part, documents: &[Named]) -> Attempt<usize> {
    let name = super::name(&tx.kept, part).to_owned();
    match fill_named(tx, name, documents).await {
        // Its identifier is new, so it is the address.
        Err(Failure::Driver(error)) if part == Part::Users && is_duplicate(&error) => {
            Err(Failure::Final(StoreError::EmailTaken))
        }
        done => done,
    }
}

async fn fill_named(tx: &mut Tx, name: String, documents: &[Named]) -> Attempt<usize> {
    if documents.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Bson> = documents.iter().map(|(id, _)| id.clone()).collect();
    let there: Collection<OnlyId<Bson>> = tx.kept.database.collection(&name);
    let find = there
        .find(doc! { "_id": { "$in": ids } })
        .projection(doc! { "_id": 1 });
    let there: Vec<Bson> = tx
        .all(find)
        .await?
        .into_iter()
        .map(|only| only.id)
        .collect();
    // Named by their text: a Bson has no order and no hash.
    let there: HashSet<String> = there.iter().map(ToString::to_string).collect();
    let mut new: Vec<RawDocumentBuf> = Vec::new();
    for (id, document) in documents {
        if !there.contains(&id.to_string()) {
            new.push(document.clone());
        }
    }
    let count = new.len();
    let collection: Collection<RawDocumentBuf> = tx.kept.database.collection(&name);
    tx.insert(&collection, new).await?;
    Ok(count)
}

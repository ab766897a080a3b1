//! Changing many documents in few commands.

use bson::{Bson, Document, doc};
use mongodb::{Collection, options::ReturnDocument};
use serde::de::DeserializeOwned;

use super::{Failure, Tx};
use crate::store::{StoreError, mongo::error::Attempt};

/// Updates of one command: far below the 16 MiB of a command and its 100,000 statements.
const UPDATES_AT_ONCE: usize = 2000;
/// Documents that one statement names: half a megabyte of identifiers.
const NAMED_AT_ONCE: usize = 10_000;

/// One document to change: which, and how (update operators, or a replacement).
pub(in crate::store::mongo) struct Update {
    pub(in crate::store::mongo) filter: Document,
    pub(in crate::store::mongo) change: Document,
}

/// Documents that change in the same way: which, and how (update operators). They cost a fraction of as many updates.
pub(in crate::store::mongo) struct Alike {
    pub(in crate::store::mongo) ids: Vec<Bson>,
    pub(in crate::store::mongo) change: Document,
}

impl Tx {
    /// Changes one document by a pipeline, makes it where there is none, and answers with it as it is then.
    pub(in crate::store::mongo) async fn put<T>(
        &mut self,
        collection: &Collection<T>,
        filter: Document,
        pipeline: Vec<Document>,
    ) -> Attempt<T>
    where
        T: DeserializeOwned + Send + Sync,
    {
        let put = collection
            .find_one_and_update(filter, pipeline)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .session(&mut self.session)
            .await?;
        let text = || format!("a document of {} was not made", collection.name());
        put.ok_or_else(|| Failure::Final(StoreError::Corrupt(text())))
    }

    /// Changes documents, each of which must be there, in few commands.
    pub(in crate::store::mongo) async fn update<T: Send + Sync>(
        &mut self,
        collection: &Collection<T>,
        updates: Vec<Update>,
    ) -> Attempt<()> {
        let mut updates = updates.into_iter().peekable();
        while updates.peek().is_some() {
            let some: Vec<Document> = updates
                .by_ref()
                .take(UPDATES_AT_ONCE)
                .map(|update| doc! { "q": update.filter, "u": update.change })
                .collect();
            let wanted = some.len();
            self.run(collection, some, wanted).await?;
        }
        Ok(())
    }

    /// The same for groups of documents, a statement for each.
    pub(in crate::store::mongo) async fn update_alike<T: Send + Sync>(
        &mut self,
        collection: &Collection<T>,
        groups: Vec<Alike>,
    ) -> Attempt<()> {
        let (mut updates, mut named) = (Vec::new(), 0);
        for Alike { ids, change } in groups {
            for ids in ids.chunks(NAMED_AT_ONCE) {
                if named + ids.len() > NAMED_AT_ONCE {
                    self.run(collection, std::mem::take(&mut updates), named)
                        .await?;
                    named = 0;
                }
                named += ids.len();
                updates.push(
                    doc! { "q": { "_id": { "$in": ids } }, "u": change.clone(), "multi": true },
                );
            }
        }
        if updates.is_empty() {
            return Ok(());
        }
        self.run(collection, updates, named).await
    }

    async fn run<T: Send + Sync>(
        &mut self,
        collection: &Collection<T>,
        updates: Vec<Document>,
        wanted: usize,
    ) -> Attempt<()> {
        let command = doc! { "update": collection.name(), "updates": updates, "ordered": true };
        let done = self
            .kept
            .database
            .run_command(command)
            .session(&mut self.session)
            .await?;
        let found = done.get_i32("n").map_or(0, i64::from);
        if found == i64::try_from(wanted)? && !done.contains_key("writeErrors") {
            return Ok(());
        }
        let name = collection.name();
        let text = format!("{found} of {wanted} documents of {name} could be changed: {done}");
        Err(Failure::Final(StoreError::Corrupt(text)))
    }
}

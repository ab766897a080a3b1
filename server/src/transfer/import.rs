//! The database of the system that this one replaces becomes records of ours: users, probes, and operations with the
//! results that lay inside them. Identifiers stay.
//!
//! Documents come from a [`Source`] one by one, are converted by [`users`], [`probes`] and [`operations`], and are written
//! through [`crate::store::MoveStore::fill`]. What is there already is left alone, so an import that was killed is run
//! again. What one transaction writes belongs together: a user with the balance and the entry that explains it, an
//! operation with its assignments and results.
//!
//! In memory are a few megabytes of documents, the ids of users and probes and the addresses of users, never all results.

use std::collections::HashSet;

use bson::raw::RawDocumentBuf;
use probe_protocol::{OperationId, UserId};

use crate::{
    domain::User,
    store::{Record, Store, StoreError},
    transfer::Observer,
};

mod notes;
mod operations;
mod prices;
mod probes;
mod raw;
mod results;
mod source;
mod times;
mod users;

pub use notes::{Count, Imported};
pub(crate) use operations::Rules;
pub(crate) use source::{Source, SourceError};

use notes::Notes;
use operations::Known;
use source::{Collection, Documents};
use users::Addresses;

/// Documents that are written in one transaction.
const DOCUMENTS_AT_ONCE: usize = 200;
/// Bytes of documents after which no more are read before these are written. One alone may have 16 MiB.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// An import did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// The old database cannot be read.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The store cannot be written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store waits for the end of another move.
    #[error("a move from {0} into the store has not ended; end that first, or take an empty store")]
    Unfinished(String),
}

/// Imports everything into a store, or where there is none only tells what would be imported.
///
/// # Errors
/// [`ImportError`]; what was written by then is whole, and a hub refuses the store until an import came to its end.
pub(crate) async fn run(
    source: &Source,
    store: Option<&dyn Store>,
    rules: Rules,
    observer: &mut dyn Observer,
) -> Result<Imported, ImportError> {
    if let Some(store) = store
        && let Some(other) = store.begin_move(source.place(), rules.now).await?
    {
        return Err(ImportError::Unfinished(other));
    }
    let mut import = Import {
        source,
        store,
        rules,
        notes: Notes::to(observer),
        known: Known::default(),
        imported: Imported::default(),
    };
    import.users().await?;
    import.probes().await?;
    import.operations().await?;
    import.notes.finish();
    if let Some(store) = store {
        store.count_loads().await?;
        store.end_move(rules.now).await?;
    }
    Ok(import.imported)
}

struct Import<'a> {
    source: &'a Source,
    store: Option<&'a dyn Store>,
    rules: Rules,
    notes: Notes<'a>,
    known: Known,
    imported: Imported,
}

/// A user to be written.
struct NewUser {
    user: User,
    password_hash: String,
}

impl Import<'_> {
    async fn users(&mut self) -> Result<(), ImportError> {
        let mut addresses = Addresses::default();
        let mut all = self.source.documents(Collection::Users).await?;
        while let Some(document) = all.next().await? {
            addresses.see(&document);
        }
        let mut pages = Pages::of(self.source, Collection::Users).await?;
        while let Some(page) = pages.next().await? {
            let mut new = Vec::new();
            for document in &page {
                let Some((user, password_hash)) =
                    users::convert(document, &addresses, &mut self.notes)
                else {
                    self.imported.users.left();
                    continue;
                };
                if !self.known.users.insert(user.id) {
                    self.imported.users.left();
                } else if self.has_user(user.id).await? {
                    self.imported.users.there();
                } else {
                    self.imported.users.taken();
                    new.push(NewUser {
                        user,
                        password_hash,
                    });
                }
            }
            self.write_users(new).await?;
            self.tell(&pages);
        }
        Ok(())
    }

    async fn has_user(&self, id: UserId) -> Result<bool, ImportError> {
        Ok(match self.store {
            Some(store) => store.user(id).await?.is_some(),
            None => false,
        })
    }

    /// Writes users together; where one of them has the address of someone who was in the store before, one by one.
    async fn write_users(&mut self, new: Vec<NewUser>) -> Result<(), ImportError> {
        let Some(store) = self.store.filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        let records = |it: &NewUser| {
            users::records(it.user.clone(), it.password_hash.clone(), self.rules.now)
        };
        match store.fill(new.iter().flat_map(records).collect()).await {
            Err(StoreError::EmailTaken) => {}
            other => return other.map(drop).map_err(ImportError::from),
        }
        for mut one in new {
            let records = |it: &NewUser| {
                users::records(it.user.clone(), it.password_hash.clone(), self.rules.now)
            };
            match store.fill(records(&one)).await {
                Err(StoreError::EmailTaken) => {
                    let id = one.user.id;
                    users::note_set_aside(&mut self.notes, id, &one.user.email);
                    one.user.email = users::set_aside(id, &one.user.email);
                    let records = users::records(one.user, one.password_hash, self.rules.now);
                    store.fill(records).await?;
                }
                other => _ = other?,
            }
        }
        Ok(())
    }

    async fn probes(&mut self) -> Result<(), ImportError> {
        let mut pages = Pages::of(self.source, Collection::Probes).await?;
        while let Some(page) = pages.next().await? {
            let mut records = Vec::with_capacity(page.len());
            for document in &page {
                let probe = probes::convert(document, &self.known.users, &mut self.notes);
                let Some(probe) = probe.filter(|probe| self.known.probes.insert(probe.id)) else {
                    self.imported.probes.left();
                    continue;
                };
                records.push(Record::Probe {
                    probe,
                    deleted_at: None,
                });
            }
            let all = records.len();
            let new = match self.store {
                Some(store) => store.fill(records).await?,
                None => all,
            };
            let count = &mut self.imported.probes;
            count.found += all as u64;
            count.taken += new as u64;
            count.there += all.saturating_sub(new) as u64;
            self.tell(&pages);
        }
        Ok(())
    }

    async fn operations(&mut self) -> Result<(), ImportError> {
        let mut pages = Pages::of(self.source, Collection::Operations).await?;
        while let Some(page) = pages.next().await? {
            let mut there = self.operations_there(&page).await?;
            let mut records = Vec::new();
            for document in &page {
                // A dump may have a document twice.
                if operations::id(document).is_some_and(|id| !there.insert(id)) {
                    self.imported.operations.there();
                    let results = operations::count_results(document);
                    self.imported.results.found += results;
                    self.imported.results.there += results;
                    continue;
                }
                let (made, results) =
                    operations::convert(document, &self.known, self.rules, &mut self.notes);
                self.imported.results.add(results);
                if made.is_empty() {
                    self.imported.operations.left();
                } else {
                    self.imported.operations.taken();
                }
                records.extend(made);
            }
            if let Some(store) = self.store.filter(|_| !records.is_empty()) {
                store.fill(records).await?;
            }
            self.tell(&pages);
        }
        Ok(())
    }

    /// Those of these operations that are in the store.
    async fn operations_there(
        &self,
        page: &[RawDocumentBuf],
    ) -> Result<HashSet<OperationId>, ImportError> {
        let Some(store) = self.store else {
            return Ok(HashSet::new());
        };
        let ids = page.iter().filter_map(|document| operations::id(document));
        let briefs = store.briefs(ids.collect()).await?;
        Ok(briefs.into_iter().map(|brief| brief.operation).collect())
    }

    fn tell(&mut self, pages: &Pages) {
        let what = pages.collection.as_str();
        self.notes.progress(what, pages.done, pages.total);
    }
}

/// Documents of a collection, a page at a time.
struct Pages {
    collection: Collection,
    documents: Documents,
    done: u64,
    /// 0 where nobody knows.
    total: u64,
}

impl Pages {
    async fn of(source: &Source, collection: Collection) -> Result<Self, SourceError> {
        Ok(Self {
            collection,
            total: source.count(collection).await?,
            documents: source.documents(collection).await?,
            done: 0,
        })
    }

    /// The next page; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<RawDocumentBuf>>, SourceError> {
        let (mut page, mut bytes) = (Vec::new(), 0_usize);
        while page.len() < DOCUMENTS_AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some(document) = self.documents.next().await? else {
                break;
            };
            bytes = bytes.saturating_add(document.as_bytes().len());
            page.push(document);
        }
        self.done += page.len() as u64;
        Ok((!page.is_empty()).then_some(page))
    }
}

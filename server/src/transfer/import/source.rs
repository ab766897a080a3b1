//! Where the old database is read from: a server that runs, or a folder that mongodump wrote. Nothing is ever written
//! there. Documents come out one by one, raw, for whoever converts them; none is looked into here.

use bson::{
    Document, doc,
    raw::{RawDocument, RawDocumentBuf},
};

mod folder;
mod server;

use self::{
    folder::{Folder, Reader},
    server::{Answers, Server},
};
use crate::config::Database;

/// A collection of the old database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    /// Users.
    Users,
    /// Probes.
    Probes,
    /// Operations with their results.
    Operations,
}

impl Collection {
    /// All of them, in the order in which they name each other.
    const ALL: [Self; 3] = [Self::Users, Self::Probes, Self::Operations];

    /// Its name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Probes => "probes",
            Self::Operations => "operations",
        }
    }
}

/// The old database cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// This is no old database, or none that can be read at all.
    #[error("{0}")]
    Wrong(String),
    /// It did not answer, or stopped in the middle.
    #[error("{0}")]
    Failed(String),
}

/// The old database.
#[derive(Debug)]
pub(crate) enum Source {
    /// What mongodump wrote.
    Folder(Folder),
    /// A server.
    Server(Server),
}

impl Source {
    /// Opens it by a connection string or the path of a folder, and looks whether it is an old database.
    ///
    /// # Errors
    /// [`SourceError`] says why it cannot be read. Passwords are not in it.
    pub(crate) async fn open(name: &str) -> Result<Self, SourceError> {
        if server::is_uri(name) {
            return Ok(Self::Server(Server::connect(name).await?));
        }
        Ok(Self::Folder(Folder::open(name)?))
    }

    /// Its name, without a password; the same at each time.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Folder(folder) => folder.place(),
            Self::Server(server) => server.place(),
        }
    }

    /// Whether a store of these settings would be in the same database. Names are compared; who calls a server by two
    /// names is not found out.
    pub(crate) fn is_in(&self, database: &Database) -> bool {
        match (self, database) {
            (Self::Server(server), Database::Mongo(settings)) => server.is_in(settings),
            _ => false,
        }
    }

    /// How many documents a collection has; 0 where nobody knows before they are read.
    pub(super) async fn count(&self, collection: Collection) -> Result<u64, SourceError> {
        match self {
            Self::Folder(folder) => folder.count(collection),
            Self::Server(server) => server.count(collection).await,
        }
    }

    /// The documents of a collection, from a server in the order of their ids.
    pub(super) async fn documents(&self, collection: Collection) -> Result<Documents, SourceError> {
        Ok(match self {
            Self::Folder(folder) => Documents::Read(folder.documents(collection)?),
            Self::Server(server) => Documents::Sent(Box::new(server.documents(collection).await?)),
        })
    }
}

/// Documents on their way. What is in memory is one document, and what a server sends at a time.
pub(super) enum Documents {
    /// From a file; `None` where there is none.
    Read(Option<Reader>),
    /// From a server.
    Sent(Box<Answers>),
}

impl Documents {
    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<RawDocumentBuf>, SourceError> {
        match self {
            Self::Read(None) => Ok(None),
            Self::Read(Some(reader)) => reader.next(),
            Self::Sent(answers) => answers.next().await,
        }
    }
}

/// A collection that only databases of this system have, and what a document in it is called.
const OURS: (&str, &str) = ("meta", "schema");

fn names_schema(document: &RawDocument) -> bool {
    let id = document.get("_id").ok().flatten();
    id.and_then(|id| id.as_str()) == Some(OURS.1)
}

fn is_ours(place: &str) -> SourceError {
    SourceError::Wrong(format!(
        "{place} holds a database of this system, not of the one that it replaces"
    ))
}

fn has_nothing(place: &str, hint: &str) -> SourceError {
    let names = Collection::ALL.map(Collection::as_str).join(", ");
    SourceError::Wrong(format!("{place} has none of {names}{hint}"))
}

/// The document that tells a database of this system.
fn schema() -> Document {
    doc! { "_id": OURS.1 }
}

#[cfg(test)]
mod tests;

//! The embedded store: one SQLite file, one hub.
//!
//! Writes go to one thread ([`writer`]) that commits them in groups and answers after the commit; reads run on
//! connections of their own ([`readers`]). Every method of the port is one function over a connection in the module
//! named after its subject; rules come from `domain`, these modules only apply them. Nothing here knows of sessions,
//! buses or HTTP.

use std::{fs::File, path::Path, sync::Arc};

use rusqlite::Connection;

use super::{Stamp, Stored, Upgrade};
use open::Watch;
use readers::Readers;
use writer::Writer;

mod assignments;
mod audit;
mod backup;
mod balance;
mod carrier;
mod codec;
mod environment;
mod error;
mod keys;
mod moving;
mod open;
mod opening;
mod operations;
mod paging;
mod probes;
mod readers;
mod recording;
mod results;
mod settling;
#[cfg(test)]
mod tests;
mod upgrade;
mod upkeep;
mod users;
mod wiping;
mod writer;

pub(crate) use backup::{BackupError, Restore, back_up, restore};
pub(crate) use open::OpenError;

/// Connections that read: as many as queries of a small machine run at the same time.
const READERS: usize = 4;

/// A store in a file.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    writer: Arc<Writer>,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the file, makes it where there is none and brings its schema up to date. Blocks; meant for the start.
    ///
    /// # Errors
    /// [`OpenError`] when it is in use, newer than this program, of another environment, or cannot be used.
    pub(crate) fn open(path: &Path, stamp: Stamp<'_>) -> Result<Self, OpenError> {
        Self::open_watched(path, stamp, None)
    }

    fn open_watched(
        path: &Path,
        stamp: Stamp<'_>,
        watch: Option<&Watch>,
    ) -> Result<Self, OpenError> {
        Self::open_locked(path, Some(open::lock(path)?), stamp, watch)
    }

    /// What [`Self::open`] would do to bring a file up to date. Blocks; nothing is made or changed.
    ///
    /// # Errors
    /// [`OpenError`] when it would be refused.
    pub(crate) fn upgrade(path: &Path, stamp: Stamp<'_>) -> Result<Upgrade, OpenError> {
        upgrade::plan(path, stamp)
    }

    /// Opens the file for a command beside a hub that may be running on it. Blocks; meant for a few writes.
    ///
    /// # Errors
    /// [`OpenError`]; in use when the schema would have to change under a running hub.
    pub(crate) fn open_beside(path: &Path, stamp: Stamp<'_>) -> Result<Self, OpenError> {
        let lock = match open::lock(path) {
            Ok(lock) => Some(lock),
            Err(OpenError::InUse(_)) if open::is_current(path)? => None,
            Err(error) => return Err(error),
        };
        Self::open_locked(path, lock, stamp, None)
    }

    /// Opens a file that is to be read and not to be brought up to date. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] when it is in use, was written by another version of this program, or cannot be used.
    pub(crate) fn open_as_it_is(path: &Path) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        open::demand_newest(path)?;
        Self::open_locked(path, Some(lock), Stamp::Any, None)
    }

    /// Opens the file to look at it, also beside a hub that runs on it: nothing is made or changed, and writes fail. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] when it was written by another version of this program, is of another environment, or cannot be used.
    pub(crate) fn open_to_look(path: &Path, stamp: Stamp<'_>) -> Result<Self, OpenError> {
        open::demand_newest(path)?;
        let looking = open::reader(path, None)?;
        let belongs = environment::name_if_kept(&looking).map_err(open::failed(path))?;
        stamp.check(|| path.display().to_string(), belongs.as_deref())?;
        Self::over(path, looking, None, None, None)
    }

    fn open_locked(
        path: &Path,
        lock: Option<File>,
        stamp: Stamp<'_>,
        watch: Option<&Watch>,
    ) -> Result<Self, OpenError> {
        let connection = open::writer(path, stamp, watch)?;
        let carrier = open::carrier(path)?;
        Self::over(path, connection, Some(carrier), lock, watch)
    }

    /// A store whose writer has that connection, and `carrier` one for its log.
    fn over(
        path: &Path,
        connection: Connection,
        carrier: Option<Connection>,
        lock: Option<File>,
        watch: Option<&Watch>,
    ) -> Result<Self, OpenError> {
        let readers = (0..READERS)
            .map(|_| open::reader(path, watch))
            .collect::<Result<Vec<_>, _>>()?;
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let readers = Readers::start(readers).map_err(failed)?;
        let writer = Writer::start(connection, carrier, lock).map_err(failed)?;
        Ok(Self {
            writer: Arc::new(writer),
            readers,
        })
    }

    /// Takes no more writes, and waits until those that were taken are on disk and the log is part of the file.
    async fn shut(&self) {
        let writer = Arc::clone(&self.writer);
        if let Err(error) = tokio::task::spawn_blocking(move || writer.close()).await {
            tracing::error!(%error, "the store did not close");
        }
    }

    async fn write<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
    {
        self.writer.write(work).await
    }

    async fn read<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
    {
        self.readers.read(work).await
    }
}

//! The store that many hubs share: a replica set of MongoDB.
//!
//! One method of the port is one transaction ([`link`]): read concern snapshot, write concern majority and journalled, so
//! that what was answered survives the loss of any minority of servers. A server that is away is a pause: methods try
//! again until their deadline. What the domain decides is worked out in memory ([`books`]) and written in a few commands,
//! contended documents first. Nothing here knows of sessions, buses or HTTP.
//!
//! `docs/data-model.md` tells the collections to people; [`documents`] has the types.

use std::{sync::Arc, time::Duration};

use mongodb::{Client, Collection, Database};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Stamp, Upgrade};
use arrivals::Arrivals;
use documents::{
    AssignmentDoc, KeyDoc, LedgerDoc, MetaDoc, OperationDoc, ProbeDoc, RawDoc, ResultDoc, UserDoc,
};
use leases::LeaseDoc;
use link::Turns;
use orphans::Orphans;
use recording::Doubt;

mod arrivals;
mod audit;
mod balances;
mod books;
mod connect;
mod documents;
mod error;
mod keys;
mod leases;
mod link;
mod moving;
mod opening;
mod operations;
mod orphans;
mod paging;
mod probes;
mod reading;
mod recording;
mod results;
mod schema;
mod settling;
#[cfg(test)]
mod tests;
mod together;
mod unstructured;
mod upkeep;
mod users;

pub(crate) use connect::{MongoOpenError, Place, Server};

/// How long MongoDB keeps results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultLife {
    /// As long as whoever opened the database last wanted: who is no hub has no say in it.
    AsItIs,
    /// For ever.
    Endless,
    /// So long after they were stored.
    For(Duration),
}

/// Longest the indexes may take at a start: a new one on a large database takes minutes.
const PREPARE_WITHIN: Duration = Duration::from_secs(1200);
/// Longest a close waits for writes that are under way.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// A store in a database of MongoDB.
#[derive(Debug)]
pub(crate) struct MongoStore {
    kept: Kept,
    /// Work that was begun; it goes on when its caller has gone.
    tasks: TaskTracker,
    turns: Turns,
    arrivals: Arrivals,
    /// After the last batch of reports.
    doubt: Doubt,
    closed: CancellationToken,
}

/// The database and its collections. Clones share one pool of connections.
#[derive(Debug, Clone)]
struct Kept {
    client: Client,
    database: Database,
    users: Collection<UserDoc>,
    probes: Collection<ProbeDoc>,
    operations: Collection<OperationDoc>,
    assignments: Collection<AssignmentDoc>,
    results: Collection<ResultDoc>,
    /// Raw bytes too long to stand in their result.
    raws: Collection<RawDoc>,
    ledger: Collection<LedgerDoc>,
    keys: Collection<KeyDoc>,
    meta: Collection<MetaDoc>,
    leases: Collection<LeaseDoc>,
    orphans: Arc<Orphans>,
}

impl Kept {
    fn of(client: Client, database: Database) -> Self {
        Self {
            users: database.collection("users"),
            probes: database.collection("probes"),
            operations: database.collection("operations"),
            assignments: database.collection("assignments"),
            results: database.collection("results"),
            raws: database.collection("raws"),
            ledger: database.collection("ledger"),
            keys: database.collection("idempotency_keys"),
            meta: database.collection("meta"),
            leases: database.collection("leases"),
            orphans: Arc::default(),
            client,
            database,
        }
    }
}

impl MongoStore {
    /// Connects, waits for a primary, and brings collections and indexes up to date.
    ///
    /// # Errors
    /// [`MongoOpenError`] when the server is away, is no replica set, or the database is not one of ours, or of another
    /// environment.
    pub(crate) async fn open(
        place: &Place,
        result_life: ResultLife,
        stamp: Stamp<'_>,
    ) -> Result<Self, MongoOpenError> {
        let (client, database) = connect::connect(place).await?;
        let kept = Kept::of(client, database);
        // A transaction of a hub that was killed would be in the way of changes to indexes.
        kept.orphans.end(&kept).await;
        let prepared = timeout(PREPARE_WITHIN, schema::prepare(&kept, result_life, stamp));
        prepared
            .await
            .map_err(|_| MongoOpenError::Away("its indexes take too long".to_owned()))??;
        Ok(Self::over(kept))
    }

    /// Opens a database of ours to read it, as it is: nothing is made or changed.
    ///
    /// # Errors
    /// [`MongoOpenError`] when the server is away, or there is no such database, or one of another version.
    pub(crate) async fn open_as_it_is(place: &Place) -> Result<Self, MongoOpenError> {
        let (client, database) = connect::connect(place).await?;
        let kept = Kept::of(client, database);
        schema::check_as_it_is(&kept).await?;
        Ok(Self::over(kept))
    }

    /// Opens a database of ours, of that environment, as it is: nothing is made or changed by it.
    ///
    /// # Errors
    /// [`MongoOpenError`] when the server is away, or there is no such database, or one of another version or environment.
    pub(crate) async fn open_to_look(
        place: &Place,
        stamp: Stamp<'_>,
    ) -> Result<Self, MongoOpenError> {
        let (client, database) = connect::connect(place).await?;
        let kept = Kept::of(client, database);
        schema::check_as_it_is(&kept).await?;
        schema::fits(&kept, stamp).await?;
        Ok(Self::over(kept))
    }

    /// What [`Self::open`] would do to bring a database up to date. Nothing is made or changed.
    ///
    /// # Errors
    /// [`MongoOpenError`] when it would be refused.
    pub(crate) async fn upgrade(
        place: &Place,
        stamp: Stamp<'_>,
    ) -> Result<Upgrade, MongoOpenError> {
        let (client, database) = connect::connect(place).await?;
        schema::upgrade(&Kept::of(client, database), stamp).await
    }

    fn over(kept: Kept) -> Self {
        Self {
            kept,
            tasks: TaskTracker::new(),
            turns: Turns::default(),
            arrivals: Arrivals::default(),
            doubt: Doubt::default(),
            closed: CancellationToken::new(),
        }
    }

    /// Refuses what comes, waits for what is under way.
    async fn shut(&self) {
        self.closed.cancel();
        self.tasks.close();
        if timeout(CLOSE_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some work on MongoDB was given up to close");
        }
        self.kept.client.clone().shutdown().immediate(true).await;
    }
}

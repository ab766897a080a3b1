//! Reads and transactions: deadlines, another attempt after what passes, and work that outlives its caller.
//!
//! The driver wants its futures polled to their end, and a caller may go away at any time (an HTTP client that hangs
//! up), so every piece of work runs in a task of its own. At the deadline it is dropped all the same: a server that is
//! frozen must not collect work without end. The driver closes the connection that it was using.

use std::{borrow::Borrow, future::Future, sync::Arc, time::Duration};

use bson::{Document, doc, oid::ObjectId};
use futures::{TryStreamExt as _, future::BoxFuture};
use mongodb::{
    ClientSession, Collection,
    action::{Aggregate, Find, ImplicitSession},
    options::{ReadConcern, TransactionOptions},
};
use probe_protocol::UserId;
use rand::RngExt as _;
use serde::de::DeserializeOwned;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{
    Kept, MongoStore, connect,
    error::{Attempt, Failure, is_unknown_commit},
};
use crate::store::{StoreError, Stored};

mod updates;

pub(super) use updates::{Alike, Update};

/// Longest a caller waits for a commit: longer than an election and a restart take, under the usual 30 s of HTTP clients.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// Longest a caller waits for a read: somebody looks at an empty page meanwhile.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(10);
/// Longest `ping` waits: whoever asks whether the hub is ready has little patience.
const PING_DEADLINE: Duration = Duration::from_secs(3);
/// Pause before a second attempt; it doubles with each further one, up to the longest. Jitter keeps hubs that met at one
/// document from meeting there again.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Attempts before the operator hears of it: about a second; conflicts seldom take that long.
const TOLD_AFTER: u32 = 9;
/// Who conflicts for so long may be in conflict with a transaction that nobody will end.
const SUSPICIOUS_AFTER: Duration = Duration::from_secs(1);
/// Who wants to change much at once and conflicts for so long, is told: less at once conflicts less. By then
/// transactions that nobody will end were looked for.
const CONTENDED_AFTER: Duration = Duration::from_secs(2);
/// Documents that MongoDB sends at once, where all are wanted, as far as its 16 MiB for an answer reach.
pub(super) const SENT_AT_ONCE: u32 = 100_000;

/// Lines for balances: so many that users who are busy at the same time seldom share one.
const LINES: usize = 256;

/// A transaction under way.
pub(super) struct Tx {
    pub(super) kept: Kept,
    session: ClientSession,
}

impl MongoStore {
    /// Runs `work` in a transaction, again and again until it can be committed. When this returns, a majority has it in
    /// its journal. `work` may run several times and must not do anything but write through its transaction.
    pub(super) async fn write<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Attempt<T>> + Send + Sync + 'static,
    {
        let kept = self.kept.clone();
        self.task("writing", WRITE_DEADLINE, transact(kept, None, work))
            .await
    }

    /// The same for work that can be divided, if there is more than one of it: [`StoreError::Contended`] where it should be.
    pub(super) async fn write_parts<T, F>(&self, is_many: bool, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Attempt<T>> + Send + Sync + 'static,
    {
        let kept = self.kept.clone();
        let work = transact(kept, is_many.then_some(CONTENDED_AFTER), work);
        self.task("writing", WRITE_DEADLINE, work).await
    }

    /// The same for work that changes a balance much wanted: who asks for the same user on this hub waits in line instead
    /// of running into each other.
    pub(super) async fn write_in_turn<T, F>(&self, user: UserId, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Attempt<T>> + Send + Sync + 'static,
    {
        let kept = self.kept.clone();
        let line = self.turns.of(user);
        let turn = async move {
            let _turn = line.lock().await;
            transact(kept, None, work).await
        };
        self.task("writing", WRITE_DEADLINE, turn).await
    }

    /// Runs `work`, which only reads, until it gets an answer.
    pub(super) async fn read<T, F, R>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: Fn(Kept) -> R + Send + 'static,
        R: Future<Output = Attempt<T>> + Send,
    {
        self.read_within(READ_DEADLINE, work).await
    }

    /// The same for work that has to look at more than a page.
    pub(super) async fn read_within<T, F, R>(&self, deadline: Duration, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: Fn(Kept) -> R + Send + 'static,
        R: Future<Output = Attempt<T>> + Send,
    {
        let kept = self.kept.clone();
        let attempts = async move {
            let mut pause = Pause::default();
            loop {
                match work(kept.clone()).await {
                    Err(failure) if failure.is_passing() => pause.after(&failure).await,
                    done => return done,
                }
            }
        };
        self.task("reading", deadline, attempts).await
    }

    /// Whether a primary answers.
    pub(super) async fn answers(&self) -> Stored<()> {
        let database = self.kept.database.clone();
        let ping = async move {
            database.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        };
        self.task("asking", PING_DEADLINE, ping).await
    }

    async fn task<T: Send + 'static>(
        &self,
        what: &'static str,
        deadline: Duration,
        work: impl Future<Output = Attempt<T>> + Send + 'static,
    ) -> Stored<T> {
        if self.closed.is_cancelled() {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let task = self.tasks.spawn(timeout(deadline, work));
        match task.await {
            Ok(Ok(done)) => done.map_err(StoreError::from),
            Ok(Err(_)) => Err(StoreError::Unavailable(format!(
                "{what} takes longer than {} s",
                deadline.as_secs()
            ))),
            Err(error) => {
                tracing::error!(%error, "a piece of work on MongoDB panicked");
                Err(StoreError::Unavailable("the work failed".to_owned()))
            }
        }
    }
}

/// Lines in which those wait who want to change the same balance. Users share a line by chance; it costs them little.
#[derive(Debug)]
pub(super) struct Turns(Vec<Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..LINES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    fn of(&self, user: UserId) -> Arc<Mutex<()>> {
        let bytes = user.object_id().bytes();
        // The last bytes of an ObjectId count upwards.
        let place = bytes
            .iter()
            .rev()
            .take(2)
            .fold(0, |all, &byte| all * 256 + usize::from(byte));
        self.0.get(place % LINES).cloned().unwrap_or_default()
    }
}

/// Attempts `work` until it is committed, or until it was in conflict for longer than `patience`.
async fn transact<T, F>(kept: Kept, patience: Option<Duration>, work: F) -> Attempt<T>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Attempt<T>>,
{
    let (mut pause, begun) = (Pause::default(), Instant::now());
    loop {
        match attempt(&kept, &work).await {
            Err(failure) if failure.is_passing() => {
                if failure.is_conflict() && begun.elapsed() > SUSPICIOUS_AFTER {
                    kept.orphans.end(&kept).await;
                    if patience.is_some_and(|patience| begun.elapsed() > patience) {
                        return Err(StoreError::Contended.into());
                    }
                }
                pause.after(&failure).await;
            }
            done => return done,
        }
    }
}

async fn attempt<T, F>(kept: &Kept, work: &F) -> Attempt<T>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Attempt<T>>,
{
    let mut session = kept.client.start_session().await?;
    let options = TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(connect::durable())
        .build();
    session.start_transaction().with_options(options).await?;
    let mut tx = Tx {
        kept: kept.clone(),
        session,
    };
    match work(&mut tx).await {
        Ok(value) => tx.commit().await.map(|()| value),
        Err(failure) => {
            // The first failure tells; a server that cannot abort does so by itself.
            drop(tx.session.abort_transaction().await);
            Err(failure)
        }
    }
}

/// Pauses between attempts.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    /// Pauses, and tells the operator why where it goes on for long: who waits hears of the deadline only.
    async fn after(&mut self, failure: &Failure) {
        if self.0 == TOLD_AFTER {
            tracing::warn!(%failure, "MongoDB does not take it; trying again");
        } else {
            tracing::debug!(%failure, "trying again");
        }
        self.wait().await;
    }

    async fn wait(&mut self) {
        let longest = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(self.0))
            .min(LONGEST_PAUSE);
        self.0 = self.0.saturating_add(1);
        let share = rand::rng().random_range(0.5..1.0);
        sleep(longest.mul_f64(share)).await;
    }
}

impl Tx {
    async fn commit(&mut self) -> Attempt<()> {
        let mut pause = Pause::default();
        loop {
            match self.session.commit_transaction().await {
                Ok(()) => return Ok(()),
                Err(error) if is_unknown_commit(&error) => pause.wait().await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The document of that identifier.
    pub(super) async fn one<T>(
        &mut self,
        collection: &Collection<T>,
        filter: Document,
    ) -> Attempt<Option<T>>
    where
        T: DeserializeOwned + Send + Sync,
    {
        Ok(collection
            .find_one(filter)
            .session(&mut self.session)
            .await?)
    }

    /// All that a query finds.
    pub(super) async fn all<T>(&mut self, find: Find<'_, T>) -> Attempt<Vec<T>>
    where
        T: DeserializeOwned + Send + Sync + Unpin,
    {
        let find = find.batch_size(SENT_AT_ONCE);
        let mut cursor = find.session(&mut self.session).await?;
        Ok(cursor.stream(&mut self.session).try_collect().await?)
    }

    /// All that an aggregation finds.
    pub(super) async fn sum<T>(
        &mut self,
        aggregate: Aggregate<'_, ImplicitSession, T>,
    ) -> Attempt<Vec<T>>
    where
        T: DeserializeOwned + Send + Sync + Unpin,
    {
        let aggregate = aggregate.batch_size(SENT_AT_ONCE);
        let mut cursor = aggregate.session(&mut self.session).await?;
        Ok(cursor.stream(&mut self.session).try_collect().await?)
    }

    /// Changes one document and answers with it as it is then; `None` where none fits.
    pub(super) async fn change<T>(
        &mut self,
        collection: &Collection<T>,
        filter: Document,
        change: Document,
    ) -> Attempt<Option<T>>
    where
        T: DeserializeOwned + Send + Sync,
    {
        let changed = collection
            .find_one_and_update(filter, change)
            .return_document(mongodb::options::ReturnDocument::After)
            .session(&mut self.session)
            .await?;
        Ok(changed)
    }

    /// Inserts documents.
    pub(super) async fn insert<T>(
        &mut self,
        collection: &Collection<T>,
        documents: impl IntoIterator<Item = impl Borrow<T>>,
    ) -> Attempt<()>
    where
        T: serde::Serialize + Send + Sync,
    {
        let mut documents = documents.into_iter().peekable();
        if documents.peek().is_some() {
            collection
                .insert_many(documents)
                .session(&mut self.session)
                .await?;
        }
        Ok(())
    }

    /// Takes hold of a balance, before anything else in the transaction: who comes later learns it at their first step,
    /// and not after long work on what has changed by then.
    pub(super) async fn hold(&mut self, user: UserId) -> Attempt<()> {
        let users = self.kept.users.clone();
        users
            .update_one(
                doc! { "_id": user.object_id() },
                doc! { "$set": { "turn": ObjectId::new() } },
            )
            .session(&mut self.session)
            .await?;
        Ok(())
    }

    /// Deletes what fits; how many.
    pub(super) async fn delete<T: Send + Sync>(
        &mut self,
        collection: &Collection<T>,
        filter: Document,
    ) -> Attempt<u64> {
        let deleted = collection
            .delete_many(filter)
            .session(&mut self.session)
            .await?;
        Ok(deleted.deleted_count)
    }
}

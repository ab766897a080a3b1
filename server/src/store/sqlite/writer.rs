//! The one thread that writes. Commands wait in a bounded queue; the thread takes what is waiting, runs it as one
//! transaction, each command in a savepoint of its own, and answers them all after the commit: one fsync for many.
//!
//! A command that was queued runs, whether its caller still waits or not. The thread ends when the queue is closed
//! and empty, after the log became part of the file. It never sees async code.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::carrier::Carrier;
use crate::store::{StoreError, Stored};

/// Commands that may wait: four full groups; a caller beyond them waits for room.
const QUEUE: usize = 1024;
/// Most commands of one transaction: an fsync shared by that many costs next to nothing, and memory stays small.
const MOST_COMMANDS: usize = 256;
/// A transaction takes in no further command after this long, so that the first does not wait for many others.
const LONGEST_GROUP: Duration = Duration::from_millis(10);
/// Longest a caller waits for its commit: under the usual 30 s of HTTP clients, far over the slowest disk.
const WRITE_DEADLINE: Duration = Duration::from_secs(20);

/// Queues commands for the thread.
#[derive(Debug)]
pub(super) struct Writer {
    /// None once it is closed.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Command>>>>,
    /// Tells the thread to take no more than what is queued.
    closing: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, and one that carries the log where it has a connection for that; `lock` is let go when both have
    /// ended.
    pub(super) fn start(
        mut connection: Connection,
        carrier: Option<Connection>,
        lock: Option<File>,
    ) -> io::Result<Self> {
        let carrier = carrier
            .map(|own| Carrier::start(&mut connection, own))
            .transpose()?;
        let (queue, commands) = mpsc::channel(QUEUE);
        let closing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&closing);
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                run(&connection, commands, &told);
                if let Some(carrier) = carrier {
                    carrier.end(&mut connection);
                    leave_one_file(&connection);
                }
                drop(connection);
                drop(lock);
            })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            closing,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `work` within a transaction; an error undoes what it did. When this returns, it is on disk.
    pub(super) async fn write<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
    {
        let queue = locked(&self.queue).clone().ok_or_else(closed)?;
        let (job, answer) = job(work);
        let committed = async {
            queue.send(job).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        tokio::time::timeout(WRITE_DEADLINE, committed)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("writing takes too long".to_owned())))
    }

    /// Takes no more commands, and waits until those that were taken are on disk and the thread has ended. Does not
    /// wait for callers: they may be tasks of the very thread that is blocked here.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        if let Some(queue) = locked(&self.queue).take() {
            // Wakes the thread where it sleeps; where the queue is full it does not.
            drop(queue.try_send(job(|_| Ok(())).0));
        }
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// A panic while one of these was held left it whole: each is only cloned or taken from.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// A piece of work with somebody who waits for it.
trait Command: Send {
    /// Does the work; whether it is to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, committed: &Stored<()>);
}

struct Job<T, F> {
    work: Option<F>,
    done: Option<Stored<T>>,
    reply: oneshot::Sender<Stored<T>>,
}

/// A command, and where its answer will be.
fn job<T, F>(work: F) -> (Box<dyn Command>, oneshot::Receiver<Stored<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = Job {
        work: Some(work),
        done: None,
        reply,
    };
    (Box::new(job), answer)
}

impl<T, F> Command for Job<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Stored<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let done = self.work.take().map(|work| {
            // The savepoint undoes what a panicking command began, and others must not pay for it.
            catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|_| {
                tracing::error!("a store command panicked and was undone");
                Err(StoreError::Unavailable("the command failed".to_owned()))
            })
        });
        let keep = matches!(done, Some(Ok(_)));
        self.done = done;
        keep
    }

    fn answer(self: Box<Self>, committed: &Stored<()>) {
        let answer = match (committed, self.done) {
            // What a command was refused for does not depend on the commit.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(done)) => done,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(closed()),
        };
        // A caller that went away does not need it.
        drop(self.reply.send(answer));
    }
}

fn run(connection: &Connection, mut queue: mpsc::Receiver<Box<dyn Command>>, closing: &AtomicBool) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        let committed = commit_group(connection, &mut group, &mut queue);
        if let Err(error) = &committed {
            tracing::error!(%error, commands = group.len(), "a transaction failed");
        }
        for command in group {
            command.answer(&committed);
        }
        if closing.load(Ordering::Acquire) {
            // What is queued still comes out; who waits for room is refused.
            queue.close();
        }
    }
}

/// So that copying it is a backup.
fn leave_one_file(connection: &Connection) {
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the write-ahead log stays until the next start");
    }
}

/// Runs the command in `group` and those that wait, which join it, in one transaction.
fn commit_group(
    connection: &Connection,
    group: &mut Vec<Box<dyn Command>>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
) -> Stored<()> {
    let result = execute(connection, "BEGIN IMMEDIATE")
        .and_then(|()| fill(connection, group, queue))
        .and_then(|()| execute(connection, "COMMIT"));
    if result.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK")?;
    }
    // Whatever the reason, none of it happened and it may be tried again.
    result.map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn fill(
    connection: &Connection,
    group: &mut Vec<Box<dyn Command>>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
) -> Stored<()> {
    let began = Instant::now();
    while let Some(command) = group.last_mut() {
        run_one(connection, command.as_mut())?;
        if group.len() >= MOST_COMMANDS || began.elapsed() >= LONGEST_GROUP {
            break;
        }
        match queue.try_recv() {
            Ok(next) => group.push(next),
            Err(_) => break,
        }
    }
    Ok(())
}

fn run_one(connection: &Connection, command: &mut dyn Command) -> Stored<()> {
    execute(connection, "SAVEPOINT command")?;
    let keep = command.run(connection);
    if connection.is_autocommit() {
        // A full disk or an I/O error makes SQLite roll back the whole transaction, the commands before included.
        return Err(StoreError::Unavailable(
            "the transaction was rolled back".to_owned(),
        ));
    }
    if !keep {
        execute(connection, "ROLLBACK TO command")?;
    }
    execute(connection, "RELEASE command")
}

fn execute(connection: &Connection, sql: &str) -> Stored<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

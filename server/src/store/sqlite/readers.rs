//! The threads that read: a few, apart from the writer, each with a connection of its own. They see what was committed
//! when a read begins, so whoever was answered by the writer finds what it wrote.
//!
//! Threads of our own, as most reads take less time than it takes to find a task a thread and a connection: one that is
//! done takes the next read from the queue without anybody being woken.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::store::{StoreError, Stored};

/// Longest a caller waits for a free connection and its answer: a read that takes longer helps nobody.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// Reads that may wait: some seconds of work; a caller beyond them waits for room.
const QUEUE: usize = 4096;

/// A read with somebody who waits for it.
type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Queues reads for the threads, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Readers {
    queue: Arc<Queue>,
    /// One permit for each place of the queue.
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Told when there is something for a thread that sleeps.
    some: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Read>,
    /// Threads that sleep: waking costs a call of the system, also where nobody does.
    sleeping: usize,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.waiting.len())
            .field("sleeping", &self.sleeping)
            .finish_non_exhaustive()
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, read: Read) {
        let mut state = self.state();
        state.waiting.push_back(read);
        let is_needed = state.sleeping > 0;
        drop(state);
        if is_needed {
            self.some.notify_one();
        }
    }

    /// The next read; waits until there is one. `None` at the end.
    fn next(&self) -> Option<Read> {
        let mut state = self.state();
        while !state.is_closed {
            if let Some(read) = state.waiting.pop_front() {
                return Some(read);
            }
            state.sleeping += 1;
            state = self
                .some
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
        None
    }

    /// Tells the threads to end; whoever waits is refused.
    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        self.some.notify_all();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Readers {
    /// Starts a thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<Self> {
        let readers = Self {
            queue: Arc::default(),
            room: Arc::new(Semaphore::new(QUEUE)),
        };
        for connection in connections {
            let queue = Arc::clone(&readers.queue);
            thread::Builder::new()
                .name("sqlite-reader".to_owned())
                .spawn(move || {
                    while let Some(read) = queue.next() {
                        read(&connection);
                    }
                })?;
        }
        Ok(readers)
    }

    /// Runs `work` with a connection that only reads.
    pub(super) async fn read<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
    {
        self.read_within(READ_DEADLINE, work).await
    }

    /// The same for work that may take longer than what somebody waits for at the hub.
    pub(super) async fn read_within<T, F>(&self, deadline: Duration, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Stored<T> + Send + 'static,
    {
        let answer = async {
            let place = Arc::clone(&self.room).acquire_owned().await;
            let place = place.map_err(|_| closed())?;
            let (reply, answer) = oneshot::channel();
            self.queue.push(Box::new(move |connection| {
                drop(place);
                // Who gave up needs no answer, and others wait.
                if !reply.is_closed() {
                    drop(reply.send(done(work, connection)));
                }
            }));
            answer.await.map_err(|_| closed())?
        };
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(unavailable("reading takes too long")))
    }
}

/// Does the work; others must not pay for a panic, and the connection is as good after it.
fn done<T>(work: impl FnOnce(&Connection) -> Stored<T>, connection: &Connection) -> Stored<T> {
    catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|_| {
        tracing::error!("a read panicked");
        Err(unavailable("reading failed"))
    })
}

fn closed() -> StoreError {
    unavailable("the store is closed")
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

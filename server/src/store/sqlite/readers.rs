//! The connections that read: a few, apart from the writer, each used by one blocking task at a time. They see what
//! was committed when they begin, so whoever was answered by the writer finds what it wrote.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::store::{StoreError, Stored};

/// Longest a caller waits for a free connection and its answer: a read that takes longer helps nobody.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// Lends connections to blocking tasks.
#[derive(Debug)]
pub(super) struct Readers {
    /// One permit for each connection; held by the task that uses it, also when its caller has given up.
    free: Arc<Semaphore>,
    connections: Arc<Mutex<Vec<Connection>>>,
}

/// A connection that goes back when the task ends, also by a panic.
struct Lent {
    connection: Option<Connection>,
    home: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(self.connection.take());
    }
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(connections.len())),
            connections: Arc::new(Mutex::new(connections)),
        }
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
            let permit = Arc::clone(&self.free)
                .acquire_owned()
                .await
                .map_err(|_| unavailable("the store is closed"))?;
            let home = Arc::clone(&self.connections);
            let task = spawn_blocking(move || {
                let connection = home.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let lent = Lent { connection, home };
                let answer = match &lent.connection {
                    Some(connection) => work(connection),
                    None => Err(unavailable("no connection is free")),
                };
                // The connection is home before the next task may look for it.
                drop(lent);
                drop(permit);
                answer
            });
            task.await.map_err(|_| unavailable("reading failed"))?
        };
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(unavailable("reading takes too long")))
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

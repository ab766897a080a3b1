//! Results under way: sent, not yet answered. Never more than the hub allows.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Semaphore;

use crate::spool::ResultKey;

/// Most results under way whatever the hub allows: their names are held in memory.
const MOST: u32 = 10_000;

/// The window of one session.
#[derive(Debug)]
pub(super) struct Window {
    room: Semaphore,
    under_way: Mutex<HashSet<ResultKey>>,
}

impl Window {
    /// A window for as many results as the hub allows, at least one.
    pub(super) fn new(max_unanswered: u32) -> Self {
        Self {
            room: Semaphore::new(max_unanswered.clamp(1, MOST) as usize),
            under_way: Mutex::default(),
        }
    }

    /// How many more may be sent now.
    pub(super) fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Waits until at least one more may be sent.
    pub(super) async fn wait(&self) {
        // Never closed; the permit goes straight back.
        let _ = self.room.acquire().await;
    }

    /// Notes a result as under way; waits for room.
    pub(super) async fn enter(&self, key: ResultKey) {
        if let Ok(permit) = self.room.acquire().await
            && self.lock().insert(key)
        {
            permit.forget();
        }
    }

    /// Notes a result as answered; one that is not under way changes nothing.
    pub(super) fn leave(&self, key: &ResultKey) {
        if self.lock().remove(key) {
            self.room.add_permits(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ResultKey>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

//! What waits to be published: bounded, and never waited for. What does not fit is lost and counted.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use probe_protocol::OperationId;
use tokio::sync::Notify;

use super::wire::News;
use crate::store::Change;

/// Bytes of letters that may wait: an errand for a hundred thousand probes fits several times.
const MOST_BYTES: usize = 16 << 20;
/// Letters that may wait, whatever their size.
const MOST_LETTERS: usize = 4096;
/// Operations that may have news that wait.
const MOST_OPERATIONS: usize = 16_384;
/// Changes of assignments that may wait: several operations on ten thousand probes each.
const MOST_CHANGES: usize = 65_536;

/// Letters and news on their way out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    some: Notify,
    /// Whether what was taken last is being published.
    is_publishing: AtomicBool,
    published: Notify,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Channel and message, in order.
    pub(super) letters: VecDeque<(String, Vec<u8>)>,
    /// What happened to operations; what happens meanwhile is added, so a slow Redis makes few messages of much.
    pub(super) news: HashMap<OperationId, News>,
    /// What did not fit.
    pub(super) lost: u64,
    bytes: usize,
    changes: usize,
}

impl Queue {
    /// Adds a letter.
    pub(super) fn send(&self, channel: String, message: Vec<u8>) {
        let mut waiting = self.waiting();
        if waiting.letters.len() >= MOST_LETTERS || waiting.bytes + message.len() > MOST_BYTES {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += message.len();
        waiting.letters.push_back((channel, message));
        drop(waiting);
        self.some.notify_one();
    }

    /// Adds that a result was stored.
    pub(super) fn stored(&self, operation: OperationId, seq: u64) {
        let mut waiting = self.waiting();
        if let Some(news) = waiting.news_of(operation) {
            news.last_seq = news.last_seq.max(Some(seq));
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Adds that an assignment changed.
    pub(super) fn changed(&self, change: Change) {
        let mut waiting = self.waiting();
        if waiting.changes >= MOST_CHANGES {
            waiting.lost += 1;
            return;
        }
        waiting.changes += 1;
        if let Some(news) = waiting.news_of(change.operation) {
            news.changes.push((change.probe, change.state));
            news.ended |= change.operation_ended;
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Waits until there is something, and takes all of it. Who calls it again has published what it got.
    pub(super) async fn take(&self) -> Waiting {
        self.is_publishing.store(false, Ordering::Release);
        self.published.notify_waiters();
        self.some.notified().await;
        self.take_now()
    }

    /// Waits until everything that was added is published.
    pub(super) async fn flushed(&self) {
        loop {
            let mut published = pin!(self.published.notified());
            published.as_mut().enable();
            if self.waiting().is_empty() && !self.is_publishing.load(Ordering::Acquire) {
                return;
            }
            published.await;
        }
    }

    /// Takes what there is.
    pub(super) fn take_now(&self) -> Waiting {
        let mut waiting = self.waiting();
        self.is_publishing.store(true, Ordering::Release);
        mem::take(&mut *waiting)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock, and what it holds is whole after every call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.news.is_empty()
    }

    fn news_of(&mut self, operation: OperationId) -> Option<&mut News> {
        if self.news.len() >= MOST_OPERATIONS && !self.news.contains_key(&operation) {
            self.lost += 1;
            return None;
        }
        Some(self.news.entry(operation).or_default())
    }
}

#[cfg(test)]
mod tests {
    use probe_protocol::ProbeId;

    use super::*;
    use crate::domain::AssignmentState;

    #[tokio::test]
    async fn news_of_one_operation_are_one_message() {
        let (queue, operation) = (Queue::default(), OperationId::new());
        let change = |state, operation_ended| Change {
            operation,
            probe: ProbeId::new(),
            state,
            operation_ended,
        };
        queue.stored(operation, 4);
        queue.stored(operation, 2);
        queue.changed(change(AssignmentState::Accepted, false));
        queue.changed(change(AssignmentState::Finished, true));
        let waiting = queue.take().await;
        assert_eq!(waiting.news.len(), 1);
        let news = &waiting.news[&operation];
        assert_eq!(
            (news.last_seq, news.changes.len(), news.ended),
            (Some(4), 2, true)
        );
        assert!(queue.take_now().news.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_costs_no_memory() {
        let queue = Queue::default();
        for _ in 0..20 {
            queue.send("all".to_owned(), vec![0; 1 << 20]);
        }
        for _ in 0..MOST_CHANGES + 5 {
            queue.changed(Change {
                operation: OperationId::new(),
                probe: ProbeId::new(),
                state: AssignmentState::Accepted,
                operation_ended: false,
            });
        }
        let waiting = queue.take_now();
        assert_eq!((waiting.letters.len(), waiting.bytes), (16, MOST_BYTES));
        assert_eq!(waiting.news.len(), MOST_OPERATIONS);
        let refused = MOST_CHANGES - MOST_OPERATIONS + 5;
        assert_eq!(waiting.lost, 4 + refused as u64);
    }
}

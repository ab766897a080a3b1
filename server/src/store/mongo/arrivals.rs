//! Probes that connect at the same time are settled together: whoever gets the turn takes along all that wait. After an
//! outage ten thousand come back at once, and what costs is the transaction, not the probe in it.
//!
//! [`super::settling`] says what a transaction does.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    MongoStore,
    link::WRITE_DEADLINE,
    settling::{self, Hello},
};
use crate::store::{Settled, StoreError, Stored};

/// Probes of one transaction: as many as are worth a commit, few enough that one that is in conflict holds up few others.
const MOST_TOGETHER: usize = 128;

/// What became of one.
type Answer = Stored<Option<Settled>>;

/// Those who wait, and the turn that is taken in turn.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    waiting: Mutex<VecDeque<(Hello, oneshot::Sender<Answer>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Arrivals {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Hello, oneshot::Sender<Answer>)>> {
        // No code panics while it holds the lock, and a queue is whole after every call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who are next and still wait; none of them twice, since the sessions of a probe are numbered one after the other.
    fn next(&self) -> (Vec<Hello>, Vec<oneshot::Sender<Answer>>) {
        let mut waiting = self.waiting();
        let (mut seen, mut next, mut later) = (HashSet::new(), Vec::new(), VecDeque::new());
        while next.len() < MOST_TOGETHER
            && let Some((hello, answer)) = waiting.pop_front()
        {
            if answer.is_closed() {
                continue;
            }
            if seen.insert(hello.probe) {
                next.push((hello, answer));
            } else {
                later.push_back((hello, answer));
            }
        }
        later.append(&mut waiting);
        *waiting = later;
        next.into_iter().unzip()
    }
}

impl MongoStore {
    /// Settles a probe, with those that come at the same time.
    pub(super) async fn arrive(&self, hello: Hello) -> Answer {
        let (sender, mut answer) = oneshot::channel();
        let deadline = Instant::now() + WRITE_DEADLINE;
        self.arrivals.waiting().push_back((hello, sender));
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer.unwrap_or_else(|_| Err(given_up())),
                _turn = self.arrivals.turn.lock() => self.settle_next().await,
                () = sleep_until(deadline) => return Err(too_long()),
            }
        }
    }

    async fn settle_next(&self) {
        let (hellos, waiting) = self.arrivals.next();
        let answers = self.settle_all(Arc::new(hellos)).await;
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // Whoever has gone away since does not need it.
            let _ = waiting.send(answer);
        }
    }

    /// One answer for each, in their order. What cannot be written together is written by halves, so that one probe is in
    /// nobody else's way.
    async fn settle_all(&self, hellos: Arc<Vec<Hello>>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(hellos.len());
        // The next part is the last one.
        let mut parts = vec![hellos];
        while let Some(part) = parts.pop() {
            match self.settle_together(part.clone()).await {
                Ok(settled) => answers.extend(settled.into_iter().map(Ok)),
                Err(error) if part.len() < 2 || matches!(error, StoreError::Unavailable(_)) => {
                    answers.extend(part.iter().map(|_| Err(error.clone())));
                }
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first].map(|half| Arc::new(half.to_vec())));
                }
            }
        }
        answers
    }

    async fn settle_together(&self, hellos: Arc<Vec<Hello>>) -> Stored<Vec<Option<Settled>>> {
        self.write_parts(hellos.len() > 1, move |tx| {
            let hellos = hellos.clone();
            Box::pin(async move { settling::settle(tx, &hellos).await })
        })
        .await
    }
}

fn too_long() -> StoreError {
    StoreError::Unavailable("others take too long".to_owned())
}

fn given_up() -> StoreError {
    StoreError::Unavailable("who was to write it went away".to_owned())
}

//! What many ask for at the same time is done for all of them at once: whoever gets the turn takes along all that wait. Who is
//! alone waits for nobody; after an outage ten thousand come back at once, and what costs is the command, not the probe in it.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::store::{StoreError, Stored};

/// Those who wait, and the turn that is taken in turn. `A` is what one is answered.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    waiting: Mutex<VecDeque<(Q, oneshot::Sender<Stored<A>>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

/// A question of which no turn takes two about the same.
pub(super) trait Question {
    /// What it is about.
    type About: Eq + Hash;

    /// What it is about.
    fn about(&self) -> Self::About;
}

impl<Q: Question, A> Together<Q, A> {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Q, oneshot::Sender<Stored<A>>)>> {
        // No code panics while it holds the lock, and a queue is whole after every call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who are next and still wait, at most so many.
    fn next(&self, most: usize) -> (Vec<Q>, Vec<oneshot::Sender<Stored<A>>>) {
        let mut waiting = self.waiting();
        let (mut seen, mut next, mut later) = (HashSet::new(), Vec::new(), VecDeque::new());
        while next.len() < most
            && let Some((question, answer)) = waiting.pop_front()
        {
            if answer.is_closed() {
                continue;
            }
            if seen.insert(question.about()) {
                next.push((question, answer));
            } else {
                later.push_back((question, answer));
            }
        }
        later.append(&mut waiting);
        *waiting = later;
        next.into_iter().unzip()
    }

    /// Asks with those who ask at the same time, `most` of them at once, and waits so long for a turn. `answer_all` has an
    /// answer for each, in their order. `None` where the one who had the turn went away.
    pub(super) async fn ask<'a>(
        &self,
        question: Q,
        most: usize,
        within: Duration,
        answer_all: impl Fn(Vec<Q>) -> BoxFuture<'a, Vec<Stored<A>>>,
    ) -> Option<Stored<A>> {
        let (sender, mut answer) = oneshot::channel();
        let deadline = Instant::now() + within;
        self.waiting().push_back((question, sender));
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer.ok(),
                _turn = self.turn.lock() => {
                    let (questions, waiting) = self.next(most);
                    let answers = answer_all(questions).await;
                    for (waiting, answer) in waiting.into_iter().zip(answers) {
                        // Whoever has gone away since does not need it.
                        let _ = waiting.send(answer);
                    }
                }
                () = sleep_until(deadline) => return Some(Err(too_long())),
            }
        }
    }
}

fn too_long() -> StoreError {
    StoreError::Unavailable("others take too long".to_owned())
}

//! Different questions that are asked at the same time are answered by one command: whoever gets the turn takes along all that
//! wait. Who is alone waits for nobody; after an outage ten thousand come back at once, and what costs is the command, not
//! the probe in it.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{sync::oneshot, time::timeout};

use crate::store::{StoreError, Stored};

/// Those who wait, and the turn that is taken in turn. `A` is what one is answered, `K` what a question is about.
pub(super) struct Together<Q, K, A> {
    /// Questions that one command answers.
    most: usize,
    /// Longest that anybody waits, for a turn and in it.
    within: Duration,
    about: fn(&Q) -> K,
    waiting: Mutex<VecDeque<Waiting<Q, A>>>,
    turn: tokio::sync::Mutex<()>,
}

type Waiting<Q, A> = (Q, oneshot::Sender<Stored<A>>);

impl<Q, K, A> fmt::Debug for Together<Q, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl<Q: Clone, K: Eq + Hash, A> Together<Q, K, A> {
    /// Nobody waits. No turn takes two questions that are `about` the same.
    pub(super) fn new(most: usize, within: Duration, about: fn(&Q) -> K) -> Self {
        Self {
            most,
            within,
            about,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Asks with those who ask at the same time. `answer_all` has an answer for each, in their order.
    ///
    /// # Errors
    /// The answer's, or that it takes too long.
    pub(super) async fn ask<'a>(
        &self,
        question: Q,
        answer_all: impl Fn(Vec<Q>) -> BoxFuture<'a, Vec<Stored<A>>>,
    ) -> Stored<A> {
        let answered = timeout(self.within, self.answered(question, answer_all)).await;
        answered.unwrap_or_else(|_| Err(StoreError::Unavailable("others take too long".to_owned())))
    }

    async fn answered<'a>(
        &self,
        question: Q,
        answer_all: impl Fn(Vec<Q>) -> BoxFuture<'a, Vec<Stored<A>>>,
    ) -> Stored<A> {
        let mut answer = self.wait(question.clone());
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(answered) => return answered,
                    // Who had the turn went away in it. Its work may go on, and what it does is done again.
                    Err(_) => answer = self.wait(question.clone()),
                },
                _turn = self.turn.lock() => {
                    let (questions, waiting) = self.next();
                    let answers = answer_all(questions).await;
                    for (waiting, answer) in waiting.into_iter().zip(answers) {
                        // Whoever has gone away since does not need it.
                        let _ = waiting.send(answer);
                    }
                }
            }
        }
    }

    fn wait(&self, question: Q) -> oneshot::Receiver<Stored<A>> {
        let (sender, answer) = oneshot::channel();
        self.waiting().push_back((question, sender));
        answer
    }

    /// Those who are next and still wait.
    fn next(&self) -> (Vec<Q>, Vec<oneshot::Sender<Stored<A>>>) {
        let mut waiting = self.waiting();
        let (mut seen, mut next, mut later) = (HashSet::new(), Vec::new(), VecDeque::new());
        while next.len() < self.most
            && let Some((question, answer)) = waiting.pop_front()
        {
            if answer.is_closed() {
                continue;
            }
            if seen.insert((self.about)(&question)) {
                next.push((question, answer));
            } else {
                later.push_back((question, answer));
            }
        }
        later.append(&mut waiting);
        *waiting = later;
        next.into_iter().unzip()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<Q, A>>> {
        // No code panics while it holds the lock, and a queue is whole after every call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::{FutureExt as _, future::join_all};
    use tokio::{
        sync::Semaphore,
        task::{JoinHandle, yield_now},
        time::{Instant, advance},
    };

    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    /// Commands that end when they are let; the answer to a number is how many were asked in one command.
    struct Scene {
        together: Arc<Together<u8, u8, usize>>,
        commands: Arc<AtomicUsize>,
        held: Arc<Semaphore>,
    }

    impl Scene {
        fn new(most: usize) -> Self {
            Self {
                together: Arc::new(Together::new(most, WITHIN, |number| *number)),
                commands: Arc::default(),
                held: Arc::new(Semaphore::new(0)),
            }
        }

        /// `None` where it was not answered.
        fn ask(&self, number: u8) -> JoinHandle<Option<usize>> {
            let (together, commands) = (self.together.clone(), self.commands.clone());
            let held = self.held.clone();
            tokio::spawn(async move {
                let command = |asked: Vec<u8>| {
                    commands.fetch_add(1, Ordering::Relaxed);
                    let held = held.clone();
                    let answers = async move {
                        held.acquire().await.unwrap().forget();
                        asked.iter().map(|_| Ok(asked.len())).collect()
                    };
                    answers.boxed()
                };
                together.ask(number, command).await.ok()
            })
        }

        async fn until(&self, commands: usize, waiting: usize) {
            while self.commands.load(Ordering::Relaxed) < commands
                || self.together.waiting().len() != waiting
            {
                yield_now().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_meanwhile_shares_the_next_command_but_for_what_is_about_the_same() {
        let scene = Scene::new(3);
        let first = scene.ask(0);
        scene.until(1, 0).await;
        let later: Vec<_> = [1, 1, 2, 3, 4].map(|number| scene.ask(number)).into();
        scene.until(1, 5).await;
        scene.held.add_permits(3);
        assert_eq!(first.await.unwrap(), Some(1));
        let answers = join_all(later).await.into_iter().map(Result::unwrap);
        let answers: Vec<_> = answers.collect();
        assert_eq!(answers, [Some(3), Some(2), Some(3), Some(3), Some(2)]);
        assert_eq!(scene.commands.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_with_the_turn_costs_nobody_else_an_answer() {
        let scene = Scene::new(3);
        let first = scene.ask(0);
        scene.until(1, 0).await;
        let (second, third) = (scene.ask(1), scene.ask(2));
        scene.until(1, 2).await;
        scene.held.add_permits(1);
        assert_eq!(first.await.unwrap(), Some(1));
        // One of the two has the turn now and the other waits for its answer.
        scene.until(2, 0).await;
        second.abort();
        scene.until(3, 0).await;
        scene.held.add_permits(1);
        assert_eq!(third.await.unwrap(), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_for_a_turn_and_in_it_than_for_one_of_them() {
        let scene = Scene::new(3);
        let begun = Instant::now();
        let first = scene.ask(0);
        scene.until(1, 0).await;
        advance(WITHIN / 2).await;
        let second = scene.ask(1);
        scene.until(1, 1).await;
        assert_eq!(first.await.unwrap(), None);
        assert_eq!(begun.elapsed(), WITHIN);
        assert_eq!(second.await.unwrap(), None);
        assert_eq!(begun.elapsed(), WITHIN + WITHIN / 2);
        assert_eq!(scene.commands.load(Ordering::Relaxed), 2);
    }
}

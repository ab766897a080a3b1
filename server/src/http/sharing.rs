//! Requests that are alike and there at the same time get one answer. Many people look at one operation, each by a page that
//! asks every few seconds; the store is asked once for all who wait, and the answer is written once.
//!
//! No answer is older than its request: it is made after all who get it have asked. Who asks while one is being made gets
//! the next.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{Method, Response},
    middleware::Next,
    response::IntoResponse as _,
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument as _;

use super::{ANSWER_WITHIN, access, auth, error::ApiError, results, took_too_long};

/// What many look at. Their answers are whole in memory anyhow, and depend on nothing but the [`Asked`].
const SHARED: [&str; 4] = [
    "/api/v1/operations",
    "/api/v1/operations/{id}",
    "/api/v1/operations/{id}/results",
    "/api/v1/probes",
];

/// All that an answer depends on, beside what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    url: String,
    /// Who asks. Not a user, who is looked up by whoever answers.
    token: String,
}

impl Asked {
    /// `None` for what is answered to each alone.
    fn of(request: &Request) -> Option<Self> {
        let route = request.extensions().get::<MatchedPath>()?;
        let is_shared = request.method() == Method::GET && SHARED.contains(&route.as_str());
        // Lines have no end that fits into memory.
        if !is_shared || results::wants_lines(request.headers()) {
            return None;
        }
        Some(Self {
            url: request.uri().path_and_query()?.to_string(),
            token: auth::bearer(request.headers())?.to_owned(),
        })
    }
}

/// An answer, and what it is about, for the log of each who gets it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    response: Response<Bytes>,
    about: Arc<[access::Note]>,
}

/// Answers a request together with those that are alike.
pub(super) async fn answer(
    State(all): State<Sharing<Asked, Option<Made>>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let Some(asked) = Asked::of(&request) else {
        return next.run(request).await;
    };
    let made = make(request, next).in_current_span();
    let Some(Some(made)) = all.get(asked, made.boxed()).await else {
        return ApiError::Internal("no answer could be made".into()).into_response();
    };
    access::repeat(&made.about);
    made.response.map(Body::from)
}

/// `None` for an answer that breaks off.
async fn make(request: Request, next: Next) -> Option<Made> {
    let answer = timeout(ANSWER_WITHIN, next.run(request));
    let (answer, about) = access::noting(answer).await;
    let answer = answer.unwrap_or_else(|_| took_too_long().into_response());
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.ok()?;
    Some(Made {
        response: Response::from_parts(parts, body),
        about: about.into(),
    })
}

/// Work that is done once for all who want the same and wait for it at the same time. A cheap handle.
#[derive(Debug)]
pub(crate) struct Sharing<K, V>(Arc<Mutex<HashMap<K, Vec<Waiting<V>>>>>);

/// Somebody who waits for the next turn, and how the work would be done for them.
struct Waiting<V> {
    work: BoxFuture<'static, V>,
    answer: oneshot::Sender<V>,
}

impl<K, V> Default for Sharing<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Clone for Sharing<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> fmt::Debug for Waiting<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl<K, V> Sharing<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// What comes of `work`, or of the same work of another one that began after this was asked for. `None` where it panicked.
    pub(super) async fn get(&self, key: K, work: BoxFuture<'static, V>) -> Option<V> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            work,
            answer: sender,
        };
        self.wait(key, waiting);
        answer.await.ok()
    }

    fn wait(&self, key: K, waiting: Waiting<V>) {
        let mut all = self.all();
        if let Some(next) = all.get_mut(&key) {
            next.push(waiting);
            return;
        }
        all.insert(key.clone(), Vec::new());
        drop(all);
        // In a task of its own: whoever asked may go away, and others wait.
        tokio::spawn(self.clone().work(key, vec![waiting]));
    }

    /// Works for these, and for all who came meanwhile, until nobody waits.
    async fn work(self, key: K, mut waiting: Vec<Waiting<V>>) {
        loop {
            waiting.retain(|one| !one.answer.is_closed());
            if let Some(Waiting { work, answer }) = waiting.pop() {
                // Others must not pay for a panic, and those who wait for this hear of it by its silence.
                if let Ok(done) = AssertUnwindSafe(work).catch_unwind().await {
                    for other in waiting.drain(..) {
                        drop(other.answer.send(done.clone()));
                    }
                    drop(answer.send(done));
                }
            }
            let mut all = self.all();
            match all.get_mut(&key) {
                Some(next) if !next.is_empty() => waiting = std::mem::take(next),
                _ => {
                    all.remove(&key);
                    return;
                }
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<K, Vec<Waiting<V>>>> {
        // No code panics while it holds the lock, and the map is whole after every call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{sync::Semaphore, task::yield_now};

    use super::*;

    /// Work that takes as long as it is held, and tells how often it was done.
    struct Scene {
        sharing: Sharing<u8, u32>,
        done: Arc<AtomicU32>,
        held: Arc<Semaphore>,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                sharing: Sharing::default(),
                done: Arc::default(),
                held: Arc::new(Semaphore::new(0)),
            }
        }

        fn ask(&self, key: u8) -> tokio::task::JoinHandle<Option<u32>> {
            let (sharing, done, held) =
                (self.sharing.clone(), self.done.clone(), self.held.clone());
            tokio::spawn(async move {
                let work = async move {
                    let number = done.fetch_add(1, Ordering::Relaxed) + 1;
                    held.acquire().await.unwrap().forget();
                    number
                };
                sharing.get(key, work.boxed()).await
            })
        }

        async fn until(&self, is_so: impl Fn(&Self) -> bool) {
            while !is_so(self) {
                yield_now().await;
            }
        }

        fn waiting(&self, key: u8) -> usize {
            self.sharing.all().get(&key).map_or(0, Vec::len)
        }
    }

    #[tokio::test]
    async fn who_asks_meanwhile_gets_the_next_answer_and_all_of_them_the_same() {
        let scene = Scene::new();
        let first = scene.ask(1);
        scene.until(|it| it.done.load(Ordering::Relaxed) == 1).await;
        let meanwhile = [scene.ask(1), scene.ask(1), scene.ask(1)];
        scene.until(|it| it.waiting(1) == 3).await;
        scene.held.add_permits(1);
        assert_eq!(first.await.unwrap(), Some(1));
        scene.held.add_permits(1);
        for one in meanwhile {
            assert_eq!(one.await.unwrap(), Some(2));
        }
        assert!(scene.sharing.all().is_empty());
    }

    #[tokio::test]
    async fn what_differs_does_not_wait_for_each_other() {
        let scene = Scene::new();
        let slow = scene.ask(1);
        scene.until(|it| it.done.load(Ordering::Relaxed) == 1).await;
        let other = scene.ask(2);
        scene.until(|it| it.done.load(Ordering::Relaxed) == 2).await;
        scene.held.add_permits(2);
        assert_eq!(
            (slow.await.unwrap(), other.await.unwrap()),
            (Some(1), Some(2))
        );
    }

    #[tokio::test]
    async fn who_goes_away_takes_nothing_from_the_others() {
        let scene = Scene::new();
        let first = scene.ask(1);
        scene.until(|it| it.done.load(Ordering::Relaxed) == 1).await;
        let (gone, stays) = (scene.ask(1), scene.ask(1));
        scene.until(|it| it.waiting(1) == 2).await;
        first.abort();
        gone.abort();
        assert!(gone.await.is_err());
        scene.held.add_permits(2);
        assert_eq!(stays.await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_costs_nobody_else_anything() {
        let sharing = Sharing::<u8, u32>::default();
        let broken = async { panic!("on purpose") };
        assert_eq!(sharing.get(1, broken.boxed()).await, None);
        assert_eq!(sharing.get(1, async { 7 }.boxed()).await, Some(7));
    }
}

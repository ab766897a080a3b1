//! A user who creates operations and cancels every other one, whatever happens to the hub and its store, and keeps the
//! receipts.

use std::{ops::Range, time::Duration};

use probe_protocol::ProbeId;
use rand::{RngExt as _, rngs::StdRng};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tests::{Answer, Hub, TestUser, api, orders};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Longest the hub may take to answer: its own limit for a request, and some more on a machine that is busy.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(33);
/// Pause before a request that got no answer, or no good one, is sent again.
const RETRY_AFTER: Duration = Duration::from_millis(30);
/// Pauses between purchases, ms.
const PAUSES_MS: Range<u64> = 0..100;
/// Longest until a request succeeds.
const SERVED_WITHIN: Duration = Duration::from_secs(180);

/// Such a user.
#[derive(Debug)]
pub(crate) struct Customer {
    /// Who pays.
    pub(crate) user: TestUser,
    /// Who measures.
    pub(crate) probe: ProbeId,
    /// Begins the idempotency keys.
    pub(crate) name: String,
    /// Chooses pauses.
    pub(crate) random: StdRng,
    /// Whether the hub itself may be away.
    pub(crate) hub_dies: bool,
}

/// What a customer was told.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Operations that were created, and whether their end was confirmed.
    pub(crate) bought: Vec<(String, bool)>,
    /// Answers that asked to come back later.
    pub(crate) later: usize,
    /// How long the slowest answer took.
    pub(crate) slowest: Duration,
}

impl Customer {
    /// Buys until told to close, each operation under a key and as often as it takes.
    pub(crate) async fn buy(mut self, close: CancellationToken) -> Receipts {
        let mut receipts = Receipts::default();
        let order = orders::queued(orders::ping(&[self.probe]));
        for number in 0.. {
            if close.is_cancelled() {
                break;
            }
            let key = format!("{} {number}", self.name);
            let create = || {
                let request = self.user.api.request(Method::POST, "/api/v1/operations");
                request.header("idempotency-key", &key).json(&order)
            };
            let made = self.insist(create, &mut receipts).await;
            let id = made["id"].as_str().expect("an id").to_owned();
            let cancels = number % 2 == 0;
            if cancels {
                let path = format!("/api/v1/operations/{id}");
                let cancel = || self.user.api.request(Method::DELETE, &path);
                self.insist(cancel, &mut receipts).await;
            }
            receipts.note(id, cancels);
            let pause = self.random.random_range(PAUSES_MS);
            sleep(Duration::from_millis(pause)).await;
        }
        receipts
    }

    /// Sends a request until it is answered with success.
    async fn insist(&self, request: impl Fn() -> RequestBuilder, receipts: &mut Receipts) -> Value {
        let patience = self.hub_dies.then_some(ANSWERED_WITHIN);
        insist(request, patience, receipts).await
    }
}

/// Sends a request until it is answered with success. With `patience`, no answer within that time is none, and the hub
/// that is asked may be away; without, it must always answer.
pub(crate) async fn insist(
    mut request: impl FnMut() -> RequestBuilder,
    patience: Option<Duration>,
    receipts: &mut Receipts,
) -> Value {
    let since = Instant::now();
    while since.elapsed() < SERVED_WITHIN {
        let asked = Instant::now();
        let asking = api::send(request());
        let answer = match patience {
            Some(patience) => timeout(patience, asking).await.ok().and_then(Result::ok),
            None => Some(
                asking
                    .await
                    .unwrap_or_else(|error| panic!("no answer: {error:?}")),
            ),
        };
        if let Some(answer) = answer
            && receipts.take(&answer, asked.elapsed())
        {
            return answer.json();
        }
        sleep(RETRY_AFTER).await;
    }
    panic!("not served within {SERVED_WITHIN:?}");
}

impl Receipts {
    /// Notes an operation that was created, and whether its end was confirmed.
    pub(crate) fn note(&mut self, id: String, cancelled: bool) {
        self.bought.push((id, cancelled));
    }

    /// Notes an answer, which must be a success or say when to come back, and must not have taken too long; whether it
    /// was a success.
    pub(crate) fn take(&mut self, answer: &Answer, took: Duration) -> bool {
        self.slowest = self.slowest.max(took);
        assert!(took < ANSWERED_WITHIN, "an answer took {took:?}");
        if answer.status < 300 {
            return true;
        }
        let _ = answer.expect(503);
        let after = answer.headers.get("retry-after");
        let after = after.and_then(|after| after.to_str().ok());
        let seconds: Option<u64> = after.and_then(|after| after.parse().ok());
        assert!(seconds.is_some(), "503 without Retry-After");
        self.later += 1;
        false
    }

    /// How many operations there must be.
    pub(crate) fn bought(&self) -> usize {
        self.bought.len()
    }

    /// Holds the store to receipts: everything that was confirmed is there.
    ///
    /// # Panics
    /// With what is not.
    pub(crate) async fn check(all: &[Self], hub: &Hub) {
        let of = |only_cancelled: bool| {
            let bought = all.iter().flat_map(|one| &one.bought);
            let ids = bought.filter(move |one| one.1 || !only_cancelled);
            ids.map(|one| format!("'{}'", one.0)).collect::<Vec<_>>()
        };
        for (what, ids) in [("1", of(false)), ("cancelled_at_ms is not null", of(true))] {
            let (count, ids) = (ids.len() as i64, ids.join(", "));
            let there = format!("select count(*) from operations where {what} and id in ({ids})");
            assert_eq!(
                hub.number(&there).await,
                count,
                "what was confirmed: {what}"
            );
        }
    }

    /// The same for a user who began with so many credits and buys nowhere else: nothing else is there either, however
    /// often it was asked for.
    ///
    /// # Panics
    /// With what is wrong.
    pub(crate) async fn check_all(all: &[Self], hub: &Hub, user: &TestUser, given: i64) {
        Self::check(all, hub).await;
        let of_user = format!("from operations where owner = '{}'", user.id);
        let there = hub.number(&format!("select count(*) {of_user}")).await;
        let bought: usize = all.iter().map(Self::bought).sum();
        assert_eq!(there, bought as i64, "an operation came from nowhere");
        let kept = format!("select coalesce(sum(charged - refunded), 0) {of_user}");
        assert_eq!(user.credits().await, given - hub.number(&kept).await);
    }
}

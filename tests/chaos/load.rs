//! What goes on while something breaks: probes deliver, a customer buys and cancels, others read and watch. And what must
//! be true of it afterwards.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use tests::{Fleet, Hub, TestUser, api, eventually, random, wait::within};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    customer::{Customer, Receipts},
    watcher::Watcher,
};

/// What a rewarded result earns.
const REWARD: i64 = 10;
/// What the customer begins with: more than all purchases cost.
const GIVEN: i64 = 1_000_000;
/// Pause between two reads.
const READ_EVERY: Duration = Duration::from_millis(50);
/// Clients that watch.
const WATCHERS: usize = 2;
/// Cuts of each watcher.
const CUTS: usize = 3;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// How often the same user buys at the same time.
    pub(crate) customers: usize,
    /// How often somebody reads at the same time.
    pub(crate) readers: usize,
    /// Probes, which all run the same operations.
    pub(crate) probes: usize,
    /// These.
    pub(crate) operations: usize,
    /// Results that each probe delivers, over all operations.
    pub(crate) results_each: usize,
    /// Pause of a probe between two results; none is as fast as it may.
    pub(crate) pause: Option<Duration>,
    /// Longest all of it may take.
    pub(crate) limit: Duration,
    /// Whether the hub itself may be away.
    pub(crate) hub_dies: bool,
}

/// All of it, going on.
#[derive(Debug)]
pub(crate) struct Load {
    /// The probes and what they run.
    pub(crate) fleet: Fleet,
    size: Size,
    customer: TestUser,
    earned_before: i64,
    started: Instant,
    couriers: JoinSet<()>,
    clients: JoinSet<Receipts>,
    watchers: JoinSet<usize>,
    close: CancellationToken,
}

impl Load {
    /// Begins.
    pub(crate) async fn start(hub: &Hub, name: &str, size: Size) -> Self {
        let mut random = random::seeded(name);
        let fleet = Fleet::new(hub, size.probes, size.operations).await;
        let customer = hub.user("customer", GIVEN).await;
        let earned_before = fleet.owner.credits().await;
        let (close, mut clients) = (CancellationToken::new(), JoinSet::new());
        for number in 0..size.customers {
            let buying = Customer {
                user: customer.clone(),
                probe: fleet.probes[0].id,
                name: format!("customer {number}"),
                random: StdRng::seed_from_u64(random.random()),
                hub_dies: size.hub_dies,
            };
            clients.spawn(buying.buy(close.clone()));
        }
        for _ in 0..size.readers {
            clients.spawn(read(fleet.owner.clone(), close.clone()));
        }
        let mut watchers = JoinSet::new();
        for number in 0..WATCHERS {
            let place = number % size.operations;
            let watcher = Watcher {
                apis: vec![fleet.owner.api.clone()],
                operation: fleet.operations[place],
                results: size.results_of(place),
                cuts: CUTS,
                random: StdRng::seed_from_u64(random.random()),
            };
            watchers.spawn(watcher.watch());
        }
        Self {
            couriers: fleet.deliver(&hub.url(), size.results_each, size.pause),
            fleet,
            size,
            customer,
            earned_before,
            started: Instant::now(),
            clients,
            watchers,
            close,
        }
    }

    /// Waits until this share of all results was acknowledged.
    ///
    /// # Panics
    /// When that is all of them: what is to break would break nothing.
    pub(crate) async fn reach(&self, share: f64) {
        let point = (self.size.results() as f64 * share) as usize;
        let what = format!("{point} acknowledged results");
        eventually(self.size.limit, &what, async || {
            (self.fleet.tally.stored() >= point).then_some(())
        })
        .await;
        let stored = self.fleet.tally.stored();
        assert!(stored < self.size.results(), "all was delivered before");
    }

    /// Waits for the end of it, and holds the store and everything that was answered to the promises.
    ///
    /// # Panics
    /// With what is broken.
    pub(crate) async fn finish(mut self, hub: &Hub, name: &str) {
        let limit = self.size.limit;
        within(limit, "the end of all deliveries", async {
            while let Some(courier) = self.couriers.join_next().await {
                courier.expect("a courier that did not panic");
            }
        })
        .await;
        let took = self.started.elapsed();
        self.close.cancel();
        let receipts = within(limit, "the end of the clients", self.clients.join_all()).await;
        let streams = within(limit, "the end of the watchers", self.watchers.join_all()).await;
        let tally = &self.fleet.tally;
        eprintln!(
            "{name}: {took:.1?}; {} results acknowledged, {} sent, {} sessions of {} probes; {} operations bought, {} \
             answers to come back later, the slowest answer took {:.1?}; {streams:?} streams",
            tally.stored(),
            tally.sent(),
            tally.sessions(),
            self.size.probes,
            receipts.iter().map(Receipts::bought).sum::<usize>(),
            receipts.iter().map(|one| one.later).sum::<usize>(),
            receipts
                .iter()
                .map(|one| one.slowest)
                .max()
                .unwrap_or_default(),
        );
        assert_eq!(tally.wrong(), [""; 0]);
        assert_eq!(tally.stored(), self.size.results());
        self.fleet
            .check_codes(&hub.snapshot().await.result_codes(), self.size.results_each);
        hub.check().await;
        let earned = self.fleet.owner.credits().await - self.earned_before;
        assert_eq!(earned, REWARD * self.size.results() as i64);
        Receipts::check_all(&receipts, hub, &self.customer, GIVEN).await;
    }
}

impl Size {
    /// All results.
    pub(crate) fn results(self) -> usize {
        self.probes * self.results_each
    }

    /// The results of the operation at this place: those of a probe go round over the operations.
    fn results_of(self, place: usize) -> usize {
        let rounds = self.results_each / self.operations;
        let more = usize::from(self.results_each % self.operations > place);
        self.probes * (rounds + more)
    }
}

/// Reads again and again until told to close.
async fn read(user: TestUser, close: CancellationToken) -> Receipts {
    let mut receipts = Receipts::default();
    for path in ["/api/v1/users/me", "/api/v1/operations?limit=5", "/probes"]
        .iter()
        .cycle()
    {
        if close.is_cancelled() {
            break;
        }
        let asked = Instant::now();
        let answer = api::send(user.api.request(Method::GET, path)).await;
        let answer = answer.unwrap_or_else(|error| panic!("no answer: {error:?}"));
        receipts.take(&answer, asked.elapsed());
        sleep(READ_EVERY).await;
    }
    receipts
}

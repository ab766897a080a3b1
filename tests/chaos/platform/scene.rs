//! The platform: a store, Redis where hubs know it, three hubs, users, and simulated probes.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use mongodb::Database;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use services::{Mongod, ReplicaSet, redis::Redis};
use tests::{Api, Hub, TestProbe, TestUser, eventually, platform};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

use super::{
    journal::{Journal, Tally, of},
    old,
    plan::{self, CUSTOMERS, HUBS, Size},
    player::{Go, Player, Wish},
    probe, redis,
};

/// More than anybody spends.
const RICH: i64 = 100_000_000_000;
/// Probes registered at the same time.
const REGISTERED_AT_ONCE: usize = 16;
/// Longest until all probes are connected at the beginning.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);
/// Without a line for each of many sessions.
const LOG_LEVEL: &str = "info,pladmed::http=warn";
/// Members of a replica set that elects.
const MEMBERS: usize = 3;

/// MongoDB.
#[derive(Debug)]
pub(crate) enum Store {
    /// A replica set of one.
    One(Mongod),
    /// One that elects.
    Set(ReplicaSet),
}

impl Store {
    async fn start(elects: bool) -> Self {
        if elects {
            Self::Set(ReplicaSet::start(MEMBERS).await)
        } else {
            Self::One(Mongod::single().await)
        }
    }

    fn uri(&self) -> String {
        match self {
            Self::One(mongod) => mongod.uri(),
            Self::Set(set) => set.uri(),
        }
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Scene {
    // First, so that probes end before what they live on.
    lives: JoinSet<()>,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    pub(crate) store: Arc<Mutex<Store>>,
    pub(crate) redis: Option<Arc<Mutex<Redis>>>,
    pub(crate) hubs: Vec<Arc<Mutex<Hub>>>,
    pub(crate) urls: Arc<[String]>,
    /// Hosts all probes.
    pub(crate) owner: TestUser,
    /// Customers, each at every hub.
    pub(crate) customers: Vec<Vec<Api>>,
    pub(crate) probes: Vec<TestProbe>,
    pub(crate) journals: Vec<Journal>,
    pub(crate) wishes: Arc<Vec<watch::Sender<Wish>>>,
    pub(crate) tally: Tally,
    pub(crate) database: Database,
}

impl Scene {
    /// Starts everything; returns when all probes are connected.
    pub(crate) async fn start(seed: u64, size: Size, elects: bool) -> Self {
        let store = Store::start(elects).await;
        let redis = match redis::is_known() {
            true => Some(Redis::start().await),
            false => None,
        };
        let url = redis.as_ref().map(Redis::url);
        let mut settings = vec![
            ("LOG_LEVEL", LOG_LEVEL),
            ("DRAIN_SECONDS", "2"),
            ("SECRET_KEY", platform::SECRET),
        ];
        settings.extend(url.as_ref().map(|url| (redis::SETTING, url.as_str())));
        let first = Hub::on_mongo(&store.uri(), &settings).await;
        let database = first.mongo().await.expect("a hub on MongoDB");
        let owner = first.user("owner", 0).await;
        let mut users = Vec::new();
        for number in 0..CUSTOMERS {
            users.push(first.user(&format!("customer-{number}"), RICH).await);
        }
        let mut hubs = vec![first];
        while hubs.len() < HUBS {
            let next = hubs[0].beside().await;
            hubs.push(next);
        }
        let urls: Arc<[String]> = hubs.iter().map(Hub::url).collect();
        let customers = users.iter().map(|user| everywhere(&hubs, user)).collect();
        let probes = register(&everywhere(&hubs, &owner), &owner, size.probes).await;
        let mut scene = Self {
            seed,
            size,
            store: Arc::new(Mutex::new(store)),
            redis: redis.map(|redis| Arc::new(Mutex::new(redis))),
            hubs: hubs
                .into_iter()
                .map(|hub| Arc::new(Mutex::new(hub)))
                .collect(),
            urls,
            owner,
            customers,
            journals: vec![],
            wishes: Arc::default(),
            probes,
            tally: Tally::default(),
            database,
            lives: JoinSet::new(),
        };
        scene.begin();
        eventually(CONNECTED_WITHIN, "all probes connected", async || {
            (of(&scene.tally.connected) == size.probes).then_some(())
        })
        .await;
        scene
    }

    /// Whether hubs hear of each other.
    pub(crate) fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    /// The owner of all probes, at one hub.
    pub(crate) fn owner_at(&self, hub: usize) -> TestUser {
        let api = self.apis().swap_remove(hub);
        TestUser {
            api,
            ..self.owner.clone()
        }
    }

    /// A customer, at one hub.
    pub(crate) fn customer_at(&self, hub: usize) -> TestUser {
        let api = self.customers[0][hub].clone();
        TestUser {
            api,
            ..self.owner.clone()
        }
    }

    /// The owner of all probes, at every hub.
    pub(crate) fn apis(&self) -> Vec<Api> {
        let token = self.owner.api.token().expect("a token");
        let api = |url: &String| Api::new(url).with_token(token);
        self.urls.iter().map(api).collect()
    }

    /// Whether a probe speaks as agents of the replaced system do.
    pub(crate) fn is_old(&self, number: usize) -> bool {
        number >= self.size.probes - self.size.old
    }

    /// Looks whether a simulated probe failed itself.
    ///
    /// # Panics
    /// When one did.
    pub(crate) fn look_after_probes(&mut self) {
        if let Some(ended) = self.lives.try_join_next() {
            panic!("a simulated probe ended: {ended:?}");
        }
    }

    /// Tells these probes what is wanted of them.
    pub(crate) fn tell(&self, numbers: impl IntoIterator<Item = usize>, go: Go) {
        for number in numbers {
            self.wishes[number].send_modify(|wish| wish.go = go);
        }
    }

    fn begin(&mut self) {
        let mut wishes = Vec::new();
        for (number, probe) in self.probes.iter().enumerate() {
            let (wish, wished) = watch::channel(Wish::default());
            let journal = Journal::default();
            wishes.push(wish);
            self.journals.push(journal.clone());
            let mut random = plan::random(self.seed, 1_000_000 + number as u64);
            let player = Player {
                number,
                seed: self.seed,
                probe: probe.clone(),
                journal,
                urls: self.urls.clone(),
                wish: wished,
                tally: self.tally.clone(),
                random: StdRng::seed_from_u64(random.random()),
                last: None,
                gave_up: None,
                due: Vec::new(),
            };
            if number >= self.size.probes - self.size.old {
                self.lives.spawn(old::live(player));
            } else {
                self.lives.spawn(probe::live(player));
            }
        }
        self.wishes = Arc::new(wishes);
    }
}

/// A user at every hub: tokens are good everywhere.
fn everywhere(hubs: &[Hub], user: &TestUser) -> Vec<Api> {
    let token = user.api.token().expect("a token");
    hubs.iter().map(|hub| hub.api().with_token(token)).collect()
}

async fn register(apis: &[Api], owner: &TestUser, count: usize) -> Vec<TestProbe> {
    let one = |number: usize| {
        let api = apis[number % apis.len()].clone();
        let owner = TestUser {
            api,
            ..owner.clone()
        };
        async move { owner.probe(&format!("probe {number}")).await }
    };
    let all = stream::iter(0..count).map(one);
    all.buffered(REGISTERED_AT_ONCE).collect().await
}

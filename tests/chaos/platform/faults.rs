//! Breaks what the plan says, when it says so, and puts everything right again.

use std::{
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use rustix::process::Signal;
use services::redis::Redis;
use tests::{Hub, api};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    plan::{Fault, Planned},
    player::Wish,
    scene::{Scene, Store},
};

/// Longest a hub may take to serve again, with as many starts as that takes: its store may be away too.
const SERVES_WITHIN: Duration = Duration::from_secs(90);
/// Longest a hub may take to end after SIGTERM: its drain, its limit, and what a store that does not answer costs more.
const ENDS_WITHIN: Duration = Duration::from_secs(35);
/// Pause between two looks at a hub that starts, and before it is started again.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const START_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Longest a hub may take to say that it is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// What was broken so far. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broken(Arc<StdMutex<Record>>);

/// What [`Broken`] holds.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Faults under way.
    pub(crate) now: Vec<Fault>,
    /// Faults that are over: when each began, and how long it took with its repair.
    pub(crate) done: Vec<(Duration, Fault, Duration)>,
    /// Starts of hubs that failed because something else was broken.
    pub(crate) failed_starts: usize,
    /// Exit codes after SIGTERM, other than 0.
    pub(crate) unclean: Vec<i32>,
    /// The longest time from SIGTERM to the end.
    pub(crate) slowest_stop: Duration,
}

impl Broken {
    /// Opens the record; nobody may wait for anything while it is open.
    pub(crate) fn open(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().expect("no fault panicked")
    }
}

/// Whatever can be broken. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Victims {
    hubs: Vec<Arc<Mutex<Hub>>>,
    store: Arc<Mutex<Store>>,
    redis: Option<Arc<Mutex<Redis>>>,
    wishes: Arc<Vec<watch::Sender<Wish>>>,
    broken: Broken,
}

impl Victims {
    /// Those of this platform.
    pub(crate) fn of(scene: &Scene, broken: &Broken) -> Self {
        Self {
            hubs: scene.hubs.clone(),
            store: scene.store.clone(),
            redis: scene.redis.clone(),
            wishes: scene.wishes.clone(),
            broken: broken.clone(),
        }
    }

    /// Begins with all lanes of faults.
    pub(crate) fn suffer(self, lanes: &[Vec<Planned>], started: Instant) -> JoinSet<()> {
        let mut running = JoinSet::new();
        for lane in lanes {
            running.spawn(self.clone().lane(lane.clone(), started));
        }
        running
    }

    async fn lane(self, lane: Vec<Planned>, started: Instant) {
        for Planned { at, fault } in lane {
            sleep_until(started + at).await;
            let began = Instant::now();
            self.broken.open().now.push(fault);
            let happened = self.one(fault).await;
            let mut record = self.broken.open();
            record.now.retain(|other| *other != fault);
            if happened {
                record.done.push((began - started, fault, began.elapsed()));
            }
        }
    }

    /// One fault and its repair; false where there is nothing to break.
    async fn one(&self, fault: Fault) -> bool {
        match fault {
            Fault::KillHub(hub, away) => {
                let mut hub = self.hubs[hub].lock().await;
                hub.kill9().await;
                sleep(away).await;
                self.serve_again(&mut hub).await;
            }
            Fault::FreezeHub(hub, lasts) => {
                let mut hub = self.hubs[hub].lock().await;
                hub.process().signal(Signal::STOP);
                sleep(lasts).await;
                hub.process().signal(Signal::CONT);
            }
            Fault::RollHub(hub) => {
                let mut hub = self.hubs[hub].lock().await;
                self.roll(&mut hub).await;
                self.serve_again(&mut hub).await;
            }
            Fault::KillAllHubs => {
                let mut all = Vec::new();
                for hub in &self.hubs {
                    all.push(hub.lock().await);
                }
                for hub in &mut all {
                    hub.kill9().await;
                }
                for hub in &mut all {
                    self.serve_again(hub).await;
                }
            }
            Fault::KillStore(away) => self.kill_store(away).await,
            Fault::FreezeStore(lasts) => self.freeze_store(lasts).await,
            Fault::CutProbes { from, count } => {
                for number in from..from + count {
                    let wish = &self.wishes[number % self.wishes.len()];
                    wish.send_modify(|wish| wish.cuts += 1);
                }
            }
            Fault::KillRedis(_) | Fault::FreezeRedis(_) | Fault::FlushRedis | Fault::CutRedis => {
                let Some(redis) = &self.redis else {
                    return false;
                };
                break_redis(&mut *redis.lock().await, fault).await;
            }
        }
        true
    }

    /// Stops a hub. What else is broken may keep it from a clean end, and from a quick one.
    async fn roll(&self, hub: &mut Hub) {
        let since = Instant::now();
        hub.process().signal(Signal::TERM);
        let code = loop {
            if let Some(code) = hub.process().ended() {
                break code;
            }
            let waited = since.elapsed();
            assert!(waited < ENDS_WITHIN, "a hub does not end after SIGTERM");
            sleep(LOOK_EVERY).await;
        };
        let mut record = self.broken.open();
        record.slowest_stop = record.slowest_stop.max(since.elapsed());
        if code != 0 {
            record.unclean.push(code);
        }
    }

    /// Starts a hub until it serves: a start may fail while its store is away.
    pub(crate) async fn serve_again(&self, hub: &mut Hub) {
        let since = Instant::now();
        hub.start_again();
        loop {
            assert!(
                since.elapsed() < SERVES_WITHIN,
                "a hub does not serve again"
            );
            if is_alive(hub).await {
                return;
            }
            if hub.process().ended().is_some() {
                self.broken.open().failed_starts += 1;
                sleep(START_AGAIN_AFTER).await;
                hub.start_again();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn kill_store(&self, away: Duration) {
        match &mut *self.store.lock().await {
            Store::One(mongod) => {
                mongod.kill9().await;
                sleep(away).await;
                mongod.restart().await;
            }
            Store::Set(set) => {
                let primary = set.primary().await;
                set.kill9(primary).await;
                sleep(away).await;
                set.primary().await;
                set.restart(primary).await;
                set.wait_until_whole().await;
            }
        }
    }

    async fn freeze_store(&self, lasts: Duration) {
        match &mut *self.store.lock().await {
            Store::One(mongod) => {
                mongod.freeze().await;
                sleep(lasts).await;
                mongod.thaw();
            }
            Store::Set(set) => {
                let primary = set.primary().await;
                set.freeze(primary).await;
                sleep(lasts).await;
                set.thaw(primary);
                set.wait_until_whole().await;
            }
        }
    }
}

/// Whether a hub answers.
pub(crate) async fn is_alive(hub: &Hub) -> bool {
    let asking = api::send(hub.api().request(reqwest::Method::GET, "/healthz"));
    let answer = timeout(ALIVE_WITHIN, asking).await;
    matches!(answer, Ok(Ok(answer)) if answer.status == 200)
}

async fn break_redis(redis: &mut Redis, fault: Fault) {
    match fault {
        Fault::KillRedis(away) => {
            redis.kill9().await;
            sleep(away).await;
            redis.restart().await;
        }
        Fault::FreezeRedis(lasts) => {
            redis.freeze().await;
            sleep(lasts).await;
            redis.thaw();
        }
        Fault::FlushRedis => redis.flush().await,
        Fault::CutRedis => redis.kill_clients().await,
        _ => unreachable!("it is another's"),
    }
}

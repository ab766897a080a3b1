//! How long news takes from one hub to another, on a platform that is quiet.

use std::time::Duration;

use futures::future::join_all;
use probe_protocol::{OperationId, ProbeFrame, ProbeId};
use rand::RngExt as _;
use serde_json::{Value, json};
use tests::{
    Api, FakeProbe, TestProbe, orders,
    wait::{SOON, within},
};
use tokio::time::{Instant, sleep};

use super::{
    plan::{self, HUBS},
    scene::Scene,
};

/// Samples of each kind.
const SAMPLES: usize = 100;
/// Pause between two questions.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// What presence may take in 99 of 100 cases: people and schedulers look at lists that are so old at most.
pub(crate) const PRESENCE_P99: Duration = Duration::from_millis(250);
/// Orders of this measurement have numbers that the plan does not reach.
const FAR: usize = 50_000;
/// Longest until one operation is at all probes.
const EVERYWHERE_WITHIN: Duration = Duration::from_secs(60);

/// Samples of one kind, sorted.
#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) what: &'static str,
    all: Vec<Duration>,
}

impl Samples {
    fn new(what: &'static str, mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self { what, all }
    }

    /// The sample that so many of a hundred do not exceed.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let place = (self.all.len() * of_hundred).div_ceil(100);
        self.all[place.saturating_sub(1)]
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (half, most) = (self.percentile(50), self.percentile(99));
        write!(
            f,
            "p50 {half:.1?}, p99 {most:.1?}, most {:.1?}",
            self.percentile(100)
        )
    }
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// Of connects, disconnects and changes of credits in use.
    pub(crate) presence: Vec<Samples>,
    /// From POST at one hub to the frame at a probe of another.
    pub(crate) dispatch: Samples,
    /// From POST to the last of all probes of all hubs.
    pub(crate) everywhere: Duration,
}

/// Measures all of it with a probe that nobody else uses.
pub(crate) async fn measure(scene: &Scene) -> Latencies {
    let apis = scene.apis();
    let mut random = plan::random(scene.seed, 31);
    let probe = scene.owner_at(0).probe("latency").await;
    let (mut there, mut busy, mut gone, mut dispatch) = (vec![], vec![], vec![], vec![]);
    for sample in 0..SAMPLES {
        let at = random.random_range(0..HUBS);
        let others: Vec<&Api> = (0..HUBS)
            .filter(|hub| *hub != at)
            .map(|hub| &apis[hub])
            .collect();
        let mut connected = connect(scene, at, &probe).await;
        there.push(seen(&others, probe.id, |view| view["connected"] == true).await);
        let in_use = 1000 + sample as u32;
        let status = ProbeFrame::Status {
            in_use_credits: in_use,
            running: 0,
            spooled: 0,
            dropped: 0,
        };
        connected.say(&status).await;
        let free = 1.0 - f64::from(in_use) / 100_000.0;
        let is_busy = |view: &Value| {
            view["availability"]
                .as_f64()
                .is_some_and(|shown| (shown - free).abs() < 1e-9)
        };
        busy.push(seen(&others, probe.id, is_busy).await);
        dispatch.push(dispatched(scene, (at + 1) % HUBS, &probe, &mut connected).await);
        connected.socket.abort();
        gone.push(seen(&others, probe.id, |view| view["connected"] == false).await);
    }
    Latencies {
        presence: vec![
            Samples::new("presence: connected", there),
            Samples::new("presence: credits in use", busy),
            Samples::new("presence: disconnected", gone),
        ],
        dispatch: Samples::new(
            "dispatch: POST to the frame at another hub's probe",
            dispatch,
        ),
        everywhere: everywhere(scene).await,
    }
}

async fn connect(scene: &Scene, hub: usize, probe: &TestProbe) -> FakeProbe {
    let hub = scene.hubs[hub].lock().await;
    FakeProbe::connect(&hub, &probe.token).await
}

/// How long until all of these hubs show a probe like this.
async fn seen(apis: &[&Api], probe: ProbeId, fits: impl Fn(&Value) -> bool) -> Duration {
    let since = Instant::now();
    let path = format!("/api/v1/probes/{probe}");
    let one = async |api: &Api| {
        while !fits(&api.get(&path).await.expect(200)) {
            sleep(ASK_EVERY).await;
        }
    };
    within(
        SOON,
        "the same at all hubs",
        join_all(apis.iter().map(|api| one(api))),
    )
    .await;
    since.elapsed()
}

async fn dispatched(
    scene: &Scene,
    via: usize,
    probe: &TestProbe,
    connected: &mut FakeProbe,
) -> Duration {
    let user = scene.customer_at(via);
    let since = Instant::now();
    let order = orders::queued(orders::ping(&[probe.id]));
    let (made, (arrived, operation)) = tokio::join!(user.order(&order), async {
        let operation = connected.assigned().await.operation;
        (since.elapsed(), operation)
    });
    assert_eq!(made.expect(201)["id"], operation.to_string());
    connected.say(&ProbeFrame::Accepted { operation }).await;
    // Done before the connection ends, so that the next one begins with nothing.
    connected.deliver(operation, "latency").await;
    connected.finish(operation).await;
    arrived
}

async fn everywhere(scene: &Scene) -> Duration {
    let ids: Vec<ProbeId> = scene
        .probes
        .iter()
        .enumerate()
        .filter(|(number, _)| !scene.is_old(*number))
        .map(|(_, probe)| probe.id)
        .collect();
    let mut order = orders::queued(orders::ping(&ids));
    order["targets"] = json!([plan::target(FAR)]);
    let since = Instant::now();
    let operation: OperationId = scene.customer_at(0).launch(&order).await;
    let last = async {
        loop {
            let firsts: Vec<Option<Instant>> = (0..ids.len())
                .map(|number| {
                    let book = scene.journals[number].open();
                    book.operations.get(&operation).map(|entry| entry.first)
                })
                .collect();
            if let Some(firsts) = firsts.into_iter().collect::<Option<Vec<_>>>() {
                return firsts.into_iter().max().expect("a probe");
            }
            sleep(ASK_EVERY).await;
        }
    };
    within(EVERYWHERE_WITHIN, "one operation at all probes", last).await - since
}

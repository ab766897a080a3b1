//! A MongoDB that stands still for as long as writes wait for it: a pause for everybody, an error only for those who ask
//! meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use probe_protocol::{OperationId, ProbeFrame, RunResult};
use reqwest::RequestBuilder;
use serde_json::json;
use services::Mongod;
use tests::{
    Ack, Answer, FakeProbe, Hub, TestProbe, Trial, api, eventually,
    hub::PASSWORD,
    orders,
    probe::{hello, result},
    wait::{SOON, within},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::load::{Load, Size};

const FROZEN_AT: f64 = 0.3;
/// So much earlier and later than its deadline an answer may come on a machine that is busy.
const EARLY: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_secs(4);
/// The hub's deadlines for reads, writes, and the question whether it is ready.
const READ_DEADLINE: Duration = Duration::from_secs(10);
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
const READY_DEADLINE: Duration = Duration::from_secs(3);
/// Longest until results are acknowledged again after the freeze.
const GOES_ON_WITHIN: Duration = Duration::from_secs(15);
const SIZE: Size = Size {
    customers: 5,
    readers: 2,
    probes: 20,
    operations: 2,
    results_each: 200,
    pause: None,
    limit: Duration::from_secs(60),
    hub_dies: false,
};

/// Probes that push as much as they can.
const PUSHERS: usize = 8;
/// Bytes of each of their results.
const PUSHED_BYTES: usize = 1 << 20;
/// What ingest may hold (128 MiB), and what waits on the way to it: a result in the session and some in buffers of
/// sockets, for each pusher.
const MOST_PUSHED: usize = 128 + PUSHERS * 12;
/// Memory of the hub in KiB for what was pushed, with what allocators keep.
const MOST_MEMORY_KIB: u64 = 2 * 128 * 1024;
/// A send that waits so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(SIZE.limit * 2).unless(services::mongod::missing());
        a_freeze_is_a_pause
    ]
}

async fn a_freeze_is_a_pause() {
    let mut mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    let mut pushed = Pushed::to(Hub::on_mongo(&mongod.uri(), &[]).await).await;
    let load = Load::start(&hub, "frozen", SIZE).await;
    let tally = load.fleet.tally.clone();
    load.reach(FROZEN_AT).await;
    mongod.freeze().await;
    let frozen = Instant::now();
    let nobody = json!({"email": "late@example.org", "password": PASSWORD});
    let owner = load.fleet.owner.api.clone();
    let order = orders::queued(orders::ping(&[load.fleet.probes[0].id]));
    let mut acknowledged = 0;
    tokio::join!(
        async {
            later(hub.api().request(GET, "/readyz"), READY_DEADLINE).await;
            // What was committed before has been acknowledged by now.
            acknowledged = tally.stored();
        },
        later(owner.request(GET, "/api/v1/users/me"), READ_DEADLINE),
        // The first thing is to read who asks.
        later(
            owner.request(POST, "/api/v1/operations").json(&order),
            READ_DEADLINE
        ),
        later(
            hub.api().request(POST, "/api/v1/users").json(&nobody),
            WRITE_DEADLINE
        ),
        pushed.push(),
    );
    eprintln!("frozen for {:.1?}", frozen.elapsed());
    assert_eq!(tally.stored(), acknowledged, "acknowledged while frozen");
    mongod.thaw();
    let thawed = Instant::now();
    eventually(
        GOES_ON_WITHIN,
        "results that are stored again",
        async || (tally.stored() > acknowledged).then_some(()),
    )
    .await;
    eprintln!("goes on {:.1?} after the thaw", thawed.elapsed());
    load.finish(&hub, "frozen").await;
    // Nobody was sent away for it.
    assert_eq!(tally.sessions(), SIZE.probes);
    pushed.goes_on().await;
}

const GET: reqwest::Method = reqwest::Method::GET;
const POST: reqwest::Method = reqwest::Method::POST;

/// A request that must be answered at its deadline, with 503 and when to come back.
async fn later(request: RequestBuilder, deadline: Duration) {
    let asked = Instant::now();
    let answer: Answer = api::must(request).await;
    let took = asked.elapsed();
    answer.expect_problem(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(
        deadline - EARLY < took && took < deadline + LATE,
        "{deadline:?} became {took:?}"
    );
}

/// A hub to which probes push what they can, whatever it takes.
struct Pushed {
    hub: Hub,
    operation: OperationId,
    pushers: Vec<FakeProbe>,
    another: TestProbe,
}

impl Pushed {
    async fn to(hub: Hub) -> Self {
        let ana = hub.user("ana", 1_000_000_000).await;
        let mut probes = Vec::new();
        for number in 0..=PUSHERS {
            probes.push(ana.probe(&format!("pusher {number}")).await);
        }
        let ids: Vec<_> = probes.iter().map(|probe| probe.id).collect();
        let order = orders::endless(orders::queued(orders::ping(&ids)));
        let operation = ana.launch(&order).await;
        let another = probes.pop().expect("a probe");
        let mut pushers = Vec::new();
        for probe in &probes {
            let hello = hello(vec![operation]);
            pushers.push(FakeProbe::connect_as(&hub, &probe.token, hello).await);
        }
        Self {
            hub,
            operation,
            pushers,
            another,
        }
    }

    /// Pushes until the hub takes no more, for as long as writes wait, and sees that it keeps its memory.
    async fn push(&mut self) {
        let (stop, count) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let mut pushing = JoinSet::new();
        let (before, started) = (self.hub.process().resident_kib(), Instant::now());
        for probe in self.pushers.drain(..) {
            pushing.spawn(push(probe, self.operation, count.clone(), stop.clone()));
        }
        let mut most = before;
        while started.elapsed() < WRITE_DEADLINE {
            most = most.max(self.hub.process().resident_kib());
            sleep(LOOK_EVERY).await;
        }
        stop.cancel();
        within(SOON, "the end of the pushers", pushing.join_all()).await;
        let (count, grown) = (count.load(Ordering::Relaxed), most - before);
        eprintln!("pushed {count} MiB; the hub grew by {} MiB", grown / 1024);
        assert!(count < MOST_PUSHED, "{count} MiB were taken");
        assert!(count > 128, "only {count} MiB were pushed");
        assert!(grown < MOST_MEMORY_KIB, "grown by {grown} KiB");
    }

    /// What was taken is stored, and what comes now too.
    async fn goes_on(&mut self) {
        let hello = hello(vec![self.operation]);
        let mut probe = FakeProbe::connect_as(&self.hub, &self.another.token, hello).await;
        probe
            .say(&ProbeFrame::Result(result(self.operation, "last")))
            .await;
        let acked = async { probe.ack(self.operation, &tests::probe::code("last")).await };
        assert_eq!(acked.await, Ack::Stored);
        let stored = self.hub.number("select count(*) from results").await;
        assert!(stored > 100, "{stored} results are stored");
        self.hub.check().await;
    }
}

/// Pushes results that nobody can read, so that they are kept just as they are.
async fn push(
    mut probe: FakeProbe,
    operation: OperationId,
    count: Arc<AtomicUsize>,
    stop: CancellationToken,
) {
    for number in 0.. {
        let frame = ProbeFrame::Result(RunResult {
            content: vec![b'x'; PUSHED_BYTES].into(),
            ..result(operation, &number.to_string())
        });
        let sending = async {
            // Cut short where it is stuck; the rest of the frame leaves before the next one.
            while timeout(STUCK_AFTER, probe.socket.send(&frame))
                .await
                .is_err()
            {}
        };
        tokio::select! {
            () = sending => { count.fetch_add(1, Ordering::Relaxed); }
            () = stop.cancelled() => return,
        }
    }
}

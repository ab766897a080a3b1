//! Slow, silent, half-open, flooding and huge clients: the others do not notice, and memory stays bounded.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use probe_protocol::{Close, OperationId, PATH, SUBPROTOCOL};
use tests::{
    Case, FakeProbe, Fleet, Hub, ProbeSocket, TestProbe, TestUser, Trial, courier::Tally, database,
    orders, wait::within,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};
use tokio_tungstenite::tungstenite::Message;

/// Probes that behave, and what each delivers.
const PROBES: usize = 20;
const RESULTS_EACH: usize = 100;
/// Pause between two results of a probe: the abuse lasts longer than a hub needs to notice it.
const PACE: Duration = Duration::from_millis(100);
/// No answer to a probe that behaves may take longer than this at the 99th percentile, abuse or not.
const P99: Duration = Duration::from_secs(1);
/// The hub's memory stays below this, KiB.
const MOST_RESIDENT: u64 = 300 * 1024;
/// How often its memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Abusers of each kind.
const ABUSERS: usize = 8;
/// A body far above the limit.
const HUGE_BODY: usize = 100 * 1024 * 1024;
/// Longest the whole may take.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("chaos::abuse::the_others_do_not_notice")
            .within(LIMIT)
            .run(the_others_do_not_notice),
        Case::new("chaos::abuse::a_probe_that_never_reads_is_closed_as_slow")
            .within(LIMIT)
            .run(a_probe_that_never_reads_is_closed_as_slow),
    ]
}

async fn the_others_do_not_notice() {
    let mut hub = Hub::start().await;
    let calm = latencies(&mut hub, "calm", JoinSet::new()).await;
    let mallory = hub.user("mallory", 1_000_000_000).await;
    let abuse = begin_abuse(&hub, &mallory).await;
    let abused = latencies(&mut hub, "abused", abuse).await;
    for (name, latencies) in [("calm", &calm), ("abused", &abused)] {
        let (p50, p99) = (percentile(latencies, 50), percentile(latencies, 99));
        eprintln!(
            "abuse: {name}: ack p50 {p50:.1?}, p99 {p99:.1?}, max {:.1?}",
            percentile(latencies, 100)
        );
        assert!(p99 < P99, "{name}: {p99:?}");
    }
    assert_eq!(hub.terminate().await, 0);
    hub.check().await;
}

/// How long the hub takes to acknowledge results of probes that behave while `abuse` goes on.
async fn latencies(hub: &mut Hub, name: &str, mut abuse: JoinSet<()>) -> Vec<Duration> {
    let owner = hub.user(name, 1_000_000_000).await;
    let fleet = Fleet::of(owner, PROBES, 1).await;
    let mut couriers = fleet.deliver(&hub.url(), RESULTS_EACH, Some(PACE));
    let mut resident = 0;
    while !couriers.is_empty() {
        while let Some(courier) = couriers.try_join_next() {
            courier.expect("a courier that did not panic");
        }
        resident = resident.max(hub.process().resident_kib());
        sleep(LOOK_EVERY).await;
    }
    while let Some(abuser) = abuse.try_join_next() {
        abuser.expect("an abuser that did not panic");
    }
    abuse.abort_all();
    eprintln!("abuse: {name}: the hub used up to {} MiB", resident / 1024);
    assert!(resident < MOST_RESIDENT, "{resident} KiB");
    let tally: &Tally = &fleet.tally;
    assert_eq!(
        (tally.wrong(), tally.stored()),
        (Vec::new(), PROBES * RESULTS_EACH)
    );
    assert_eq!(
        tally.sessions(),
        PROBES,
        "a probe that behaves lost its session"
    );
    tally.latencies()
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

async fn begin_abuse(hub: &Hub, mallory: &TestUser) -> JoinSet<()> {
    let (address, url) = (hub.address(), hub.url());
    let token = mallory.api.token().expect("a token").to_owned();
    let mut abuse = JoinSet::new();
    for number in 0..ABUSERS {
        let probe = mallory.probe(&format!("abuser {number}")).await;
        abuse.spawn(never_read(url.clone(), probe.clone(), mallory.clone()));
        let probe = mallory.probe(&format!("flooder {number}")).await;
        abuse.spawn(flood(url.clone(), probe.clone()));
        abuse.spawn(half_a_head(address));
        abuse.spawn(silent_after_upgrade(url.clone(), probe));
        abuse.spawn(trickle(address, token.clone()));
        abuse.spawn(huge_body(address, token.clone()));
    }
    abuse
}

/// Takes a session and reads nothing, while operations are sent to it.
async fn never_read(url: String, probe: TestProbe, user: TestUser) {
    let mut socket = ProbeSocket::open(&url, &probe.token)
        .await
        .expect("a socket");
    let hello = probe_protocol::ProbeFrame::Hello(tests::probe::hello(Vec::new()));
    assert!(socket.send(&hello).await);
    loop {
        user.order(&orders::queued(orders::ping(&[probe.id]))).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sends rubbish as fast as it may, again and again.
async fn flood(url: String, probe: TestProbe) {
    loop {
        let Ok(mut socket) = ProbeSocket::open(&url, &probe.token).await else {
            continue;
        };
        let hello = probe_protocol::ProbeFrame::Hello(tests::probe::hello(Vec::new()));
        let _ = socket.send(&hello).await;
        let rubbish = Message::Binary(vec![0xff; 64 * 1024].into());
        while socket.send_raw(rubbish.clone()).await {}
    }
}

/// Half a request, then nothing.
async fn half_a_head(address: SocketAddr) {
    loop {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "GET {PATH} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nsec-websocket-protocol: {SUBPROTOCOL}\r\nsec-"
        );
        stream.write_all(head.as_bytes()).await.expect("a write");
        // Until the hub has had enough of it.
        let _ = stream.read(&mut [0; 64]).await;
    }
}

/// A websocket without a word.
async fn silent_after_upgrade(url: String, probe: TestProbe) {
    loop {
        let Ok(mut socket) = ProbeSocket::open(&url, &probe.token).await else {
            continue;
        };
        socket.hear().await;
    }
}

/// A body byte by byte.
async fn trickle(address: SocketAddr, token: String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/operations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a write");
    while stream.write_all(b" ").await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
}

/// A body a hundred times too long; the hub may hang up at any point of it.
async fn huge_body(address: SocketAddr, token: String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/operations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {HUGE_BODY}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a write");
    let chunk = vec![b' '; 1024 * 1024];
    for _ in 0..HUGE_BODY / chunk.len() {
        if stream.write_all(&chunk).await.is_err() {
            return;
        }
    }
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).await.is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
}

async fn a_probe_that_never_reads_is_closed_as_slow() {
    /// Longest until the hub has had enough: its queue fills, or a write takes ten seconds.
    const CLOSED_WITHIN: Duration = Duration::from_secs(60);
    /// Operations to look at after it came back: the hub offers a hundred at once.
    const OFFERED: usize = 100;
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operations = fill(&ana, &registered, CLOSED_WITHIN).await;
    assert_eq!(
        within(CLOSED_WITHIN, "the end", probe.closed_within(CLOSED_WITHIN)).await,
        Close::Slow.code()
    );
    // Nothing that was sent in vain is lost: all is open still, and is offered again from the oldest on.
    let open = database::snapshot(&hub.data_dir())
        .number("select count(*) from assignments where ended_at_ms is null");
    assert_eq!(usize::try_from(open), Ok(operations.len()));
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    for operation in operations.iter().take(OFFERED) {
        assert_eq!(probe.accept().await, *operation);
    }
    hub.check().await;
}

/// Creates operations with large frames until the hub says that the probe is gone.
async fn fill(user: &TestUser, probe: &TestProbe, limit: Duration) -> Vec<OperationId> {
    let (started, mut operations) = (Instant::now(), Vec::new());
    let targets: Vec<String> = (0..100)
        .map(|number| {
            format!(
                "{number}.{}.example",
                ["x".repeat(60), "y".repeat(60), "z".repeat(60)].join(".")
            )
        })
        .collect();
    let order = serde_json::json!({"kind": "dns", "targets": targets, "probes": [probe.id]});
    loop {
        let answer = user.order(&order).await;
        if answer.status == 422 {
            return operations;
        }
        operations.push(
            answer.expect(201)["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an id"),
        );
        assert!(
            started.elapsed() < limit,
            "{} operations and the session is still open",
            operations.len()
        );
    }
}

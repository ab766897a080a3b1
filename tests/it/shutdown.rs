//! A stop is clean: sessions are told, what was taken is stored and acknowledged, the exit code is 0, in time.

use std::time::{Duration, Instant};

use probe_protocol::{Close, HubFrame, OperationId, ProbeFrame, ResultCode};
use serde_json::json;
use tests::{
    FakeProbe, Fleet, Heard, Hub, ProbeSocket, Trial, api, database, eventually, orders,
    probe::{code, hello, result},
    trials,
    wait::{SOON, within},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_stop_in_full_flight_loses_nothing,
        a_silent_probe_does_not_hold_a_stop_up,
        a_request_under_way_is_answered,
        a_second_hub_on_the_same_data_is_refused,
    ]
}

/// A stop without trouble: far below the hub's own limit of 20 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(8);

async fn a_stop_in_full_flight_loses_nothing() {
    const PROBES: usize = 10;
    let mut hub = Hub::start().await;
    let fleet = Fleet::new(&hub, PROBES, 1).await;
    let operation = fleet.operations[0];
    let mut probes = JoinSet::new();
    for registered in &fleet.probes {
        let probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
        probes.spawn(flood(probe, operation));
    }
    let busy = || database::snapshot(&hub.data_dir()).number("select count(*) from results") > 200;
    eventually(SOON, "results", async || busy().then_some(())).await;
    let mut stream = fleet.owner.events(operation).await;
    stream.until("operation").await;
    let started = Instant::now();
    assert_eq!(hub.terminate().await, 0, "the exit code");
    assert!(
        started.elapsed() < STOPPED_WITHIN,
        "{:?}",
        started.elapsed()
    );
    let mut acknowledged = 0;
    let connection = database::open(&hub.data_dir());
    while let Some(probe) = probes.join_next().await {
        let (id, codes, end) = probe.expect("a probe that did not panic");
        assert_eq!(end, Close::Restart.code());
        for code in codes {
            let query =
                "select count(*) from results where operation = ?1 and probe = ?2 and code = ?3";
            let keys = [
                operation.to_string(),
                id.to_string(),
                code.as_str().to_owned(),
            ];
            let found: i64 = connection
                .query_row(query, keys, |row| row.get(0))
                .expect("a count");
            assert_eq!(found, 1, "an acknowledged result is not there");
            acknowledged += 1;
        }
    }
    assert!(acknowledged > 200, "{acknowledged}");
    hub.check().await;
    // It starts again on what it left.
    hub.restart().await;
    assert_eq!(hub.api().get("/readyz").await.status, 200);
}

/// Sends results until the hub ends the session: which were acknowledged, and the close code.
async fn flood(
    mut probe: FakeProbe,
    operation: OperationId,
) -> (probe_protocol::ProbeId, Vec<ResultCode>, u16) {
    /// Results under way unanswered.
    const WINDOW: usize = 32;
    let (mut sent, mut stored) = (0, Vec::new());
    let end = within(SOON * 3, "the end of the session", async {
        loop {
            while sent < stored.len() + WINDOW
                && probe
                    .socket
                    .send(&ProbeFrame::Result(result(operation, &sent.to_string())))
                    .await
            {
                sent += 1;
            }
            match probe.socket.hear().await {
                Heard::Frame(HubFrame::Stored { codes, .. }) => stored.extend(codes),
                Heard::Frame(_) => {}
                Heard::Closed(code) => return code,
                Heard::Broken => panic!("the session broke without a goodbye"),
            }
        }
    })
    .await;
    (probe.welcome.probe, stored, end)
}

async fn a_silent_probe_does_not_hold_a_stop_up() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let (registered, mute) = (ana.probe("p").await, ana.probe("mute").await);
    // One reads nothing, not even the goodbye; one said no hello; one is a connection without a request.
    let _deaf = FakeProbe::connect(&hub, &registered.token).await;
    let _mute = ProbeSocket::open(&hub.url(), &mute.token)
        .await
        .expect("a socket");
    let _idle = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    let mut half = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    half.write_all(b"POST /api/v1/users HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .await
        .expect("a write");
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    let code = hub.terminate().await;
    assert_eq!(code, 0, "the exit code");
    hub.check().await;
}

async fn a_request_under_way_is_answered() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let order = orders::queued(orders::ping(&[probe.id])).to_string();
    // A request whose body is not whole yet when the hub is told to stop.
    let mut request = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    let token = ana.api.token().expect("a token");
    let head = format!(
        "POST /api/v1/operations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        order.len()
    );
    request
        .write_all(format!("{head}{}", &order[..10]).as_bytes())
        .await
        .expect("a write");
    // Answered on another connection after the first was accepted, so the hub knows both.
    assert_eq!(hub.api().get("/readyz").await.status, 200);
    hub.process().signal(rustix::process::Signal::TERM);
    let refused = async || match api::send(hub.api().request(reqwest::Method::GET, "/readyz")).await
    {
        Ok(answer) => (answer.status == 503).then_some(()),
        Err(_) => Some(()),
    };
    eventually(SOON, "a hub that is not ready", refused).await;
    request
        .write_all(&order.as_bytes()[10..])
        .await
        .expect("a write");
    let mut answer = String::new();
    within(SOON, "an answer", request.read_to_string(&mut answer))
        .await
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(hub.process().wait(STOPPED_WITHIN).await, 0);
    assert_eq!(hub.number("select count(*) from operations").await, 1);
    hub.check().await;
}

async fn a_second_hub_on_the_same_data_is_refused() {
    let hub = Hub::start().await;
    let mut second = tokio::process::Command::new(tests::process::program("pladmed"));
    second
        .env_clear()
        .env("DATA_DIR", hub.data_dir())
        .env("PORT", "0")
        .env("ENVIRONMENT", "test")
        .kill_on_drop(true);
    let output = within(SOON, "its end", second.output())
        .await
        .expect("its output");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in use"), "{said}");
    assert_eq!(hub.api().get("/readyz").await.status, 200);
    // The first one is none the worse.
    let ana = hub.user("ana", 5).await;
    assert_eq!((ana.credits().await, json!(code("x"))), (5, json!("x")));
}

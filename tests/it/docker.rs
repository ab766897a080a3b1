//! The images and the platform that `make start` brings up, in a real Docker engine: two hubs behind nginx, MongoDB,
//! Redis, chrony, and the probe's image. One story, because building and starting take minutes.

use std::{collections::BTreeSet, time::Duration};

use probe_protocol::{OperationId, ProbeId};
use serde_json::Value;
use tests::{
    Case, OldProbe, OldResult, TestProbe, TestUser, Trial, eventually,
    hub::{ADMIN, PASSWORD},
    orders,
};
use tokio::net::UdpSocket;

mod stack;

use stack::{LIMITED, Stack};

/// Longest all of it may take: the first time, two images compile a release.
const WITHIN: Duration = Duration::from_secs(45 * 60);
/// Longest a probe may take to come back to another hub, and a result to come in.
const COMES_WITHIN: Duration = Duration::from_secs(60);
/// Attempts to sit on the other hub. Each has a chance of a half.
const ATTEMPTS: usize = 40;
/// A question of a client of NTP, version 3, as older agents ask it: 48 bytes (RFC 5905, figure 8).
const NTP_QUESTION: [u8; 48] = {
    let mut packet = [0; 48];
    packet[0] = 0x1b;
    packet
};
/// Between the epochs of NTP and of Unix, seconds.
const NTP_EPOCH: u32 = 2_208_988_800;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::docker::a_platform_survives_a_killed_hub_and_a_restart")
            .within(WITHIN)
            .unless(Stack::missing())
            .run(a_platform_survives_a_killed_hub_and_a_restart),
    ]
}

async fn a_platform_survives_a_killed_hub_and_a_restart() {
    let stack = Stack::up().await;
    stack.superuser(ADMIN, PASSWORD).await;
    let admin = TestUser::log_in(&stack.api(), ADMIN, PASSWORD).await;
    only_the_doors_are_open(&stack).await;
    headers_with_underscores_pass(&stack, &admin).await;
    tells_the_time(&stack).await;

    let (old, new) = (admin.probe("old").await, admin.probe("new").await);
    stack.run_probe(&new.token).await;
    let hub = last_seat(&stack, new.id, 1).await;
    let mut agent = on_another_hub(&stack, &old, &hub).await;
    admin.grant(&admin, 1000).await;
    let first = measure(&admin, &mut agent, [old.id, new.id]).await;

    stack.kill(&hub).await;
    let moved = last_seat(&stack, new.id, 2).await;
    assert_ne!(moved, hub, "that one was killed");
    let second = measure(&admin, &mut agent, [old.id, new.id]).await;
    let before = [found(&admin, first).await, found(&admin, second).await];

    stack.stop().await;
    stack.start().await;
    // The same login, too.
    let after = [found(&admin, first).await, found(&admin, second).await];
    assert_eq!(before, after);
    last_seat(&stack, new.id, 3).await;
    let mut agent = OldProbe::connect_trusting(&stack.url(), &old.token, stack.trust()).await;
    measure(&admin, &mut agent, [old.id, new.id]).await;

    // nginx tells of a websocket when it has ended.
    drop(agent);
    let logs = eventually(COMES_WITHIN, "a line on a websocket", async || {
        Some(stack.logs().await).filter(|logs| logs.contains("/socket.io/"))
    })
    .await;
    assert!(logs.contains(LIMITED), "{logs}");
    let mut secrets = stack.secrets();
    secrets.extend([old.token, new.token, PASSWORD.to_owned()]);
    secrets.extend(admin.api.token().map(str::to_owned));
    for secret in secrets {
        assert!(!logs.contains(&secret), "{secret} stands in a log");
    }
}

/// Only nginx and chrony can be reached from outside.
async fn only_the_doors_are_open(stack: &Stack) {
    let published: BTreeSet<String> = stack.published().await;
    let doors = ["chrony 11123/udp", "nginx 8443/tcp"].map(str::to_owned);
    assert_eq!(published, BTreeSet::from(doors));
    let metrics = stack.api().get("/metrics").await;
    assert_eq!(metrics.status, 404, "{}", metrics.text());
}

/// What frontends of the replaced system send arrives.
async fn headers_with_underscores_pass(stack: &Stack, user: &TestUser) {
    let token = user.api.token().expect("a token");
    let api = stack.api();
    let request = api.request(reqwest::Method::GET, "/users/me");
    let answer = tests::api::must(request.header("access_token", token)).await;
    assert_eq!(answer.expect_old(200)["email"], user.email);
}

/// chrony answers those agents in the form that they can read, with the time of this machine.
async fn tells_the_time(stack: &Stack) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let asked = async || {
        socket.send_to(&NTP_QUESTION, stack.ntp()).await.ok()?;
        let mut answer = [0; 100];
        let answered = socket.recv(&mut answer);
        let length = tokio::time::timeout(Duration::from_secs(1), answered).await;
        (length.ok()?.ok()? == NTP_QUESTION.len()).then_some(answer)
    };
    let answer = eventually(COMES_WITHIN, "the time", asked).await;
    let seconds = u32::from_be_bytes([answer[40], answer[41], answer[42], answer[43]]);
    let here = chrono::Utc::now().timestamp();
    let offset = i64::from(seconds.wrapping_sub(NTP_EPOCH)) - here;
    assert!(offset.abs() < 60, "off by {offset} s");
}

/// An older agent, connected again and again until it sits elsewhere.
async fn on_another_hub(stack: &Stack, probe: &TestProbe, than: &str) -> OldProbe {
    for attempt in 1..=ATTEMPTS {
        let agent = OldProbe::connect_trusting(&stack.url(), &probe.token, stack.trust()).await;
        if last_seat(stack, probe.id, attempt).await != than {
            return agent;
        }
    }
    panic!("nginx leads all probes to one hub");
}

/// The hub on which a probe sits that has connected so many times.
async fn last_seat(stack: &Stack, probe: ProbeId, times: usize) -> String {
    eventually(COMES_WITHIN, "a session of the probe", async || {
        let mut seats = stack.seats(probe).await;
        (seats.len() >= times).then(|| seats.pop()).flatten()
    })
    .await
}

/// An operation on both probes, until both have answered.
async fn measure(user: &TestUser, agent: &mut OldProbe, probes: [ProbeId; 2]) -> OperationId {
    let order = orders::queued(orders::ping(&probes));
    let id = user.launch(&order).await;
    let handed = agent.accept().await;
    assert_eq!(handed.id(), id.to_string());
    let result = OldResult::new(id, &format!("code-{id}"), "warts", orders::PING_WARTS);
    assert_eq!(
        agent.deliver(&result).await,
        serde_json::json!([id.to_string()])
    );
    eventually(COMES_WITHIN, "a result of each probe", async || {
        (user.results(id).await.len() == probes.len()).then_some(())
    })
    .await;
    id
}

/// What is known of an operation: its results, and what each probe did.
async fn found(user: &TestUser, id: OperationId) -> (Vec<Value>, Value) {
    let operation = user.operation(id).await;
    (user.results(id).await, operation["assignments"].clone())
}

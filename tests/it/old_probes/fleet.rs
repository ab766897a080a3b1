//! Old and new probes under the same operations: the user sees no difference.

use std::{collections::BTreeMap, time::Duration};

use probe_protocol::{ContentFormat, HubFrame, Kind, OperationId, ProbeFrame, RunResult};
use serde_json::{Value, json};
use tests::{
    Ack, Case, FakeProbe, Hub, OldAgent, OldProbe, OldResult, TestProbe, TestUser, Trial,
    eventually, orders, probe::result, wait::SOON,
};
use tokio::task::JoinSet;

pub(crate) fn trials() -> Vec<Trial> {
    let case = |name: &str| Case::new(&format!("it::old_probes::fleet::{name}"));
    vec![
        case("old_and_new_probes_run_the_same_operations").run(|| run(0)),
        case("so_do_agents_with_the_real_library")
            .unless(OldAgent::missing())
            .run(|| run(2)),
    ]
}

/// Probes of each sort that are written by hand.
const PROBES: usize = 10;
const NEW_END: usize = 2 * PROBES;
/// Results that each probe sends of each operation.
const RESULTS: usize = 3;
/// Longest the states of all may take to change, on a machine that is busy.
const ALL_WITHIN: Duration = Duration::from_secs(30);

/// The formats and contents of results, by the kind's word.
fn content(kind: &str) -> (ContentFormat, Vec<u8>) {
    match kind {
        "ping" => (ContentFormat::Warts, orders::PING_WARTS.to_vec()),
        "traceroute" => (ContentFormat::Warts, orders::TRACEROUTE_WARTS.to_vec()),
        _ => (
            ContentFormat::Gzip,
            orders::gzip(orders::DIG_TEXT.as_bytes()),
        ),
    }
}

fn old_result(operation: &Value, kind: &str, number: usize) -> OldResult {
    let (format, content) = content(kind);
    let operation = operation.as_str().expect("an identifier");
    OldResult::new(operation, &number.to_string(), format.as_str(), &content)
}

async fn run_old(mut probe: OldProbe) {
    let mut handed = Vec::new();
    for _ in Kind::ALL {
        handed.push(probe.accept().await);
    }
    for number in 0..RESULTS {
        for handed in &handed {
            let operation = &handed.argument["_id"];
            let result = old_result(operation, &handed.kind, number);
            assert_eq!(probe.deliver(&result).await, json!([operation]));
        }
    }
}

async fn run_library(mut agent: OldAgent) {
    let mut results = Vec::new();
    for _ in Kind::ALL {
        let told = agent.told("operation").await;
        let kind = told["kind"].as_str().expect("a kind");
        for number in 0..RESULTS {
            let mut result = old_result(&told["argument"]["_id"], kind, number);
            result.code = format!("{kind}-{number}");
            results.push(result);
        }
    }
    agent.send(&results).await;
    for result in results {
        assert_eq!(
            agent.acknowledged(&result.code).await,
            json!([result.operation])
        );
    }
}

/// Waits, in the end, to be told that all is cancelled.
async fn run_new(mut probe: FakeProbe) {
    let mut assigned = Vec::new();
    for _ in Kind::ALL {
        let assign = probe.assigned().await;
        let operation = assign.operation;
        probe.say(&ProbeFrame::Accepted { operation }).await;
        assigned.push(assign);
    }
    for number in 0..RESULTS {
        for assign in &assigned {
            let (format, content) = content(assign.kind.as_str());
            let result = RunResult {
                format,
                content: content.into(),
                ..result(assign.operation, &number.to_string())
            };
            assert_eq!(probe.deliver_result(result).await, Ack::Stored);
        }
    }
    for _ in Kind::ALL {
        let cancel = |frame: &HubFrame| matches!(frame, HubFrame::Cancel { .. }).then_some(());
        probe.until("a cancel", cancel).await;
    }
}

async fn launch_all(ana: &TestUser, probes: &[TestProbe]) -> BTreeMap<&'static str, OperationId> {
    let ids: Vec<_> = probes.iter().map(|probe| probe.id).collect();
    let mut launched = BTreeMap::new();
    for (kind, order) in [
        ("ping", orders::ping(&ids)),
        ("traceroute", orders::traceroute(&ids)),
        ("dns", orders::dns(&ids)),
    ] {
        launched.insert(kind, ana.launch(&orders::endless(order)).await);
    }
    launched
}

/// Waits until all of an operation's assignments are in this state.
async fn all_reach(ana: &TestUser, operation: OperationId, probes: usize, state: &str) {
    eventually(
        ALL_WITHIN,
        &format!("{probes} assignments that are {state}"),
        async || {
            let states = ana.states(operation).await;
            (states.len() == probes && states.iter().all(|it| it == state)).then_some(())
        },
    )
    .await;
}

/// Connects all of them and lets them run: those that end by themselves, and those that wait for a cancel.
async fn connect_all(hub: &Hub, probes: &[TestProbe]) -> (JoinSet<()>, JoinSet<()>) {
    let (mut running, mut news) = (JoinSet::new(), JoinSet::new());
    for (number, registered) in probes.iter().enumerate() {
        match number {
            0..PROBES => {
                running.spawn(run_old(OldProbe::connect(hub, &registered.token).await));
            }
            PROBES..NEW_END => {
                news.spawn(run_new(FakeProbe::connect(hub, &registered.token).await));
            }
            _ => {
                let mut agent = OldAgent::start(false).await;
                agent.connect(hub, &registered.token, 121, 0).await;
                agent.told("connected").await;
                running.spawn(run_library(agent));
            }
        }
    }
    (running, news)
}

/// All probes run an operation, and their results are all there and alike.
async fn check_results(ana: &TestUser, kind: &str, operation: OperationId, probes: usize) {
    all_reach(ana, operation, probes, "accepted").await;
    let all = RESULTS * probes;
    let results = eventually(SOON, "all results", async || {
        Some(ana.results(operation).await).filter(|results| results.len() >= all)
    })
    .await;
    assert_eq!(results.len(), all);
    for result in &results {
        assert_eq!(
            (&result["undecoded"], &result["rewarded"]),
            (&json!(0), &json!(true)),
            "{kind} {result}"
        );
    }
    // Whoever measured, the document is the same.
    assert!(
        results
            .iter()
            .all(|result| result["document"] == results[0]["document"])
    );
}

async fn run(with_library: usize) {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000_000).await;
    let host = hub.user("host", 0).await;
    let mut probes = Vec::new();
    for number in 0..2 * PROBES + with_library {
        probes.push(host.probe(&number.to_string()).await);
    }
    let (mut running, mut news) = connect_all(&hub, &probes).await;
    let launched = launch_all(&ana, &probes).await;
    while let Some(ended) = running.join_next().await {
        ended.expect("a probe that did not panic");
    }
    for (kind, operation) in &launched {
        check_results(&ana, kind, *operation, probes.len()).await;
    }
    let rewarded = 10 * RESULTS * launched.len() * probes.len();
    assert_eq!(
        host.credits().await,
        i64::try_from(rewarded).expect("a sum")
    );
    for operation in launched.values() {
        ana.cancel(*operation).await;
        all_reach(&ana, *operation, probes.len(), "cancelled").await;
    }
    while let Some(ended) = news.join_next().await {
        ended.expect("a probe that did not panic");
    }
    assert_eq!(hub.terminate().await, 0, "the hub's exit code");
    hub.check().await;
}

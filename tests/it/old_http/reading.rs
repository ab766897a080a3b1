//! Reading one operation at the old path, with its results.

use std::io::Write as _;

use chrono::Utc;
use flate2::{Compression, write::GzEncoder};
use probe_protocol::{ContentFormat, OperationId, RunResult};
use serde_json::{Value, json};
use tests::{
    Ack, Answer, FakeProbe, Hub, OldApi, TestProbe, TestUser, Trial, old_api::NO_AUTHORIZATION,
    orders, probe::code, trials,
};

use super::bench::{RICH, order};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        what_there_is_not_is_404,
        results_are_shown_by_probe,
        results_have_the_format_asked_for,
        probes_are_shown_with_their_owners,
        operations_of_the_new_api_are_shown_too,
        a_setting_closes_what_is_open,
        many_results_are_one_document,
    ]
}

const NO_OPERATION: &str = "Operation doesn't exist";

/// A hub, a user, one of their probes with a session.
async fn at_work() -> (Hub, TestUser, OldApi, TestProbe, FakeProbe) {
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let card = ana.probe("p").await;
    let probe = FakeProbe::connect(&hub, &card.token).await;
    let old = OldApi::of(&hub, &ana);
    (hub, ana, old, card, probe)
}

fn path(operation: OperationId) -> String {
    format!("/operation?id={operation}")
}

/// What a probe sends of a run just now.
fn run(operation: OperationId, name: &str, format: ContentFormat, content: &[u8]) -> RunResult {
    RunResult {
        operation,
        code: code(name),
        format,
        content: content.to_vec().into(),
        started_at: Utc::now(),
        finished_at: Utc::now(),
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("it is memory");
    encoder.finish().expect("it is memory")
}

async fn what_there_is_not_is_404() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for query in [
        "",
        "?",
        "?id",
        "?id=",
        "?id=x",
        "?id=0123456789abcdef01234567",
        "?id=0123456789abcdef0123456",
        "?id=%00",
        "?id=%ff",
        "?ID=0123456789abcdef01234567",
        "?id[$ne]=x",
    ] {
        let answer = anyone.get(&format!("/operation{query}")).await;
        assert_eq!(answer.status, 404, "{query}: {}", answer.text());
        answer.expect_error(404, NO_OPERATION);
    }
}

async fn results_are_shown_by_probe() {
    let (hub, ana, old, card, mut probe) = at_work().await;
    let second = ana.probe("second").await;
    let mut other = FakeProbe::connect(&hub, &second.token).await;
    let sent = order("ping", &[&card, &second]);
    let made = old.post("/ping", &sent).await.expect_old(201);
    let operation = probe.accept().await;
    assert_eq!(other.accept().await, operation);
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(other.deliver(operation, "2").await, Ack::Stored);
    assert_eq!(probe.deliver(operation, "3").await, Ack::Stored);
    let shown = OldApi::new(&hub)
        .get(&path(operation))
        .await
        .expect_old(200);
    let document: Value = serde_json::from_slice(&orders::ping_document(0)).expect("JSON");
    let result = |probe: &TestProbe| json!({"probe": probe.id, "results": document});
    // In the order of their arrival, and nothing else of them.
    assert_eq!(
        shown["results"],
        json!([result(&card), result(&second), result(&card)])
    );
    // The rest is what the creation answered.
    let bare = |mut operation: Value| {
        operation["results"] = json!([]);
        operation["probes"] = json!([]);
        operation
    };
    assert_eq!(bare(shown), bare(made));
}

/// Files of scamper, and what its own tools print for them.
const PING: (&[u8], &str) = (
    include_bytes!("../../../server/src/warts/samples/ping-icmp.warts"),
    include_str!("../../../server/src/warts/samples/ping-icmp.json"),
);
const TRACE: (&[u8], &str, &str) = (
    include_bytes!("../../../server/src/warts/samples/trace-udp.warts"),
    include_str!("../../../server/src/warts/samples/trace-udp.json"),
    include_str!("../../../server/src/warts/samples/trace-udp.txt"),
);

/// The lines of a file, each a JSON document, as a list.
fn lines(text: &str) -> Value {
    let lines = text.lines().map(serde_json::from_str::<Value>);
    lines.map(|line| line.expect("JSON")).collect()
}

async fn results_have_the_format_asked_for() {
    let (hub, _, old, card, mut probe) = at_work().await;
    let text =
        "; <<>> DiG 9.18 <<>> \"ü\"\n;; ANSWER SECTION:\nexample.org.\t60\tIN\tA\t192.0.2.1\n";
    let packed = gzip(text);
    let (ping, trace) = (
        (ContentFormat::Warts, PING.0),
        (ContentFormat::Warts, TRACE.0),
    );
    let answers = (ContentFormat::Gzip, packed.as_slice());
    for (kind, format, content, wanted) in [
        ("ping", "json", ping, lines(PING.1)),
        // A ping is always JSON.
        ("ping", "dump", ping, lines(PING.1)),
        ("traceroute", "json", trace, lines(TRACE.1)),
        ("traceroute", "dump", trace, json!(TRACE.2)),
        ("dns", "json", answers, json!(text)),
        ("dns", "dump", answers, json!(text)),
    ] {
        let mut sent = order(kind, &[&card]);
        sent["result_format"] = json!(format);
        let _ = old.post(&format!("/{kind}"), &sent).await.expect_old(201);
        let operation = probe.accept().await;
        let result = run(operation, "1", content.0, content.1);
        assert_eq!(probe.deliver_result(result).await, Ack::Stored);
        let shown = OldApi::new(&hub).get(&path(operation)).await;
        let results = shown.expect_old(200)["results"][0]["results"].clone();
        match (&results, &wanted) {
            (Value::String(got), Value::String(wanted)) if kind == "traceroute" => {
                assert_eq!(data_of(got), data_of(wanted));
                assert!(!data_of(got).is_empty());
            }
            _ => assert_eq!(results, wanted, "{kind} {format}"),
        }
    }
}

/// The lines of a dump without the comments that the tool puts before them.
fn data_of(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| !line.starts_with('#')).collect()
}

async fn probes_are_shown_with_their_owners() {
    let (hub, _, old, card, _probe) = at_work().await;
    let ben = hub.user("ben", 0).await;
    let place = json!({"name": "x", "location": {"longitude": 7.5, "latitude": 8.25}});
    let other = ben.api.post("/api/v1/probes", &place).await.expect(201);
    let token = other["token"].as_str().expect("a token");
    let _session = FakeProbe::connect(&hub, token).await;
    let mut sent = order("ping", &[&card]);
    sent["probes"] = json!([other["probe"]["id"]]);
    let made = old.post("/ping", &sent).await.expect_old(201);
    let id = made["_id"].as_str().expect("an identifier");
    let shown = old
        .get(&format!("/operation?id={id}"))
        .await
        .expect_old(200);
    let whole = json!([{
        "identifier": other["probe"]["id"],
        "owner_id": ben.id,
        "location": {"longitude": 7.5, "latitude": 8.25},
    }]);
    assert_eq!((&shown["probes"], &made["probes"]), (&whole, &whole));
}

async fn operations_of_the_new_api_are_shown_too() {
    let (_hub, ana, old, card, mut probe) = at_work().await;
    for body in [
        orders::ping(&[card.id]),
        orders::endless(orders::ping(&[card.id])),
        json!({"kind": "dns", "targets": ["example.org", "192.0.2.1"], "probes": [card.id],
            "params": {"type": "mx", "ip_version": "6"}}),
        json!({"kind": "traceroute", "targets": ["example.org"], "probes": [card.id],
            "params": {"wait_probe": 7}, "result_format": "dump"}),
    ] {
        let operation = ana.launch(&body).await;
        assert_eq!(probe.accept().await, operation);
        assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
        let shown = old.get(&path(operation)).await.expect_old(200);
        let mut keys: Vec<&str> = shown
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.retain(|key| *key != "operation");
        assert_eq!(
            keys,
            [
                "_id",
                "credits",
                "params",
                "probes",
                "result_format",
                "results"
            ],
            "{shown}"
        );
        assert!(
            shown["params"].is_object() && shown["credits"].is_i64(),
            "{shown}"
        );
        assert_eq!(
            shown["results"].as_array().map(Vec::len),
            Some(1),
            "{shown}"
        );
        assert_eq!(shown["probes"][0]["identifier"], json!(card.id));
        // Told in the words of the old paths.
        let params = shown["params"].to_string();
        for target in body["targets"].as_array().expect("targets") {
            assert!(params.contains(&target.to_string()), "{params}");
        }
        assert!(!params.contains("wait_probe"), "{params}");
    }
    let all = old.get("/operations/me").await.expect_old(200);
    assert_eq!(all.as_array().map(Vec::len), Some(4));
}

async fn a_setting_closes_what_is_open() {
    let hub = Hub::start_with(&[("PUBLIC_OPERATIONS", "false")]).await;
    let (ana, ben) = (hub.user("ana", RICH).await, hub.user("ben", 0).await);
    let card = ana.probe("p").await;
    let _probe = FakeProbe::connect(&hub, &card.token).await;
    let old = OldApi::of(&hub, &ana);
    let made = old
        .post("/ping", &order("ping", &[&card]))
        .await
        .expect_old(201);
    let id = made["_id"].as_str().expect("an identifier");
    let ask =
        async |old: OldApi, id: &str| -> Answer { old.get(&format!("/operation?id={id}")).await };
    for unknown in ["0123456789abcdef01234567", "x", ""] {
        let answer = ask(OldApi::new(&hub), unknown).await;
        answer.expect_error(401, NO_AUTHORIZATION);
        ask(old.clone(), unknown)
            .await
            .expect_error(404, NO_OPERATION);
    }
    let nobody = OldApi::new(&hub);
    ask(nobody.clone(), id)
        .await
        .expect_error(401, NO_AUTHORIZATION);
    ask(nobody.with_token("x"), id)
        .await
        .expect_error(401, NO_AUTHORIZATION);
    // Whose it is not does not even learn that it is there.
    ask(OldApi::of(&hub, &ben), id)
        .await
        .expect_error(404, NO_OPERATION);
    let admin = OldApi::of(&hub, &hub.admin().await);
    for reader in [old, admin] {
        assert_eq!(ask(reader, id).await.expect_old(200)["_id"], id);
    }
}

async fn many_results_are_one_document() {
    const RESULTS: usize = 2_500;
    let (hub, ana, old, card, mut probe) = at_work().await;
    let operation = ana.launch(&orders::endless(orders::ping(&[card.id]))).await;
    assert_eq!(probe.accept().await, operation);
    let documents: Vec<Vec<u8>> = (0..RESULTS).map(orders::ping_document).collect();
    for (number, document) in documents.iter().enumerate() {
        let name = number.to_string();
        let result = run(operation, &name, ContentFormat::Json, document);
        assert_eq!(probe.deliver_result(result).await, Ack::Stored);
    }
    let answer = OldApi::new(&hub).get(&path(operation)).await;
    let shown = answer.expect_old(200);
    let results = shown["results"].as_array().expect("results");
    assert_eq!(results.len(), RESULTS);
    for (result, document) in results.iter().zip(&documents) {
        let document: Value = serde_json::from_slice(document).expect("JSON");
        assert_eq!(result["results"], document);
    }
    // The list of operations stays small.
    let mine = old.get("/operations/me").await;
    let length = mine.expect_old(200)[0]["results"].as_array().map(Vec::len);
    assert!(mine.body.len() < 10_000, "{length:?} results in the list");
}

//! Results of agents: stored, acknowledged, rewarded.

use chrono::{DateTime, Utc};
use probe_protocol::OperationId;
use serde_json::{Value, json};
use tests::{Knock, OldProbe, OldResult, TestUser, Trial, eventually, orders, trials, wait::SOON};

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        contents_become_documents,
        a_repeat_is_acknowledged_and_changes_nothing,
        a_frame_of_five_megabytes_is_fine,
        a_bomb_costs_little,
        results_of_one_instant_are_each_acknowledged,
        many_results_are_rewarded_to_the_host,
    ]
}

/// What anybody gets for a result, credits.
pub(super) const REWARD: i64 = 10;
/// A day is long enough for any test: one run a second.
const ENDLESS_RUNS: i64 = 86_400;

/// An agent that has taken on an operation with many runs.
pub(super) async fn at_work(site: &Site, mut order: Value) -> (OldProbe, OperationId) {
    order["probes"] = json!([site.probe.id]);
    let mut probe =
        OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 100_000, 0)).await;
    let operation = site.ana.launch(&orders::endless(order)).await;
    accept(&mut probe, operation).await;
    (probe, operation)
}

pub(super) fn ping(operation: impl ToString, code: &str) -> OldResult {
    OldResult::new(operation, code, "warts", orders::PING_WARTS)
}

/// Either an array with a record of this type, or a text with these words.
fn check_document(document: &Value, holds: &str) {
    match document {
        Value::Array(records) => assert!(
            records.iter().any(|record| record["type"] == holds),
            "{document}"
        ),
        Value::String(text) => assert!(text.contains(holds), "{text}"),
        other => panic!("{other} is no document"),
    }
}

async fn contents_become_documents() {
    let site = Site::open().await;
    let dump = |mut order: Value| {
        order["result_format"] = json!("dump");
        order
    };
    let text = orders::gzip(orders::DIG_TEXT.as_bytes());
    let (trace, path) = (orders::traceroute(&[]), orders::TRACEROUTE_WARTS);
    let cases = [
        (orders::ping(&[]), "warts", orders::PING_WARTS, "ping"),
        (trace.clone(), "warts", path, "trace"),
        (dump(trace), "warts", path, "T\t"),
        (orders::dns(&[]), "gzip", &text, "ANSWER SECTION"),
    ];
    let (mut probe, _) = at_work(&site, orders::ping(&[])).await;
    for (mut order, format, content, holds) in cases {
        order["probes"] = json!([site.probe.id]);
        let operation = site.ana.launch(&orders::endless(order)).await;
        accept(&mut probe, operation).await;
        let (before, sent_at) = (site.ana.credits().await, Utc::now());
        let result = OldResult::new(
            operation,
            "4e9fd3b0-51a6-4d0c-a9a5-0b46d9d5b5f1",
            format,
            content,
        );
        assert_eq!(probe.deliver(&result).await, json!([operation]));
        let stored = &site.ana.results(operation).await[0];
        assert_eq!(
            (
                &stored["format"],
                &stored["code"],
                &stored["undecoded"],
                &stored["rewarded"]
            ),
            (&json!(format), &json!(result.code), &json!(0), &json!(true)),
            "{stored}"
        );
        check_document(&stored["document"], holds);
        // It counts as measured when it came.
        let at = |key: &str| -> DateTime<Utc> {
            stored[key]
                .as_str()
                .and_then(|at| at.parse().ok())
                .expect("a time")
        };
        let seconds = (at("started_at") - sent_at).num_seconds();
        assert!(
            (0..10).contains(&seconds) && at("started_at") == at("finished_at"),
            "{stored}"
        );
        let raw = format!("/api/v1/operations/{operation}/results/1/raw");
        assert_eq!(site.ana.api.get(&raw).await.body, content);
        assert_eq!(site.ana.credits().await, before + REWARD);
    }
    site.close().await;
}

async fn a_repeat_is_acknowledged_and_changes_nothing() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::ping(&[])).await;
    let result = ping(operation, "same");
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    let (stored, credits) = (site.ana.results(operation).await, site.ana.credits().await);
    // Sent once more, with other bytes, and by the process that comes after.
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    let other = OldResult::new(operation, "same", "gzip", b"");
    assert_eq!(probe.deliver(&other).await, json!([operation]));
    drop(probe);
    let mut probe = OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 121, 1)).await;
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    assert_eq!(
        (site.ana.results(operation).await, site.ana.credits().await),
        (stored, credits)
    );
    assert_eq!(site.shown().await["refused_results"], 0);
    site.close().await;
}

async fn a_frame_of_five_megabytes_is_fine() {
    /// Bytes of text; half as many when compressed.
    const TEXT: usize = 10 * 1024 * 1024;
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::dns(&[])).await;
    let mut text = orders::DIG_TEXT.as_bytes().to_vec();
    while text.len() < TEXT {
        text.extend_from_slice(format!(";{:032x}\n", rand::random::<u128>()).as_bytes());
    }
    let content = orders::gzip(&text);
    assert!(content.len() > 5_000_000, "{}", content.len());
    let result = OldResult::new(operation, "long", "gzip", &content);
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    let stored = &site.ana.results(operation).await[0];
    assert_eq!(stored["document"].as_str().map(str::len), Some(text.len()));
    let raw = format!("/api/v1/operations/{operation}/results/1/raw");
    assert_eq!(site.ana.api.get(&raw).await.body, content);
    site.close().await;
}

async fn a_bomb_costs_little() {
    /// Bytes that come out of a few kilobytes.
    const BOMB: usize = 200 * 1024 * 1024;
    let mut site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::dns(&[])).await;
    let bomb = orders::gzip(&vec![b' '; BOMB]);
    let before = site.hub.process().resident_kib();
    for number in 0..3 {
        let result = OldResult::new(operation, &number.to_string(), "gzip", &bomb);
        assert_eq!(probe.deliver(&result).await, json!([operation]));
    }
    let more = site.hub.process().resident_kib().saturating_sub(before) / 1024;
    assert!(more < 100, "{more} MiB more");
    for stored in site.ana.results(operation).await {
        let length = stored["document"].to_string().len();
        assert!(length < 1000 && stored["rewarded"] == false, "{length}");
    }
    site.close().await;
}

async fn results_of_one_instant_are_each_acknowledged() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::ping(&[])).await;
    let mut numbers = Vec::new();
    for code in ["1", "2", "2", "3", "1"] {
        numbers.push(probe.send(&ping(operation, code)).await);
    }
    numbers.push(probe.send(&ping("nowhere", "1")).await);
    for number in &numbers[..5] {
        assert_eq!(probe.acked(*number).await, json!([operation]));
    }
    assert_eq!(probe.acked(numbers[5]).await, json!(["nowhere"]));
    let acks = probe
        .journal
        .iter()
        .filter(|text| text.starts_with("43"))
        .count();
    assert_eq!(acks, numbers.len(), "{:?}", probe.journal);
    assert_eq!(site.ana.results(operation).await.len(), 3);
    site.close().await;
}

/// The sum of a user's ledger entries for a reason.
async fn earned(user: &TestUser, reason: &str) -> i64 {
    let (mut sum, mut cursor) = (0, String::new());
    loop {
        let page = user
            .api
            .get(&format!("/api/v1/users/me/credits?limit=1000{cursor}"))
            .await
            .expect(200);
        let entries = page["items"].as_array().expect("entries").iter();
        let of_reason = entries.filter(|entry| entry["reason"] == reason);
        sum += of_reason
            .map(|entry| entry["amount"].as_i64().expect("a sum"))
            .sum::<i64>();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sum,
        }
    }
}

async fn many_results_are_rewarded_to_the_host() {
    const RESULTS: usize = 200;
    let site = Site::open().await;
    let host = site.hub.user("host", 0).await;
    let hosted = host.probe("hosted").await;
    let mut probe = OldProbe::connect(&site.hub, &hosted.token).await;
    let before = site.ana.credits().await;
    let operation = site
        .ana
        .launch(&orders::endless(orders::ping(&[hosted.id])))
        .await;
    accept(&mut probe, operation).await;
    let refused = site
        .ana
        .launch(&orders::endless(orders::ping(&[hosted.id])))
        .await;
    let handed = probe.handed().await;
    assert_eq!(handed.id(), refused.to_string());
    probe.ack(handed.ack).await;
    let mut numbers = Vec::new();
    for number in 0..RESULTS {
        numbers.push(probe.send(&ping(operation, &number.to_string())).await);
    }
    for number in numbers {
        assert_eq!(probe.acked(number).await, json!([operation]));
    }
    let reward = REWARD * i64::try_from(RESULTS).expect("a number");
    assert_eq!(
        (host.credits().await, earned(&host, "reward").await),
        (reward, reward)
    );
    let refunded = eventually(SOON, "a refund", async || {
        Some(earned(&site.ana, "refund").await).filter(|sum| *sum > 0)
    })
    .await;
    assert!(
        (ENDLESS_RUNS - 60..=ENDLESS_RUNS).contains(&refunded),
        "{refunded}"
    );
    let paid = site.ana.operation(operation).await["charged"]
        .as_i64()
        .expect("a price");
    assert_eq!(site.ana.credits().await, before - paid);
    site.close().await;
}

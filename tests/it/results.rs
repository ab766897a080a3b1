//! Results: stored once, in order, as they came; what does not count is refused with a reason.

use chrono::{TimeDelta, Utc};
use probe_protocol::{ContentFormat, OperationId, Rejection};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Ack, FakeProbe, Hub, Trial, api, at_work, orders,
    probe::{hello, result},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_repeat_is_acknowledged_and_changes_nothing,
        more_than_planned_is_rejected,
        a_stranger_s_result_is_rejected,
        runs_after_the_stop_or_a_cancel_are_rejected,
        results_are_paged_by_their_numbers,
        raw_bytes_come_back_as_they_were_sent,
        what_cannot_be_read_is_kept_and_marked,
        a_result_on_disk_outlives_kill_9,
    ]
}

async fn a_repeat_is_acknowledged_and_changes_nothing() {
    let hub = Hub::start().await;
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "same").await, Ack::Stored);
    let (stored, credits) = (ana.results(operation).await, ana.credits().await);
    let mut other = result(operation, "same");
    other.content = b"[]".to_vec().into();
    assert_eq!(probe.deliver(operation, "same").await, Ack::Stored);
    assert_eq!(probe.deliver_result(other).await, Ack::Stored);
    drop(probe);
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
    assert_eq!(probe.deliver(operation, "same").await, Ack::Stored);
    assert_eq!(
        (ana.results(operation).await, ana.credits().await),
        (stored, credits)
    );
    hub.check().await;
}

async fn more_than_planned_is_rejected() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    probe.accept().await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(
        probe.deliver(operation, "2").await,
        Ack::Rejected(Rejection::OverPlan)
    );
    assert_eq!(
        probe.deliver(operation, "1").await,
        Ack::Stored,
        "a repeat stays a repeat"
    );
    assert_eq!(ana.credits().await, 100 - 1 + 10);
    hub.check().await;
}

async fn a_stranger_s_result_is_rejected() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let mallory = hub.user("mallory", 0).await;
    let stranger = mallory.probe("stranger").await;
    let mut stranger = FakeProbe::connect(&hub, &stranger.token).await;
    assert_eq!(
        stranger.deliver(operation, "1").await,
        Ack::Rejected(Rejection::NotAssigned)
    );
    let unknown = OperationId::new();
    assert_eq!(
        stranger.deliver(unknown, "1").await,
        Ack::Rejected(Rejection::UnknownOperation)
    );
    assert_eq!(
        probe.deliver(unknown, "1").await,
        Ack::Rejected(Rejection::UnknownOperation)
    );
    // The code that the stranger used is still the probe's own.
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(
        (mallory.credits().await, ana.results(operation).await.len()),
        (0, 1)
    );
    hub.check().await;
}

async fn runs_after_the_stop_or_a_cancel_are_rejected() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let mut late = result(operation, "late");
    late.started_at = Utc::now() + TimeDelta::days(1) + TimeDelta::minutes(6);
    assert_eq!(
        probe.deliver_result(late.clone()).await,
        Ack::Rejected(Rejection::AfterStop)
    );
    late.started_at = Utc::now() + TimeDelta::days(1) + TimeDelta::minutes(4);
    assert_eq!(
        probe.deliver_result(late).await,
        Ack::Stored,
        "within the grace"
    );
    ana.cancel(operation).await;
    let mut late = result(operation, "after");
    late.started_at = Utc::now() + TimeDelta::seconds(2);
    assert_eq!(
        probe.deliver_result(late).await,
        Ack::Rejected(Rejection::Cancelled)
    );
    hub.check().await;
}

fn numbers(page: &Value) -> Vec<u64> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["seq"].as_u64().expect("a number"))
        .collect()
}

async fn results_are_paged_by_their_numbers() {
    let hub = Hub::start().await;
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    for number in 1..=25 {
        assert_eq!(
            probe.deliver(operation, &format!("run-{number}")).await,
            Ack::Stored
        );
    }
    let path = format!("/api/v1/operations/{operation}/results");
    let page = async |query: &str| ana.api.get(&format!("{path}{query}")).await.expect(200);
    let first = page("?limit=10").await;
    assert_eq!(
        (numbers(&first), &first["next"]),
        ((1..=10).collect(), &json!(10))
    );
    let last = page("?limit=10&after=20").await;
    assert_eq!(
        (numbers(&last), &last["next"]),
        ((21..=25).collect(), &Value::Null)
    );
    assert_eq!(page("?after=25").await, json!({"items": [], "next": null}));
    let one = &first["items"][0];
    assert_eq!(
        (&one["code"], &one["probe"], &one["format"]),
        (&json!("run-1"), &json!(registered.id), &json!("json"))
    );
    assert_eq!(
        (&one["operation"], &one["rewarded"], &one["undecoded"]),
        (&json!(operation), &json!(true), &json!(0))
    );
    // The same as lines.
    let request = ana
        .api
        .request(Method::GET, &format!("{path}?after=5"))
        .header("accept", "application/x-ndjson");
    let answer = api::must(request).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"application/x-ndjson".parse().expect("a value"))
    );
    let lines: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines, ana.results(operation).await[5..]);
    for (query, wrong) in [
        ("?limit=0", "?limit"),
        ("?limit=1001", "?limit"),
        ("?after=-1", "?after"),
        ("?after=x", "?after"),
        ("?from=1", "?from"),
    ] {
        assert_eq!(
            ana.api.get(&format!("{path}{query}")).await.wrong_fields(),
            [wrong]
        );
    }
}

async fn raw_bytes_come_back_as_they_were_sent() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let all_bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let kinds = [
        (
            ContentFormat::Warts,
            "application/octet-stream",
            all_bytes.clone(),
        ),
        (ContentFormat::Gzip, "application/gzip", all_bytes),
        (
            ContentFormat::Json,
            "application/json",
            orders::ping_document(7),
        ),
        (
            ContentFormat::Json,
            "application/json",
            b" [1 ,2]\n".to_vec(),
        ),
        (ContentFormat::Json, "application/json", Vec::new()),
    ];
    for (number, (format, kind, content)) in kinds.into_iter().enumerate() {
        let mut sent = result(operation, &number.to_string());
        (sent.format, sent.content) = (format, content.clone().into());
        assert_eq!(probe.deliver_result(sent).await, Ack::Stored);
        let answer = ana
            .api
            .get(&format!(
                "/api/v1/operations/{operation}/results/{}/raw",
                number + 1
            ))
            .await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (200, &kind.parse().expect("a value"))
        );
        assert_eq!(answer.body, content, "{format:?}");
    }
    for wrong in ["0", "6", "x", "-1", "99999999999999999999"] {
        let answer = ana
            .api
            .get(&format!(
                "/api/v1/operations/{operation}/results/{wrong}/raw"
            ))
            .await;
        answer.expect_problem(404, "not_found");
    }
}

async fn what_cannot_be_read_is_kept_and_marked() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let before = ana.credits().await;
    for format in [
        ContentFormat::Warts,
        ContentFormat::Gzip,
        ContentFormat::Json,
    ] {
        let mut rubbish = result(operation, format.as_str());
        (rubbish.format, rubbish.content) = (format, b"\x12\x05rubbish".to_vec().into());
        assert_eq!(probe.deliver_result(rubbish).await, Ack::Stored);
    }
    for result in ana.results(operation).await {
        assert!(result["undecoded"].as_u64() > Some(0), "{result}");
        assert_eq!(result["rewarded"], false, "{result}");
    }
    assert_eq!(
        ana.credits().await,
        before,
        "nothing was measured, nothing is earned"
    );
    hub.check().await;
}

async fn a_result_on_disk_outlives_kill_9() {
    let mut hub = Hub::start().await;
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    hub.kill9().await;
    hub.restart().await;
    assert_eq!(ana.results(operation).await.len(), 1);
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
    assert_eq!(probe.deliver(operation, "2").await, Ack::Stored);
    assert_eq!(
        numbers(&json!({"items": ana.results(operation).await})),
        [1, 2]
    );
    hub.check().await;
}

//! Results that are not taken, or earn nothing. All of them are acknowledged, for an agent keeps what is not.

use chrono::Utc;
use probe_protocol::OperationId;
use serde_json::{Value, json};
use tests::{Knock, OldProbe, OldResult, Trial, database, orders, trials};

use super::{
    Site, accept,
    results::{REWARD, at_work, ping},
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        who_was_not_asked_earns_nothing,
        what_can_never_be_used_is_acknowledged,
        a_result_without_bytes_is_acknowledged_by_its_name,
        damaged_contents_are_kept_and_earn_nothing,
        what_is_over_the_plan_is_acknowledged_only,
        runs_after_the_stop_and_its_grace_are_acknowledged_only,
    ]
}

async fn who_was_not_asked_earns_nothing() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::ping(&[])).await;
    let mallory = site.hub.user("mallory", 0).await;
    let stranger = mallory.probe("stranger").await;
    let mut stranger_s = OldProbe::connect(&site.hub, &stranger.token).await;
    for number in 0..3 {
        let result = ping(operation, &number.to_string());
        assert_eq!(stranger_s.deliver(&result).await, json!([operation]));
    }
    assert_eq!(mallory.credits().await, 0);
    assert!(site.ana.results(operation).await.is_empty());
    let path = format!("/api/v1/probes/{}", stranger.id);
    assert_eq!(
        mallory.api.get(&path).await.expect(200)["refused_results"],
        3
    );
    // The codes that the stranger used are still the probe's own.
    assert_eq!(
        probe.deliver(&ping(operation, "1")).await,
        json!([operation])
    );
    assert_eq!(site.ana.results(operation).await.len(), 1);
    site.close().await;
}

/// So many results were refused and none was taken; a good one under a code that they had is.
async fn only_the_next_counts(
    site: Site,
    mut probe: OldProbe,
    operation: OperationId,
    refused: u32,
) {
    assert!(site.ana.results(operation).await.is_empty());
    site.shows("refused_results", refused).await;
    assert_eq!(
        probe.deliver(&ping(operation, "1")).await,
        json!([operation])
    );
    assert_eq!(site.ana.results(operation).await.len(), 1);
    site.close().await;
}

async fn what_can_never_be_used_is_acknowledged() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::ping(&[])).await;
    let id = operation.to_string();
    let upper = id.to_uppercase();
    let mut refused = 0;
    for name in [
        "0123456789abcdef01234567",
        "x",
        "",
        "é",
        "0123456789abcdef0123456",
        upper.as_str(),
    ] {
        if name == id {
            continue;
        }
        assert_eq!(probe.deliver(&ping(name, "1")).await, json!([name]));
        refused += 1;
    }
    for (format, code) in [
        ("xml", "1"),
        ("", "1"),
        ("json", "1"),
        ("WARTS", "1"),
        ("warts", ""),
        ("warts", "a b"),
    ] {
        let result = OldResult::new(operation, code, format, orders::PING_WARTS);
        assert_eq!(
            probe.deliver(&result).await,
            json!([operation]),
            "{format} {code:?}"
        );
        refused += 1;
    }
    only_the_next_counts(site, probe, operation, refused).await;
}

async fn a_result_without_bytes_is_acknowledged_by_its_name() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::ping(&[])).await;
    let id = operation.to_string();
    let mut refused = 0;
    // Contents as text, and none at all.
    for argument in [
        json!({"operation_id": id, "content": "text", "unique_code": "1", "format": "warts"}),
        json!({"operation_id": id, "content": null, "unique_code": "1", "format": "warts"}),
        json!({"operation_id": id, "unique_code": "1", "format": "warts"}),
        json!({"operation_id": id, "content": {"_placeholder": true, "num": 3}, "unique_code": "1", "format": "warts"}),
        json!({"operation_id": id}),
    ] {
        let number = probe.emit("results", argument.clone()).await;
        assert_eq!(probe.acked(number).await, json!([operation]), "{argument}");
        refused += 1;
    }
    // Who names no operation gets nothing to forget.
    for argument in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"operation_id": 5}),
        Value::Null,
    ] {
        let number = probe.emit("results", argument.clone()).await;
        assert_eq!(probe.acked(number).await, json!([]), "{argument}");
        refused += 1;
    }
    only_the_next_counts(site, probe, operation, refused).await;
}

async fn damaged_contents_are_kept_and_earn_nothing() {
    let site = Site::open().await;
    let (mut probe, operation) = at_work(&site, orders::dns(&[])).await;
    let before = site.ana.credits().await;
    let whole = orders::gzip(orders::DIG_TEXT.as_bytes());
    let mut wrong = whole.clone();
    let end = wrong.len() - 6;
    wrong[end] ^= 1;
    let contents = [
        ("gzip", Vec::new()),
        ("gzip", b"rubbish".to_vec()),
        ("gzip", whole[..whole.len() / 2].to_vec()),
        ("gzip", wrong),
        ("gzip", orders::gzip(&[0xff, 0xfe, 0x80])),
        ("gzip", orders::gzip(b"")),
        ("warts", Vec::new()),
        ("warts", b"rubbish".to_vec()),
        ("warts", orders::PING_WARTS[..100].to_vec()),
    ];
    for (number, (format, content)) in contents.iter().enumerate() {
        let result = OldResult::new(operation, &number.to_string(), format, content);
        assert_eq!(probe.deliver(&result).await, json!([operation]));
        let path = format!("/api/v1/operations/{operation}/results/{}/raw", number + 1);
        assert_eq!(site.ana.api.get(&path).await.body, *content);
    }
    let stored = site.ana.results(operation).await;
    assert_eq!(stored.len(), contents.len());
    assert!(
        stored.iter().all(|result| result["rewarded"] == false),
        "{stored:?}"
    );
    assert_eq!(
        site.ana.credits().await,
        before,
        "nothing was measured, nothing is earned"
    );
    site.close().await;
}

async fn what_is_over_the_plan_is_acknowledged_only() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, operation).await;
    let before = site.ana.credits().await;
    for number in 0..5 {
        let result = ping(operation, &number.to_string());
        assert_eq!(probe.deliver(&result).await, json!([operation]));
    }
    assert_eq!(site.ana.results(operation).await.len(), 1);
    assert_eq!(site.ana.credits().await, before + REWARD);
    assert_eq!(site.shown().await["refused_results"], 4);
    site.reaches(operation, "finished").await;
    site.close().await;
}

async fn runs_after_the_stop_and_its_grace_are_acknowledged_only() {
    const GRACE_SECONDS: i64 = 120;
    // The stop time is a minute ago, then three.
    for (seconds_ago, stored) in [(60, 3), (180, 0)] {
        let mut site = Site::open_with(&[("STOP_GRACE_SECONDS", &GRACE_SECONDS.to_string())]).await;
        let (probe, operation) = at_work(&site, orders::ping(&[])).await;
        site.reaches(operation, "accepted").await;
        drop(probe);
        assert_eq!(site.hub.terminate().await, 0);
        let stop = Utc::now().timestamp_millis() - seconds_ago * 1000;
        let closes = stop + GRACE_SECONDS * 1000;
        let earlier =
            "update operations set stop_time_ms = ?1, expires_at_ms = ?1, closes_at_ms = ?2";
        database::change(&site.hub.data_dir(), earlier, [stop, closes]);
        let ends = "update assignments set ends_at_ms = ?1 where ended_at_ms is null";
        database::change(&site.hub.data_dir(), ends, [closes]);
        site.hub.restart().await;
        let knock = Knock::new(&site.probe.token, 121, 1);
        let mut probe = OldProbe::connect_as(&site.hub, &knock).await;
        // It stops a minute late, or never will.
        for number in 0..3 {
            let result = ping(operation, &number.to_string());
            assert_eq!(probe.deliver(&result).await, json!([operation]));
        }
        assert_eq!(site.ana.results(operation).await.len(), stored);
        let refused = 3 - i64::try_from(stored).expect("a number");
        assert_eq!(site.shown().await["refused_results"], refused);
        if stored == 0 {
            site.reaches(operation, "finished").await;
        }
        site.close().await;
    }
}

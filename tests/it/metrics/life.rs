//! A hub's life, as its metrics tell it.

use probe_protocol::{HubFrame, OperationId, ProbeFrame};
use tests::{
    Ack, FakeProbe, Hub, Knock, OldProbe, OldSocket, ProbeSocket, Trial, eventually, orders,
    probe::{Refused, hello, result},
    trials,
    wait::SOON,
};

use super::text::Metrics;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        sessions_are_counted,
        results_are_counted,
        requests_are_counted_by_route,
    ]
}

/// Waits until a metric has a value.
async fn until(hub: &Hub, name: &str, labels: &[(&str, &str)], value: f64) {
    let what = format!("{name} {labels:?} is {value}");
    eventually(SOON, &what, async || {
        let metrics = Metrics::of(hub.api()).await;
        (metrics.value(name, labels) == value).then_some(())
    })
    .await;
}

async fn sessions_are_counted() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let (new, old) = (ana.probe("new").await, ana.probe("old").await);
    let probe = FakeProbe::connect(&hub, &new.token).await;
    let agent = OldProbe::connect(&hub, &old.token).await;
    for kind in ["v1", "old"] {
        let labels = [("kind", kind)];
        until(&hub, "pladmed_sessions", &labels, 1.0).await;
        until(&hub, "pladmed_sessions_opened_total", &labels, 1.0).await;
    }
    drop((probe, agent));
    for kind in ["v1", "old"] {
        until(&hub, "pladmed_sessions", &[("kind", kind)], 0.0).await;
        let labels = [("kind", kind), ("code", "none"), ("reason", "by_probe")];
        until(&hub, "pladmed_session_closes_total", &labels, 1.0).await;
    }
    // The hub ends one for another.
    let first = FakeProbe::connect(&hub, &new.token).await;
    let _second = FakeProbe::connect(&hub, &new.token).await;
    let labels = [("kind", "v1"), ("code", "4103"), ("reason", "replaced")];
    until(&hub, "pladmed_session_closes_total", &labels, 1.0).await;
    drop(first);
    let failed = async |kind, reason, count| {
        let labels = [("kind", kind), ("reason", reason)];
        until(&hub, "pladmed_hello_failures_total", &labels, count).await;
    };
    let refused = ProbeSocket::open(&hub.url(), "no.good.token").await;
    assert!(matches!(refused, Err(Refused::Status(401, _))));
    failed("v1", "unauthorized", 1.0).await;
    let refused = OldSocket::open(&hub.url(), &Knock::new("no.good.token", 121, 0)).await;
    assert!(matches!(refused, Err(Refused::Status(401, _))));
    failed("old", "unauthorized", 1.0).await;
    let mut rude = ProbeSocket::open(&hub.url(), &old.token)
        .await
        .expect("a socket");
    let operation = OperationId::new();
    assert!(rude.send(&ProbeFrame::Accepted { operation }).await);
    failed("v1", "protocol_error", 1.0).await;
    let gone = ProbeSocket::open(&hub.url(), &old.token).await;
    drop(gone.expect("a socket"));
    failed("v1", "went_away", 1.0).await;
}

async fn results_are_counted() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let (card, late) = (ana.probe("p").await, ana.probe("late").await);
    let mut probe = FakeProbe::connect(&hub, &card.token).await;
    let order = orders::queued(orders::ping(&[card.id, late.id]));
    let operation = ana.launch(&order).await;
    assert_eq!(probe.accept().await, operation);
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    let unknown = OperationId::new();
    probe.say(&ProbeFrame::Result(result(unknown, "1"))).await;
    let rejected = |frame: &HubFrame| matches!(frame, HubFrame::Rejected { .. }).then_some(());
    probe.until("a refusal", rejected).await;
    // This one was not there when the operation was created, so how long it waited says nothing of the hub.
    let mut late = FakeProbe::connect_as(&hub, &late.token, hello(vec![])).await;
    assert_eq!(late.accept().await, operation);
    let metrics = Metrics::of(hub.api()).await;
    for outcome in ["stored", "duplicate", "rejected"] {
        let count = metrics.value("pladmed_results_total", &[("outcome", outcome)]);
        assert_eq!(count, 1.0, "{outcome}");
    }
    let labels = [("reason", "unknown_operation")];
    assert_eq!(
        metrics.value("pladmed_results_rejected_total", &labels),
        1.0
    );
    let kind = [("kind", "v1")];
    let dispatched = metrics.value("pladmed_dispatch_duration_seconds_count", &kind);
    assert_eq!(dispatched, 1.0);
    let took = metrics.value("pladmed_dispatch_duration_seconds_sum", &kind);
    assert!((0.0..SOON.as_secs_f64()).contains(&took), "{took}");
    let commits = metrics.value("pladmed_ingest_commit_duration_seconds_count", &[]);
    assert!(commits >= 3.0, "{commits}");
    let reports = metrics.value("pladmed_ingest_batch_reports_sum", &[]);
    assert!(reports >= commits, "{reports} in {commits}");
    for name in ["pladmed_ready", "pladmed_store_up", "pladmed_bus_up"] {
        until(&hub, name, &[], 1.0).await;
    }
}

async fn requests_are_counted_by_route() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let card = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[card.id]))).await;
    let _ = ana.operation(operation).await;
    let _ = hub.api().get(&format!("/nowhere/{operation}")).await;
    let _ = hub.api().get(&format!("/operation?id={operation}")).await;
    let strange = reqwest::Method::from_bytes(b"STRANGE").expect("a method");
    let _ = tests::api::must(hub.api().request(strange, "/healthz")).await;
    let metrics = Metrics::of(hub.api()).await;
    for (method, route, status) in [
        ("POST", "/api/v1/operations", "201"),
        ("GET", "/api/v1/operations/{id}", "200"),
        ("GET", "/operation", "200"),
        ("GET", "none", "404"),
        ("other", "/healthz", "405"),
    ] {
        let labels = [("method", method), ("route", route), ("status", status)];
        let count = metrics.value("pladmed_http_requests_total", &labels);
        assert_eq!(count, 1.0, "{labels:?}\n{}", metrics.text);
        let labels = [("method", method), ("route", route)];
        let count = metrics.value("pladmed_http_request_duration_seconds_count", &labels);
        assert_eq!(count, 1.0, "{labels:?}");
    }
    // Nothing that there may be any number of.
    for one in [operation.to_string(), card.id.to_string(), ana.id.clone()] {
        assert!(!metrics.text.contains(&one), "{}", metrics.text);
    }
    assert!(!metrics.text.contains("STRANGE") && !metrics.text.contains("nowhere"));
}

//! Where metrics and health are served.

use tests::{
    Api, Case, FakeProbe, Hub, Platform, Trial, api, eventually, hub::PASSWORD, wait::SOON,
};

use super::text::Metrics;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::metrics::addresses::metrics_have_an_address_of_their_own")
            .run(metrics_have_an_address_of_their_own),
        Case::new("it::metrics::addresses::a_taken_address_is_refused")
            .run(a_taken_address_is_refused),
        Case::new("it::metrics::addresses::a_hub_that_drains_is_watched_to_its_end")
            .unless(Platform::missing())
            .run(a_hub_that_drains_is_watched_to_its_end),
    ]
}

/// Where a hub says that it serves metrics.
fn watch(hub: &mut Hub) -> Api {
    let log = hub.process().log();
    let line = log
        .lines()
        .find(|line| line.contains("metrics and health are served"))
        .expect("a line that says where");
    let address = line.split_once("address=").expect("an address").1;
    Api::new(&format!("http://{address}"))
}

/// The status of an answer, if anybody answers.
async fn status(api: &Api, path: &str) -> Option<u16> {
    let answer = api::send(api.request(reqwest::Method::GET, path)).await;
    answer.ok().map(|answer| answer.status)
}

async fn metrics_have_an_address_of_their_own() {
    let mut hub = Hub::start_with(&[("METRICS_ADDRESS", "127.0.0.1:0")]).await;
    let watch = watch(&mut hub);
    assert_eq!(status(hub.api(), "/metrics").await, Some(404));
    for api in [hub.api(), &watch] {
        assert_eq!(status(api, "/healthz").await, Some(200));
        assert_eq!(status(api, "/readyz").await, Some(200));
    }
    let api = hub.api().get("/api/openapi.json").await.expect(200);
    assert!(api["paths"].get("/healthz").is_some());
    assert!(api["paths"].get("/metrics").is_none(), "not served here");
    // Nothing else is served there.
    let user = serde_json::json!({"email": "eve@example.org", "password": PASSWORD});
    assert_eq!(watch.post("/api/v1/users", &user).await.status, 404);
    assert_eq!(watch.get("/operations").await.status, 404);
    let metrics = Metrics::of(&watch).await;
    let labels = [("method", "GET"), ("route", "/readyz"), ("status", "200")];
    assert_eq!(metrics.value("pladmed_http_requests_total", &labels), 2.0);
    assert_eq!(hub.terminate().await, 0);
    assert_eq!(status(&watch, "/metrics").await, None);
}

async fn a_taken_address_is_refused() {
    let hub = Hub::start().await;
    let taken = hub.address().to_string();
    let (code, log) = Hub::refused(&[("METRICS_ADDRESS", &taken)]).await;
    assert_eq!(code, 1);
    assert!(log.contains("METRICS_ADDRESS: cannot listen on"), "{log}");
    let (code, log) = Hub::refused(&[("METRICS_ADDRESS", "9464")]).await;
    assert_eq!(code, 2);
    assert!(log.contains("METRICS_ADDRESS: must be"), "{log}");
}

async fn a_hub_that_drains_is_watched_to_its_end() {
    let settings = [("METRICS_ADDRESS", "127.0.0.1:0"), ("DRAIN_SECONDS", "8")];
    let mut platform = Platform::start_with(1, &settings).await;
    let hub = &mut platform.hubs[0];
    let ana = hub.user("ana", 0).await;
    let (one, two) = (ana.probe("one").await, ana.probe("two").await);
    // The first is sent away at once, the second after half of the time.
    let _probes = [
        FakeProbe::connect(hub, &one.token).await,
        FakeProbe::connect(hub, &two.token).await,
    ];
    let watch = watch(hub);
    assert_eq!(status(&watch, "/readyz").await, Some(200));
    hub.process().signal(rustix::process::Signal::TERM);
    eventually(SOON, "a hub that is not ready", async || {
        (status(&watch, "/readyz").await == Some(503)).then_some(())
    })
    .await;
    let refused = watch.get("/readyz").await;
    let _ = refused.expect_problem(503, "busy");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(status(&watch, "/healthz").await, Some(200));
    let metrics = Metrics::of(&watch).await;
    assert_eq!(metrics.value("pladmed_ready", &[]), 0.0);
    assert_eq!(metrics.value("pladmed_store_up", &[]), 1.0);
    assert_eq!(hub.process().wait(SOON * 3).await, 0);
    assert_eq!(status(&watch, "/readyz").await, None);
}

//! The kinds of Redis that a platform may have.

use services::{mongod, redis, redis::Redis};
use tests::{
    FakeProbe, Hub, Platform, TestUser, Trial, eventually,
    platform::{SECRET, is_connected},
    wait::SOON,
};

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_a_platform![
        a_password_is_taken_from_the_address,
        a_cluster_is_a_bus_and_counts,
        the_master_is_the_one_that_sentinels_name,
    ];
    trials.extend(tests::trials![
        |it| it.unless(Platform::missing()).unless(redis::tls_missing());
        tls_needs_a_known_authority
    ]);
    trials
}

/// Attempts to log in a minute.
const LIMIT: &str = "4";
/// A password that means something in an address.
const PASSWORD: &str = "a:b@c/d?e";

/// Two hubs on a database of their own and this Redis.
async fn two(url: &str, settings: &[(&str, &str)]) -> [Hub; 2] {
    let uri = mongod::shared().await.uri();
    let mut all = vec![("REDIS_URL", url), ("SECRET_KEY", SECRET)];
    all.extend(settings);
    let first = Hub::on_mongo(&uri, &all).await;
    [first.beside().await, first]
}

/// Waits until one hub shows what sits at the other.
async fn hear_each_other(hubs: &[Hub; 2], ana: &TestUser) {
    let registered = ana.probe("p").await;
    let _probe = FakeProbe::connect(&hubs[1], &registered.token).await;
    let path = format!("/api/v1/probes/{}", registered.id);
    let ana = ana.at(&hubs[0]);
    eventually(SOON * 3, "connected", async || {
        is_connected(&ana.api.get(&path).await.expect(200)).then_some(())
    })
    .await;
}

async fn a_password_is_taken_from_the_address() {
    for redis in [
        Redis::with().password(PASSWORD).start().await,
        Redis::with().user("hub", PASSWORD).start().await,
    ] {
        let hubs = two(&redis.url(), &[]).await;
        let ana = hubs[0].user("ana", 1000).await;
        hear_each_other(&hubs, &ana).await;
    }
}

async fn tls_needs_a_known_authority() {
    let redis = Redis::with().tls().password(PASSWORD).start().await;
    let authority = redis.ca().expect("its authority");
    let authority = authority.to_str().expect("a path of plain text");
    let hubs = two(&redis.url(), &[("SSL_CERT_FILE", authority)]).await;
    let ana = hubs[0].user("ana", 1000).await;
    hear_each_other(&hubs, &ana).await;
    let uri = mongod::shared().await.uri();
    let (url, name) = (redis.url(), mongod::fresh_database());
    let (code, log) = Hub::refused(&[
        ("DATABASE", "mongo"),
        ("MONGO_URI", &uri),
        ("MONGO_DATABASE", &name),
        ("SECRET_KEY", SECRET),
        ("REDIS_URL", &url),
    ])
    .await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("REDIS_URL: "), "{log}");
}

async fn a_cluster_is_a_bus_and_counts() {
    let mut cluster = Redis::with().password(PASSWORD).start_cluster(3).await;
    let others = cluster.nodes()[1..].iter();
    let others = others.map(|node| format!("addr=127.0.0.1:{}", node.port()));
    let url = cluster.urls()[0].replacen("redis://", "redis+cluster://", 1);
    let url = format!("{url}?{}", others.collect::<Vec<_>>().join("&"));
    let hubs = two(&url, &[]).await;
    let ana = hubs[0].user("ana", 1000).await;
    hear_each_other(&hubs, &ana).await;
    // Whichever member has the counter.
    let counting = two(&url, &[("RATE_LIMITS", "on"), ("LOGINS_PER_MINUTE", LIMIT)]).await;
    for name in ["a", "b", "c"] {
        let mut refused = 0;
        for attempt in 0..8 {
            let credentials =
                serde_json::json!({"email": format!("{name}@example.org"), "password": "x"});
            let hub = &counting[attempt % 2];
            let request = hub.api().request(reqwest::Method::POST, "/api/v1/sessions");
            let answer = tests::api::must(request.json(&credentials)).await;
            refused += usize::from(answer.status == 429);
        }
        assert!(refused > 0, "{name}");
    }
    // Those that listened to it, and published through it, find another member.
    cluster.nodes_mut()[0].kill9().await;
    hear_each_other(&hubs, &ana).await;
}

async fn the_master_is_the_one_that_sentinels_name() {
    let mut sentinel = Redis::with().password(PASSWORD).start_sentinel().await;
    let port = sentinel.sentinel().port();
    let login = services::escaped(PASSWORD);
    let url = format!(
        "redis+sentinel://:{login}@127.0.0.1:{port}?master={}",
        redis::MASTER_NAME
    );
    let hubs = two(&url, &[]).await;
    let ana = hubs[0].user("ana", 1000).await;
    hear_each_other(&hubs, &ana).await;
    let gone = sentinel.kill_master().await;
    sentinel.new_master(gone).await;
    hear_each_other(&hubs, &ana).await;
}

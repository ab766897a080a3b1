//! Addresses of Redis that are wrong.

use futures::future::join_all;
use services::{mongod, redis::Redis};
use tests::{Hub, Trial, platform::SECRET, process::program};
use tokio::process::Command;

use super::on_a_platform;

pub(crate) fn trials() -> Vec<Trial> {
    on_a_platform![
        a_wrong_address_is_told_at_the_start,
        a_wrong_server_is_told_at_the_start,
        the_address_is_not_shown,
    ]
}

/// Exit codes: wrong settings; anything else that went wrong.
const INPUT: i32 = 2;
const FAILED: i32 = 1;
/// A password that must not be seen.
const PASSWORD: &str = "Geheimnis-17";

/// Starts a hub that must not start.
async fn refused(url: &str, settings: &[(&str, &str)]) -> (i32, String) {
    let uri = mongod::shared().await.uri();
    let name = mongod::fresh_database();
    let mut all = vec![
        ("DATABASE", "mongo"),
        ("MONGO_URI", &uri),
        ("MONGO_DATABASE", &name),
        ("SECRET_KEY", SECRET),
        ("REDIS_URL", url),
        ("LOG_LEVEL", "trace"),
    ];
    all.extend(settings);
    let (code, log) = Hub::refused(&all).await;
    assert!(!log.contains(PASSWORD), "{log}");
    (code, log)
}

async fn a_wrong_address_is_told_at_the_start() {
    for url in [
        format!("http://:{PASSWORD}@127.0.0.1:6379"),
        "redis".to_owned(),
        format!("redis://:{PASSWORD}@127.0.0.1:port"),
        format!("redis+sentinel://:{PASSWORD}@127.0.0.1:26379"),
        format!("redis+cluster://:{PASSWORD}@127.0.0.1:7000?addr=other"),
    ] {
        let (code, log) = refused(&url, &[]).await;
        assert_eq!(code, INPUT, "{url}: {log}");
        assert!(log.contains("REDIS_URL: "), "{url}: {log}");
    }
    let url = "redis://127.0.0.1:6379";
    let (code, log) = refused(url, &[("DATABASE", "sqlite"), ("SECRET_KEY", "")]).await;
    assert_eq!(code, INPUT, "{log}");
    assert!(
        log.contains("REDIS_URL: ") && log.contains("SECRET_KEY: "),
        "{log}"
    );
}

async fn the_address_is_not_shown() {
    let url = format!("redis://:{PASSWORD}@127.0.0.1:6379");
    let shown = Command::new(program("pladmed"))
        .arg("check-config")
        .env_clear()
        .envs([
            ("DATABASE", "mongo"),
            ("MONGO_HOST", "localhost"),
            ("SECRET_KEY", SECRET),
            ("REDIS_URL", &url),
        ])
        .output()
        .await
        .expect("pladmed starts");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("REDIS_URL"), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

async fn a_wrong_server_is_told_at_the_start() {
    let redis = Redis::with().password(PASSWORD).start().await;
    let port = redis.port();
    let mut gone = Redis::start().await;
    gone.kill9().await;
    let mongod = mongod::shared().await.port();
    let urls = [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:{PASSWORD}x@127.0.0.1:{port}"),
        format!("redis://somebody:{PASSWORD}@127.0.0.1:{port}"),
        format!("rediss://:{PASSWORD}@127.0.0.1:{port}"),
        format!("redis://:{PASSWORD}@127.0.0.1:{mongod}"),
        format!(
            "redis+cluster://:{PASSWORD}@127.0.0.1:{port}/?addr=127.0.0.1:{}",
            gone.port()
        ),
        format!("redis+sentinel://:{PASSWORD}@127.0.0.1:{port}?master=pladmed"),
        gone.url(),
    ];
    let starts = urls.iter().map(async |url| {
        let (code, log) = refused(url, &[]).await;
        assert_eq!(code, FAILED, "{url}: {log}");
        assert!(log.contains("REDIS_URL: "), "{url}: {log}");
    });
    join_all(starts).await;
}

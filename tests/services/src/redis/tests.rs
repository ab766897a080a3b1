//! Each test holds a server to something that tests elsewhere rely on.

use std::{thread, time::Duration};

use ::redis::{Client, ErrorKind, RedisError, RedisResult};
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    Cluster, Redis, Sentinel, shared,
    talk::{ask, command, connect},
};
use crate::{
    outliving::{assert_none_outlives, die_with, is_victim},
    wait::until,
};

/// Enough for anything that should happen at once, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);
/// As long as a server that stands still is asked.
const STILL: Duration = Duration::from_millis(300);

async fn set(client: &Client, key: &str) -> RedisResult<()> {
    ask(client, &command(&["SET", key, "1"])).await
}

async fn keys(client: &Client) -> u32 {
    let size = ask(client, &command(&["DBSIZE"])).await;
    size.expect("a number of keys")
}

async fn is_there(client: &Client, key: &str) -> bool {
    let exists = ask(client, &command(&["EXISTS", key])).await;
    exists.expect("an answer")
}

/// Whether the server said that we must log in, or cannot.
fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || error.code() == Some("NOAUTH")
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn kill_9_takes_everything_and_the_port_stays() {
    let mut server = Redis::start().await;
    let url = server.url();
    assert_eq!(url, format!("redis://127.0.0.1:{}/", server.port()));
    set(&server.client(), "a").await.expect("a write");
    assert_eq!(keys(&server.client()).await, 1);

    server.kill9().await;
    assert_eq!(server.pid(), None);
    let gone = connect(&server.client()).await.expect_err("no server");
    assert!(gone.is_connection_refusal(), "{gone}");
    server.restart().await;

    assert_eq!(server.url(), url);
    assert_eq!(keys(&server.client()).await, 0);
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn a_frozen_server_answers_when_it_thaws() {
    let mut server = Redis::start().await;
    let client = server.client();
    let mut before = connect(&client).await.expect("a connection");
    let ping = command(&["PING"]);

    server.freeze().await;
    let asked = timeout(STILL, ping.query_async::<()>(&mut before)).await;
    assert!(asked.is_err(), "a frozen server answered {asked:?}");

    server.thaw();
    let asked = timeout(SOON, ping.query_async::<()>(&mut before)).await;
    asked.expect("an answer").expect("a pong");
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn who_has_no_password_may_do_nothing() {
    let password = "p@ss \"w\\:/%é";
    for builder in [
        Redis::with().password(password),
        Redis::with().user("hub", password),
    ] {
        let mut server = builder.start().await;
        set(&server.client(), "a").await.expect("a write");

        let port = server.port();
        for login in ["", ":wrong@", "hub:wrong@"] {
            let url = format!("redis://{login}127.0.0.1:{port}/");
            let client = Client::open(url.clone()).expect("a URL");
            let refused = set(&client, "b").await.expect_err("a refusal");
            assert!(is_refusal(&refused), "{url}: {refused}");
        }
        assert_eq!(keys(&server.client()).await, 1);

        server.restart().await;
        set(&server.client(), "a").await.expect("a write");
    }
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn flushing_removes_all_keys() {
    let server = Redis::start().await;
    set(&server.client(), "a").await.expect("a write");
    server.flush().await;
    assert_eq!(keys(&server.client()).await, 0);
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn killed_clients_lose_their_connections() {
    let server = Redis::start().await;
    let client = server.client();
    let mut asks = connect(&client).await.expect("a connection");
    let mut listens = client.get_async_pubsub().await.expect("a connection");
    listens.subscribe("news").await.expect("a subscription");

    server.kill_clients().await;
    let ping = command(&["PING"]);
    let asked = ping.query_async::<()>(&mut asks).await;
    assert!(asked.expect_err("no connection").is_io_error());
    let asked = timeout(SOON, listens.ping::<()>()).await.expect("an end");
    assert!(asked.expect_err("no connection").is_io_error());
    set(&client, "a").await.expect("a new connection");
}

#[test]
#[ignore = "skipped: needs redis-server; make test runs it"]
fn the_shared_server_outlives_the_thread_and_the_runtime_of_a_test() {
    let test = || {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let server = shared().await;
            set(&server.client(), "a").await.expect("a write");
            server.pid()
        })
    };
    let pids = [(); 2].map(|()| thread::spawn(test).join().expect("a test"));
    assert_eq!(pids[0], pids[1]);
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn no_server_outlives_a_killed_test_process() {
    if is_victim() {
        let own = Redis::start().await;
        die_with(&[&own.process, &shared().await.process]).await;
    }
    let test = "redis::tests::no_server_outlives_a_killed_test_process";
    assert_none_outlives(test, 2).await;
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn a_server_with_tls_speaks_nothing_else() {
    for login in [None, Some("secret")] {
        let mut builder = Redis::with().tls();
        if let Some(password) = login {
            builder = builder.password(password);
        }
        let mut server = builder.start().await;
        assert!(server.url().starts_with("rediss://"), "{}", server.url());
        set(&server.client(), "a").await.expect("a write");

        let plain = server.url().replace("rediss:", "redis:");
        let plain = Client::open(plain).expect("a URL");
        let refused = set(&plain, "b").await.expect_err("a refusal");
        assert!(refused.is_io_error(), "{refused}");
        // The system's own CAs have not signed it.
        let distrusts = Client::open(server.url()).expect("a URL");
        let refused = set(&distrusts, "b").await.expect_err("a refusal");
        assert!(refused.to_string().contains("certificate"), "{refused}");
        assert_eq!(keys(&server.client()).await, 1);

        server.kill_clients().await;
        server.flush().await;
        let ca = server.ca();
        server.restart().await;
        assert_eq!(server.ca(), ca);
        set(&server.client(), "a").await.expect("a write");
    }
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn the_name_in_the_certificate_counts() {
    let server = Redis::with().tls().start().await;
    for (host, trusted) in [("localhost", true), ("127.0.0.2", false)] {
        let ca = std::fs::read(server.ca().expect("a CA")).expect("a file");
        let url = server.url().replace("127.0.0.1", host);
        let certificates = ::redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(ca),
        };
        let client = Client::build_with_tls(url, certificates).expect("a client");
        assert_eq!(set(&client, "a").await.is_ok(), trusted, "{host}");
    }
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn each_of_a_cluster_owns_its_keys() {
    for builder in [Redis::with(), Redis::with().password("secret")] {
        let mut cluster = builder.start_cluster(3).await;
        // The parts of these keys, which Redis computes from the name alone, are 15495, 3300 and 7365.
        let keys = ["a", "b", "c"];
        let mut owners = [0; 3];
        for key in keys {
            for (place, node) in cluster.nodes().iter().enumerate() {
                match set(&node.client(), key).await {
                    Ok(()) => owners[place] += 1,
                    Err(refused) => assert_eq!(refused.code(), Some("MOVED"), "{refused}"),
                }
            }
        }
        assert_eq!(owners, [1, 1, 1]);
        cluster.flush().await;
        for node in cluster.nodes() {
            assert_eq!(self::keys(&node.client()).await, 0);
        }

        cluster.nodes_mut()[1].kill9().await;
        cluster.nodes_mut()[1].restart().await;
        cluster.wait_until_whole().await;
        cluster.kill_clients().await;
        assert_eq!(cluster.urls().len(), 3);
    }
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn a_cluster_with_a_gap_is_not_whole() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes_mut()[2].kill9().await;
    let waited = timeout(STILL, cluster.wait_until_whole()).await;
    assert!(waited.is_err(), "whole without one of its servers");
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn the_replica_takes_the_place_of_a_killed_master() {
    let secret = "p@ss w%";
    // At the same time, as each takes some seconds.
    let mut taking_over = JoinSet::new();
    for builder in [
        Redis::with(),
        Redis::with().password(secret),
        Redis::with().user("hub", secret),
    ] {
        taking_over.spawn(async move { takes_over(builder.start_sentinel().await).await });
    }
    taking_over.join_all().await;
}

async fn takes_over(mut set_of_two: Sentinel) {
    let before = set_of_two.master().await;
    let client = set_of_two.servers()[before].client();
    set(&client, "a").await.expect("a write");
    let other = set_of_two.servers()[1 - before].client();
    until(SOON, "a copied key", || async {
        is_there(&other, "a").await.then_some(())
    })
    .await;

    assert_eq!(set_of_two.kill_master().await, before);
    assert_eq!(set_of_two.new_master(before).await, 1 - before);
    assert!(is_there(&other, "a").await, "the key went with the master");
    set(&other, "b").await.expect("a write");

    set_of_two.servers_mut()[before].restart().await;
    set_of_two.wait_until_whole().await;
    assert_eq!(set_of_two.master().await, 1 - before);
    assert!(is_there(&client, "b").await, "who came back missed a key");
}

#[tokio::test]
#[ignore = "skipped: needs redis-server; make test runs it"]
async fn a_frozen_sentinel_names_nobody() {
    let mut set_of_two = Sentinel::start().await;
    assert_eq!(set_of_two.master().await, 0);
    set_of_two.sentinel_mut().freeze().await;
    let waited = timeout(STILL, set_of_two.master()).await;
    assert!(waited.is_err(), "a frozen sentinel named {waited:?}");
    set_of_two.servers_mut()[0].kill9().await;
    set_of_two.sentinel_mut().thaw();
    assert_eq!(set_of_two.new_master(0).await, 1);
}

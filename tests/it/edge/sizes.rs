//! How long requests may be and take, and how many connections one address may have.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tests::{Hub, Trial, trials, wait::within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        long_urls_and_heads_are_refused,
        a_body_that_trickles_is_ended,
        a_connection_without_a_request_is_ended,
        one_address_has_so_many_connections,
        proxies_have_as_many_as_they_need,
    ]
}

/// Longest that the hub waits for a head or a body, and some more.
const ENDED_WITHIN: Duration = Duration::from_secs(40);

/// Whatever the hub says until it hangs up.
async fn all_of(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset has been hung up, too.
    let _ = within(ENDED_WITHIN, "the end", stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends a request of this head and waits for the end.
async fn send(hub: &Hub, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    let head = format!("{line} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n{headers}\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    all_of(&mut stream).await
}

async fn long_urls_and_heads_are_refused() {
    let hub = Hub::start().await;
    let url = |length: usize| format!("GET /probes?{}", "x".repeat(length - "/probes?".len()));
    assert!(send(&hub, &url(8192), "").await.starts_with("HTTP/1.1 200"));
    let long = send(&hub, &url(8193), "").await;
    assert!(long.starts_with("HTTP/1.1 414"), "{long}");
    assert!(
        long.ends_with("{\"Error\":\"the URL is longer than 8192 bytes\"}\n"),
        "{long}"
    );
    let path = format!("/api/v1/{}", "x".repeat(8192));
    let answer = hub.api().get(&path).await;
    answer.expect_problem(414, "url_too_long");
    let headers = |count: usize| -> String {
        (0..count)
            .map(|number| format!("x-{number}: y\r\n"))
            .collect()
    };
    // Two are there already.
    let enough = send(&hub, "GET /healthz", &headers(98)).await;
    assert!(enough.starts_with("HTTP/1.1 200"), "{enough}");
    let many = send(&hub, "GET /healthz", &headers(99)).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long = format!("x: {}\r\n", "y".repeat(60_000));
    let enough = send(&hub, "GET /healthz", &long).await;
    assert!(enough.starts_with("HTTP/1.1 200"), "{enough}");
    let long = format!("x: {}\r\n", "y".repeat(70_000));
    let many = send(&hub, "GET /healthz", &long).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long = send(&hub, &url(70_000), "").await;
    assert!(long.starts_with("HTTP/1.1 431"), "{long}");
}

async fn a_body_that_trickles_is_ended() {
    let hub = Hub::start().await;
    for (path, says) in [
        ("/api/v1/sessions", "\"code\":\"request_timeout\""),
        ("/login", "{\"Error\":\"the body did not arrive in time\"}"),
    ] {
        let stream = TcpStream::connect(hub.address())
            .await
            .expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let head = format!("POST {path} HTTP/1.1\r\nhost: hub\r\ncontent-length: 100000\r\n\r\n");
        writer.write_all(head.as_bytes()).await.expect("a head");
        let trickle = tokio::spawn(async move {
            while writer.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(200)).await;
            }
        });
        let mut said = Vec::new();
        let _ = within(ENDED_WITHIN, "the end", reader.read_to_end(&mut said)).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with("HTTP/1.1 408"), "{path}: {said}");
        assert!(said.contains(says), "{path}: {said}");
        within(ENDED_WITHIN, "a closed connection", trickle)
            .await
            .expect("the trickle ended");
    }
}

async fn a_connection_without_a_request_is_ended() {
    let hub = Hub::start().await;
    let mut silent = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    let mut idle = TcpStream::connect(hub.address())
        .await
        .expect("a connection");
    let request = b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n";
    idle.write_all(request).await.expect("a request");
    let (silent, idle) = tokio::join!(all_of(&mut silent), all_of(&mut idle));
    assert_eq!(silent, "");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
}

/// A connection from this address of ours.
async fn connect_from(from: &str, hub: &Hub) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from: SocketAddr = format!("{from}:0").parse().expect("an address");
    socket.bind(from).expect("an address of this machine");
    socket.connect(hub.address()).await.expect("a connection")
}

/// Whether the hub answers on a connection, which stays open.
async fn answers(stream: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n";
    let mut status = [0; 12];
    // A write may still work after the hub has hung up.
    stream.write_all(request).await.is_ok()
        && within(
            ENDED_WITHIN,
            "an answer or the end",
            stream.read_exact(&mut status),
        )
        .await
        .is_ok_and(|_| &status == b"HTTP/1.1 200")
}

const MOST: usize = 3;

/// Opens so many connections from an address; those that are answered.
async fn open(from: &str, hub: &Hub, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = connect_from(from, hub).await;
        if answers(&mut stream).await {
            open.push(stream);
        }
    }
    open
}

async fn one_address_has_so_many_connections() {
    let hub = Hub::start_with(&[("MAX_CONNECTIONS_PER_ADDRESS", &MOST.to_string())]).await;
    let mut of_one = open("127.0.0.7", &hub, MOST + 2).await;
    assert_eq!(of_one.len(), MOST);
    assert_eq!(open("127.0.0.8", &hub, MOST + 2).await.len(), MOST);
    // A place that is given back is there again.
    drop(of_one.pop());
    tests::eventually(ENDED_WITHIN, "a place", || async {
        let mut again = open("127.0.0.7", &hub, 1).await;
        again.pop()
    })
    .await;
}

async fn proxies_have_as_many_as_they_need() {
    let settings = [
        ("MAX_CONNECTIONS_PER_ADDRESS", "3"),
        ("TRUSTED_PROXIES", "127.0.0.7"),
    ];
    let hub = Hub::start_with(&settings).await;
    assert_eq!(open("127.0.0.7", &hub, 10).await.len(), 10);
    assert_eq!(open("127.0.0.8", &hub, 10).await.len(), MOST);
    let body = json!({"email": "nobody@example.org", "password": "x"});
    let answer = hub.api().post("/api/v1/sessions", &body).await;
    answer.expect_problem(401, "wrong_credentials");
}

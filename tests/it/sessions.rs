//! Sessions of probes: how they begin, what is forgiven, how they end.

use std::time::{Duration, Instant};

use probe_protocol::{Close, HubFrame, MAX_FRAME, Payload, ProbeFrame, SUBPROTOCOL, close};
use serde_json::json;
use tests::{
    Ack, Case, FakeProbe, Heard, Hub, ProbeSocket, TestProbe, Trial, at_work, orders,
    probe::{Refused, code, hello, result},
    trials,
    wait::{SOON, within},
};
use tokio_tungstenite::tungstenite::Message;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials![
        a_wrong_upgrade_is_refused,
        a_first_frame_must_be_hello,
        bad_frames_are_forgiven_twenty_times,
        what_is_not_known_is_answered,
        a_frame_that_is_too_long_ends_the_session,
        the_newest_connection_wins,
        a_result_may_come_as_json,
        a_token_may_stand_in_the_query,
        the_clock_is_asked_and_kept,
    ];
    trials.push(
        Case::new("it::sessions::silence_instead_of_hello_ends_the_session")
            .run(silence_instead_of_hello),
    );
    trials
}

/// The hub waits ten seconds for hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

async fn registered(hub: &Hub) -> TestProbe {
    hub.user("ana", 1_000_000).await.probe("p").await
}

async fn a_wrong_upgrade_is_refused() {
    let hub = Hub::start().await;
    let probe = registered(&hub).await;
    let open = async |token: Option<&str>, subprotocol: Option<&str>| match ProbeSocket::open_as(
        &hub.url(),
        token,
        subprotocol,
    )
    .await
    {
        Ok(_) => 101,
        Err(Refused::Status(status, _)) => status,
        Err(Refused::Away(why)) => panic!("{why}"),
    };
    assert_eq!(open(Some(&probe.token), None).await, 400);
    assert_eq!(open(Some(&probe.token), Some("pladmed.v2")).await, 400);
    assert_eq!(open(None, Some(SUBPROTOCOL)).await, 401);
    assert_eq!(open(Some("x"), Some(SUBPROTOCOL)).await, 401);
    assert_eq!(
        open(Some(&probe.token), Some("other, pladmed.v1")).await,
        101
    );
    let plain = hub.api().with_token(&probe.token).get("/probe/v1").await;
    assert!((400..500).contains(&plain.status), "{}", plain.status);
}

async fn end(socket: &mut ProbeSocket) -> u16 {
    within(SOON, "the end of the session", async {
        loop {
            match socket.hear().await {
                Heard::Frame(_) => {}
                Heard::Closed(code) => return code,
                Heard::Broken => panic!("no close frame"),
            }
        }
    })
    .await
}

async fn a_first_frame_must_be_hello() {
    let hub = Hub::start().await;
    let probe = registered(&hub).await;
    let accepted = json!({"type": "accepted", "operation": "0123456789abcdef01234567"}).to_string();
    for first in [
        "",
        "{}",
        "hello",
        r#"{"type":"hello"}"#,
        r#"{"type":"greeting"}"#,
        &accepted,
    ] {
        let mut socket = ProbeSocket::open(&hub.url(), &probe.token)
            .await
            .expect("a socket");
        assert!(
            socket
                .send_raw(Message::Text(first.to_owned().into()))
                .await
        );
        assert_eq!(
            end(&mut socket).await,
            Close::ProtocolError.code(),
            "{first}"
        );
    }
}

async fn silence_instead_of_hello() {
    let hub = Hub::start().await;
    let probe = registered(&hub).await;
    let started = Instant::now();
    let mut socket = ProbeSocket::open(&hub.url(), &probe.token)
        .await
        .expect("a socket");
    let end = within(HELLO_WITHIN * 2, "the end", socket.hear()).await;
    assert_eq!(end, Heard::Closed(Close::HelloTimeout.code()));
    assert!(
        started.elapsed() > HELLO_WITHIN / 2,
        "{:?}",
        started.elapsed()
    );
}

async fn bad_frames_are_forgiven_twenty_times() {
    let hub = Hub::start().await;
    let (_, _, mut probe, operation) = at_work(&hub).await;
    let bad = [
        Message::Text("{".into()),
        Message::Text(r#"{"type":"result","operation":"x"}"#.into()),
        Message::Binary(vec![0; 40].into()),
        Message::Binary(vec![5, 0, 0, 0, 0].into()),
        Message::Binary(deep_bson().into()),
    ];
    for message in bad.iter().cycle().take(20) {
        assert!(probe.socket.send_raw(message.clone()).await);
        probe
            .until("an error", |frame| {
                matches!(frame, HubFrame::Error { .. }).then_some(())
            })
            .await;
    }
    assert_eq!(probe.deliver(operation, "still-here").await, Ack::Stored);
    assert!(probe.socket.send_raw(bad[0].clone()).await);
    assert_eq!(probe.closed().await, Close::ProtocolError.code());
}

/// Documents in documents, far deeper than any frame.
fn deep_bson() -> Vec<u8> {
    let mut document = vec![5, 0, 0, 0, 0];
    for _ in 0..10_000 {
        let mut outer = vec![0; 4];
        outer.extend_from_slice(&[3, b'a', 0]);
        outer.extend_from_slice(&document);
        outer.push(0);
        let length = u32::try_from(outer.len()).expect("a length").to_le_bytes();
        outer[..4].copy_from_slice(&length);
        document = outer;
    }
    document
}

async fn what_is_not_known_is_answered() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    for _ in 0..30 {
        let unknown = json!({"type": "weather", "rain": true}).to_string();
        assert!(probe.socket.send_raw(Message::Text(unknown.into())).await);
        probe
            .until("an answer", |frame| {
                matches!(frame, HubFrame::Error { .. }).then_some(())
            })
            .await;
    }
    // A second hello is as little fatal, and unknown fields are passed over.
    probe.say(&ProbeFrame::Hello(hello(Vec::new()))).await;
    probe
        .until("an answer", |frame| {
            matches!(frame, HubFrame::Error { .. }).then_some(())
        })
        .await;
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(probe.assigned().await.operation, operation);
    let accepted = json!({"type": "accepted", "operation": operation, "mood": "good"}).to_string();
    assert!(probe.socket.send_raw(Message::Text(accepted.into())).await);
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
}

async fn a_frame_that_is_too_long_ends_the_session() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    // Just below the limit is fine.
    let mut large = result(operation, "large");
    large.content = vec![b' '; MAX_FRAME - 1000].into();
    assert_eq!(probe.deliver_result(large).await, Ack::Stored);
    probe.socket.begin(MAX_FRAME as u64 + 1).await;
    assert_eq!(probe.closed().await, close::TOO_LONG);
    assert_eq!(ana.results(operation).await.len(), 1);
}

async fn the_newest_connection_wins() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut older = FakeProbe::connect(&hub, &registered.token).await;
    let mut newer = FakeProbe::connect(&hub, &registered.token).await;
    assert!(newer.welcome.session > older.welcome.session);
    assert_eq!(older.closed().await, Close::Replaced.code());
    // The older one's end does not take the newer one's seat.
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(newer.accept().await, operation);
    assert_eq!(newer.deliver(operation, "1").await, Ack::Stored);
}

async fn a_result_may_come_as_json() {
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let frame = ProbeFrame::Result(result(operation, "text"));
    let text = serde_json::to_string(&frame).expect("JSON");
    assert!(probe.socket.send_raw(Message::Text(text.into())).await);
    assert_eq!(probe.ack(operation, &code("text")).await, Ack::Stored);
    let Ok(Payload::Binary(bytes)) = frame.encode() else {
        panic!("results travel as BSON")
    };
    assert!(probe.socket.send_raw(Message::Binary(bytes.into())).await);
    assert_eq!(probe.ack(operation, &code("text")).await, Ack::Stored);
    let raw = ana
        .api
        .get(&format!("/api/v1/operations/{operation}/results/1/raw"))
        .await;
    assert_eq!(raw.body, orders::ping_document(0));
}

async fn a_token_may_stand_in_the_query() {
    let mut hub = Hub::start().await;
    let probe = registered(&hub).await;
    let url = format!("{}?token={}", probe_protocol::PATH, probe.token);
    let request = hub.api().request(reqwest::Method::GET, &url);
    let request = request
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13");
    let request = request
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", SUBPROTOCOL);
    let response = within(SOON, "an upgrade", request.send())
        .await
        .expect("an answer");
    assert_eq!(response.status().as_u16(), 101);
    let log = hub.process().log();
    assert!(!log.contains(&probe.token), "the log shows a token");
}

async fn the_clock_is_asked_and_kept() {
    /// Of the probe's clock, ms.
    const OFFSET_MS: i64 = 90_000;
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana
        .launch(&orders::endless(orders::ping(&[registered.id])))
        .await;
    let sent = within(SOON, "the hub's question", async {
        loop {
            match probe.socket.hear().await {
                Heard::Frame(HubFrame::Time { sent }) => return sent,
                Heard::Frame(_) => {}
                end => panic!("{end:?}"),
            }
        }
    })
    .await;
    let now = chrono::Utc::now() + chrono::TimeDelta::milliseconds(OFFSET_MS);
    let micros = now.timestamp_micros();
    probe
        .say(&ProbeFrame::Time {
            hub_sent: sent,
            received: micros,
            sent: micros,
        })
        .await;
    let mut ahead = result(operation, "1");
    (ahead.started_at, ahead.finished_at) = (now, now);
    assert_eq!(probe.deliver_result(ahead).await, Ack::Stored);
    let stored = &ana.results(operation).await[0];
    let offset = stored["clock"]["offset_ms"].as_f64().expect("an offset");
    let error = stored["clock"]["error_ms"].as_f64().expect("a bound");
    assert!(
        (offset - OFFSET_MS as f64).abs() <= error + 1.0,
        "{offset} ± {error}"
    );
    let started: chrono::DateTime<chrono::Utc> = stored["started_at"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a time");
    let shift = (now - started).num_milliseconds() - OFFSET_MS;
    assert!(
        shift.abs() <= error.ceil() as i64 + 1,
        "the time is on the probe's clock, off by {shift} ms"
    );
}

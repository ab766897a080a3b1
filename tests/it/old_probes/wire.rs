//! Frames of a session: signs of life, namespaces, what is ignored and what is forgiven.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Knock, OldProbe, OldResult, OldSocket, Trial, orders, trials};
use tokio_tungstenite::tungstenite::Message;

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        the_hub_pings_as_often_as_it_said,
        what_is_said_before_the_connect_is_ignored,
        other_namespaces_are_refused,
        what_is_not_known_is_passed_over,
        rubbish_is_forgiven_twenty_times,
        other_packets_may_come_between_a_result_and_its_bytes,
        an_agent_that_leaves_is_gone_at_once,
        a_frame_that_is_too_long_ends_the_session,
    ]
}

/// Longest between two pings: what the hub promises.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// More than a timer is late on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);
/// Frames that cannot be read before a session ends.
const FORGIVEN: usize = 20;

async fn the_hub_pings_as_often_as_it_said() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let mut before = Instant::now();
    for _ in 0..2 {
        let ping = |text: &str| (text == "2").then_some(());
        probe
            .until_within(PING_INTERVAL + SLACK, "a ping", ping)
            .await;
        assert!(before.elapsed() < PING_INTERVAL + SLACK);
        before = Instant::now();
    }
    // Who answers stays.
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, operation).await;
}

async fn what_is_said_before_the_connect_is_ignored() {
    let site = Site::open().await;
    let operation = site
        .ana
        .launch(&orders::queued(orders::ping(&[site.probe.id])))
        .await;
    let knock = Knock::new(&site.probe.token, 100, 0);
    let mut socket = OldSocket::open(&site.hub.url(), &knock)
        .await
        .expect("a session");
    socket.opened().await;
    let content = json!({"_placeholder": true, "num": 0});
    let result = json!(["results", {"operation_id": operation, "content": content, "unique_code": "early",
        "format": "warts"}]);
    let before = [
        Message::Text(r#"42["new_operation",{"credits":50}]"#.into()),
        Message::Text(format!("451-1{result}").into()),
        Message::Binary(orders::PING_WARTS.into()),
        Message::Text("3".into()),
        Message::Text("431[]".into()),
        Message::Text("40/other,".into()),
        Message::Text(String::new().into()),
        Message::Ping("".into()),
    ];
    for message in before {
        assert!(socket.send(message).await);
    }
    // The answer to `40` is the first thing that comes: nothing was acknowledged or handed over before.
    socket.join().await;
    site.shows("connected", true).await;
    assert_eq!(
        site.shown().await["availability"],
        1.0 - 0.01,
        "the load is that of what is pending"
    );
    assert!(site.ana.results(operation).await.is_empty());
}

async fn other_namespaces_are_refused() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    for (said, heard) in [
        ("40/x,", r#"44/x,"Unable to connect""#),
        ("40/x", r#"44/x,"Unable to connect""#),
        (
            r#"40/admin,{"token":"t"}"#,
            r#"44/admin,"Unable to connect""#,
        ),
    ] {
        probe.say(said).await;
        let answer = |text: &str| text.starts_with("44").then(|| text.to_owned());
        assert_eq!(probe.until("a refusal", answer).await, heard);
    }
    // What is said there is not heard.
    probe.say(r#"42/x,7["new_operation",{"credits":50}]"#).await;
    probe.say("41/x,").await;
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, operation).await;
    assert!(
        !probe.journal.iter().any(|text| text.starts_with("43")),
        "{:?}",
        probe.journal
    );
}

async fn what_is_not_known_is_passed_over() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    for _ in 0..=FORGIVEN {
        // It is acknowledged as a library does it, if that is asked for.
        let number = probe.emit("weather", json!({"rain": true})).await;
        assert_eq!(probe.acked(number).await, json!([]));
        for text in [
            r#"42["weather"]"#,
            "40",
            "3",
            "5",
            "6",
            "9",
            "4399[]",
            r#"42["new_operation"]"#,
        ] {
            probe.say(text).await;
        }
    }
    let number = probe.emit("new_operation", json!({"credits": 0})).await;
    assert_eq!(probe.acked(number).await, json!([]));
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, operation).await;
}

async fn rubbish_is_forgiven_twenty_times() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let operation = site.ping().await;
    accept(&mut probe, operation).await;
    let rubbish = [
        Message::Text("4".into()),
        Message::Text("42".into()),
        Message::Text("42[".into()),
        Message::Text("48[]".into()),
        Message::Text("45x-[]".into()),
        Message::Text("452-1[\"results\",{}]".into()),
        Message::Text("42{\"results\":1}".into()),
        Message::Text("42[1,2]".into()),
        Message::Text("43[]".into()),
        Message::Binary(vec![0; 40].into()),
    ];
    for message in rubbish.iter().cycle().take(FORGIVEN) {
        assert!(probe.socket.send(message.clone()).await);
    }
    let result = OldResult::new(operation, "still-here", "warts", orders::PING_WARTS);
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    assert!(probe.socket.send(rubbish[0].clone()).await);
    probe.closed().await;
    site.shows("connected", false).await;
    // It comes back and is as welcome as before.
    let mut probe = OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 121, 1)).await;
    assert_eq!(probe.deliver(&result).await, json!([operation]));
}

/// The library handles every message in a thread of its own, so an acknowledgement may come between the two frames of
/// a result.
async fn other_packets_may_come_between_a_result_and_its_bytes() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let operation = site.ping().await;
    let handed = probe.handed().await;
    assert_eq!(handed.id(), operation.to_string());
    let result = OldResult::new(operation, "torn", "warts", orders::PING_WARTS);
    let number = probe.announce(&result).await;
    probe.take(&handed).await;
    probe.say("3").await;
    let asked = probe.emit("finish_operation", json!({"credits": 0})).await;
    probe.attach(&result.content).await;
    assert_eq!(probe.acked(asked).await, json!([]));
    assert_eq!(probe.acked(number).await, json!([operation]));
    site.reaches(operation, "accepted").await;
    let stored = &site.ana.results(operation).await[0];
    assert_eq!(
        (&stored["code"], &stored["undecoded"]),
        (&json!("torn"), &json!(0))
    );
}

async fn an_agent_that_leaves_is_gone_at_once() {
    let site = Site::open().await;
    for goodbye in ["41", "1", ""] {
        let mut probe = site.connect().await;
        site.shows("connected", true).await;
        if !goodbye.is_empty() {
            probe.say(goodbye).await;
            probe.closed().await;
        }
        drop(probe);
        site.shows("connected", false).await;
    }
}

async fn a_frame_that_is_too_long_ends_the_session() {
    /// More than the hub takes from an old agent.
    const TOO_LONG: u64 = 13 * 1024 * 1024;
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let most = probe.open["maxPayload"].as_u64().expect("a limit");
    assert!(most < TOO_LONG, "{most}");
    probe.socket.begin(TOO_LONG).await;
    assert_eq!(probe.closed().await, probe_protocol::close::TOO_LONG);
    site.shows("connected", false).await;
}

//! The live stream of an operation: what was, what comes, and where it goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    Ack, EventStream, FakeProbe, Hub, Trial, at_work, orders, probe::hello, trials, wait::within,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_stream_begins_with_what_was_and_ends_with_the_last_assignment,
        a_stream_goes_on_after_the_last_number_seen,
        many_streams_of_one_operation_see_the_same,
        a_stop_ends_streams,
        a_stream_wants_a_number,
    ]
}

/// Longest any event may take.
const SOON: Duration = tests::wait::SOON;

/// All events up to the stream's end.
async fn all(mut stream: EventStream) -> Vec<tests::Event> {
    within(SOON, "the end of a stream", async {
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        events
    })
    .await
}

async fn a_stream_begins_with_what_was_and_ends_with_the_last_assignment() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = [ana.probe("a").await, ana.probe("b").await];
    let mut probes = [
        FakeProbe::connect(&hub, &registered[0].token).await,
        FakeProbe::connect(&hub, &registered[1].token).await,
    ];
    let operation = ana
        .launch(&orders::ping(&[registered[0].id, registered[1].id]))
        .await;
    assert_eq!(probes[0].accept().await, operation);
    assert_eq!(probes[0].deliver(operation, "first").await, Ack::Stored);
    let mut stream = ana.events(operation).await;
    let first = stream.next().await.expect("an event");
    assert_eq!(
        (first.name.as_str(), first.json()["id"].clone()),
        ("operation", json!(operation))
    );
    let old = stream.until("result").await;
    assert_eq!((old.id, &old.json()["code"]), (Some(1), &json!("first")));
    assert_eq!(probes[1].accept().await, operation);
    let accepted = json!({"probe": registered[1].id, "state": "accepted"});
    assert_eq!(
        stream.until("assignment").await.json()["probe"],
        accepted["probe"]
    );
    assert_eq!(probes[1].deliver(operation, "second").await, Ack::Stored);
    let new = stream.until("result").await;
    assert_eq!((new.id, &new.json()["code"]), (Some(2), &json!("second")));
    // What a stream tells is what a list tells.
    assert_eq!(
        [old.json(), new.json()].to_vec(),
        ana.results(operation).await
    );
    stream.until("end").await;
    assert_eq!(within(SOON, "the end", stream.next()).await, None);
    // A later one tells the same at once, and ends too.
    let names: Vec<String> = all(ana.events(operation).await)
        .await
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["operation", "result", "result", "end"]);
}

async fn a_stream_goes_on_after_the_last_number_seen() {
    let mut hub = Hub::start().await;
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    for number in 1..=5 {
        probe.deliver(operation, &number.to_string()).await;
    }
    let next = async |last: u64| {
        let mut stream = EventStream::open(&ana.api, operation, Some(last))
            .await
            .expect("a stream");
        stream.until("result").await.id
    };
    assert_eq!((next(0).await, next(3).await), (Some(1), Some(4)));
    let mut ahead = EventStream::open(&ana.api, operation, Some(5))
        .await
        .expect("a stream");
    probe.deliver(operation, "6").await;
    assert_eq!(ahead.until("result").await.id, Some(6));
    // Also after the hub's death.
    hub.kill9().await;
    hub.restart().await;
    let mut stream = EventStream::open(&ana.api, operation, Some(6))
        .await
        .expect("a stream");
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
    probe.deliver(operation, "7").await;
    assert_eq!(stream.until("result").await.id, Some(7));
}

async fn many_streams_of_one_operation_see_the_same() {
    const STREAMS: usize = 20;
    const RESULTS: u64 = 600;
    let hub = Hub::start().await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(ana.events(operation).await);
    }
    // Nobody reads while more results come than a stream may be behind.
    for number in 1..=RESULTS {
        let result = tests::probe::result(operation, &number.to_string());
        probe.say(&probe_protocol::ProbeFrame::Result(result)).await;
    }
    assert_eq!(
        probe
            .ack(operation, &tests::probe::code(&RESULTS.to_string()))
            .await,
        Ack::Stored
    );
    for mut stream in streams {
        for number in 1..=RESULTS {
            assert_eq!(stream.until("result").await.id, Some(number));
        }
    }
}

async fn a_stop_ends_streams() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    let mut stream = ana.events(operation).await;
    stream.until("operation").await;
    let (code, rest) = tokio::join!(hub.terminate(), all(stream));
    assert_eq!((code, rest), (0, Vec::new()));
}

async fn a_stream_wants_a_number() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let operation = ana.launch(&orders::queued(orders::ping(&[probe.id]))).await;
    let path = format!("/api/v1/operations/{operation}/events");
    let wrong = ana
        .api
        .request(reqwest::Method::GET, &path)
        .header("last-event-id", "x");
    assert_eq!(
        tests::api::must(wrong).await.wrong_fields(),
        ["Last-Event-ID"]
    );
    assert_eq!(
        ana.api.get(&format!("{path}?after=x")).await.wrong_fields(),
        ["?after"]
    );
    let nobody = ana
        .api
        .get("/api/v1/operations/0123456789abcdef01234567/events")
        .await;
    let problem: Value = nobody.expect_problem(404, "not_found");
    assert_eq!(problem["errors"], Value::Null);
}

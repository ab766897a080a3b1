//! Creating and cancelling operations: prices, keys, capacity, who can run what.

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use probe_protocol::{HubFrame, Kind, ProbeFrame, ResultFormat};
use serde_json::{Value, json};
use tests::{
    Ack, FakeProbe, Hub, TestProbe, Trial, eventually, orders, probe::hello, trials, wait::SOON,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_probe_gets_what_the_user_asked_for,
        the_price_is_unit_by_targets_by_runs_by_probes,
        a_repeated_key_creates_once,
        a_full_probe_is_left_out,
        an_incapable_or_unknown_probe_is_left_out,
        cancelling_tells_the_probe_and_gives_back,
        what_ran_before_a_cancel_is_kept,
        a_cancelled_operation_is_not_offered,
        operations_are_listed_newest_first,
        what_is_answered_is_what_is_kept,
    ]
}

async fn a_probe_gets_what_the_user_asked_for() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let stop = (Utc::now() + TimeDelta::hours(2))
        .with_nanosecond(0)
        .expect("a whole second");
    let order = json!({
        "kind": "dns",
        "params": {"type": "mx", "server": "127.0.0.1", "port": 5353},
        "targets": ["EXAMPLE.org", "bücher.example"],
        "schedule": {"cron": "*/5  * * * *", "times_per_minute": 3, "stop_time": stop},
        "probes": [registered.id],
        "result_format": "dump",
    });
    let made = ana.order(&order).await.expect(201);
    let assign = probe.assigned().await;
    assert_eq!(json!(assign.operation), made["id"]);
    assert_eq!(
        (assign.kind, assign.result_format, assign.credits),
        (Kind::Dns, ResultFormat::Dump, 2)
    );
    assert_eq!(assign.params, order["params"]);
    let targets: Vec<String> = assign.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["example.org", "xn--bcher-kva.example"]);
    let schedule = assign.schedule.expect("a schedule");
    assert_eq!(
        (
            schedule.cron.as_str(),
            schedule.times_per_minute.get(),
            schedule.stop_time
        ),
        ("*/5 * * * *", 3, stop)
    );
    // Two hours have 24 fives, three runs at each.
    let planned = made["planned_runs"].as_i64().expect("a number");
    assert_eq!(planned, 72);
    assert_eq!(made["charged"], planned * 2);
}

async fn the_price_is_unit_by_targets_by_runs_by_probes() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let probes = [ana.probe("a").await.id, ana.probe("b").await.id];
    let stop: DateTime<Utc> = Utc::now() + TimeDelta::days(3);
    for (kind, unit) in [("ping", 1), ("dns", 1), ("traceroute", 15)] {
        let mut order = orders::queued(orders::ping(&probes));
        order["kind"] = kind.into();
        order["targets"] = json!(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        let before = ana.credits().await;
        let once = ana.order(&order).await.expect(201);
        assert_eq!(
            (&once["run_price"], &once["planned_runs"], &once["charged"]),
            (&json!(3 * unit), &json!(1), &json!(6 * unit))
        );
        order["schedule"] =
            json!({"cron": "30 12 * * *", "times_per_minute": 2, "stop_time": stop});
        let daily = ana.order(&order).await.expect(201);
        assert_eq!(
            (&daily["planned_runs"], &daily["charged"]),
            (&json!(6), &json!(36 * unit))
        );
        assert_eq!(ana.credits().await, before - 42 * unit);
    }
    hub.check().await;
}

async fn a_repeated_key_creates_once() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let order = orders::queued(orders::ping(&[probe.id]));
    let answers = futures::future::join_all((0..8).map(|_| ana.order_as("one", &order))).await;
    let ids: Vec<Value> = answers
        .iter()
        .map(|answer| answer.expect(201)["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ana.credits().await, 99);
    let other =
        orders::queued(json!({"kind": "ping", "targets": ["127.0.0.2"], "probes": [probe.id]}));
    ana.order_as("one", &other)
        .await
        .expect_problem(409, "idempotency_key_reused");
    // A key is its user's own, and outlives the process.
    let ben = hub.user("ben", 100).await;
    assert_ne!(ben.order_as("one", &order).await.expect(201)["id"], ids[0]);
    hub.kill9().await;
    hub.restart().await;
    assert_eq!(ana.order_as("one", &order).await.expect(201)["id"], ids[0]);
    // What was refused may be tried again under its key.
    let poor = hub.user("poor", 0).await;
    poor.order_as("two", &order)
        .await
        .expect_problem(402, "not_enough_credits");
    hub.admin().await.grant(&poor, 5).await;
    let _ = poor.order_as("two", &order).await.expect(201);
    for wrong in ["", &"x".repeat(201)] {
        assert_eq!(
            ana.order_as(wrong, &order).await.wrong_fields(),
            ["Idempotency-Key"]
        );
    }
    hub.check().await;
}

async fn small_probe(hub: &Hub, registered: &TestProbe, credits: u32, kinds: &[Kind]) -> FakeProbe {
    let mut small = hello(Vec::new());
    (small.total_credits, small.capabilities) = (credits, kinds.to_vec());
    FakeProbe::connect_as(hub, &registered.token, small).await
}

fn left_out(answer: &Value) -> Vec<(&str, &str)> {
    let list = answer["left_out"].as_array().expect("a list").iter();
    list.map(|one| {
        (
            one["probe"].as_str().expect("an id"),
            one["reason"].as_str().expect("a reason"),
        )
    })
    .collect()
}

async fn a_full_probe_is_left_out() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 10_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = small_probe(&hub, &registered, 30, Kind::ALL).await;
    let mut order = orders::endless(orders::ping(&[registered.id]));
    order["kind"] = "traceroute".into();
    let (first, _second) = (ana.launch(&order).await, ana.launch(&order).await);
    let refused = ana
        .order(&orders::ping(&[registered.id]))
        .await
        .expect_problem(422, "no_available_probe");
    assert_eq!(
        left_out(&refused),
        [(registered.id.to_string().as_str(), "full")]
    );
    let before = ana.credits().await;
    ana.cancel(first).await;
    assert!(ana.credits().await > before);
    ana.launch(&orders::ping(&[registered.id])).await;
    // What the probe itself says is in use counts too.
    probe
        .say(&ProbeFrame::Status {
            in_use_credits: 30,
            running: 1,
            spooled: 0,
            dropped: 0,
        })
        .await;
    let full =
        async || (ana.order(&orders::ping(&[registered.id])).await.status == 422).then_some(());
    eventually(SOON, "a probe that says it is full", full).await;
    hub.check().await;
}

async fn an_incapable_or_unknown_probe_is_left_out() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let (registered, able) = (ana.probe("p").await, ana.probe("able").await);
    let _probe = small_probe(&hub, &registered, 100, &[Kind::Dns]).await;
    let mut probe = FakeProbe::connect(&hub, &able.token).await;
    let nobody = "0123456789abcdef01234567";
    let mut order = orders::ping(&[registered.id, able.id]);
    order["probes"]
        .as_array_mut()
        .expect("a list")
        .push(nobody.into());
    let made = ana.order(&order).await.expect(201);
    assert_eq!(
        left_out(&made),
        [
            (registered.id.to_string().as_str(), "incapable"),
            (nobody, "unknown")
        ]
    );
    assert_eq!(
        (&made["probes"], &made["charged"]),
        (&json!([able.id]), &json!(1))
    );
    probe.accept().await;
    // Nothing is charged where nobody is left.
    let mut order = orders::ping(&[registered.id]);
    order["probes"]
        .as_array_mut()
        .expect("a list")
        .push(nobody.into());
    ana.order(&order)
        .await
        .expect_problem(422, "no_available_probe");
    assert_eq!(ana.credits().await, 99);
}

async fn cancelling_tells_the_probe_and_gives_back() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let (taker, away) = (ana.probe("taker").await, ana.probe("away").await);
    let mut probe = FakeProbe::connect(&hub, &taker.token).await;
    let stop = Utc::now() + TimeDelta::hours(10);
    let order = orders::queued(orders::every_minute(
        orders::ping(&[taker.id, away.id]),
        1,
        stop,
    ));
    let operation = ana.launch(&order).await;
    probe.accept().await;
    for number in 0..3 {
        assert_eq!(
            probe.deliver(operation, &number.to_string()).await,
            Ack::Stored
        );
    }
    let shown = ana.cancel(operation).await;
    probe
        .until("cancel", |frame| {
            (*frame == HubFrame::Cancel { operation }).then_some(())
        })
        .await;
    assert_eq!(
        (&shown["state"], &shown["assignments"][0]["state"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    // Both probes planned 599 or 600 runs. Three were run; a minute may have begun meanwhile.
    let charged = shown["charged"].as_i64().expect("a number");
    let refunded = shown["refunded"].as_i64().expect("a number");
    assert!(
        (3..=4).contains(&(charged - refunded)),
        "{charged} {refunded}"
    );
    assert_eq!(ana.credits().await, 1_000_000 - charged + refunded + 30);
    // Again changes nothing.
    assert_eq!(ana.cancel(operation).await, shown);
    probe.finish(operation).await;
    hub.check().await;
}

async fn what_ran_before_a_cancel_is_kept() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    probe.accept().await;
    let accepted = async || (ana.states(operation).await == ["accepted"]).then_some(());
    eventually(SOON, "accepted", accepted).await;
    let late = tests::probe::result(operation, "on-its-way");
    // It may have run: nothing is given back, and its result is welcome.
    let shown = ana.cancel(operation).await;
    assert_eq!(
        (&shown["charged"], &shown["refunded"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(probe.deliver_result(late).await, Ack::Stored);
    hub.check().await;
}

async fn a_cancelled_operation_is_not_offered() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = ana.probe("p").await;
    let order = orders::queued(orders::ping(&[registered.id]));
    let (cancelled, kept) = (ana.launch(&order).await, ana.launch(&order).await);
    ana.cancel(cancelled).await;
    assert_eq!(ana.credits().await, 99);
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    assert_eq!(probe.assigned().await.operation, kept);
    // One that holds it is told.
    drop(probe);
    let mut probe =
        FakeProbe::connect_as(&hub, &registered.token, hello(vec![cancelled, kept])).await;
    probe
        .until("cancel", |frame| {
            (*frame
                == HubFrame::Cancel {
                    operation: cancelled,
                })
            .then_some(())
        })
        .await;
}

async fn operations_are_listed_newest_first() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let probe = ana.probe("p").await;
    let mut launched = Vec::new();
    for _ in 0..7 {
        launched.push(
            ana.launch(&orders::queued(orders::ping(&[probe.id])))
                .await
                .to_string(),
        );
    }
    launched.reverse();
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ana
            .api
            .get(&format!("/api/v1/operations?limit=3{cursor}"))
            .await
            .expect(200);
        listed.extend(
            page["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|one| one["id"].as_str().expect("an id").to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, launched);
}

async fn what_is_answered_is_what_is_kept() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let probe = ana.probe("p").await;
    let once = orders::queued(orders::ping(&[probe.id]));
    for order in [once.clone(), orders::endless(once)] {
        let made = ana.order(&order).await.expect(201);
        let shown = ana
            .operation(
                made["id"]
                    .as_str()
                    .and_then(|id| id.parse().ok())
                    .expect("an id"),
            )
            .await;
        for (name, value) in shown.as_object().expect("an operation") {
            if name != "assignments" {
                assert_eq!(&made[name], value, "{name}");
            }
        }
        let id: probe_protocol::OperationId = shown["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id");
        let cancelled = ana.cancel(id).await;
        assert_eq!(cancelled, ana.operation(id).await);
    }
}

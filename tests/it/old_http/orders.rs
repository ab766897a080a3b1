//! Asking for operations at the old paths: the order of checks, what is answered, and what leaves for the probe.

use serde_json::{Value, json};
use tests::{Hub, OldApi, TestProbe, Trial, eventually, trials, wait::SOON};

use super::bench::{Bench, RICH, Worker, id_of, order, with_params, without_param};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        mistakes_are_answered_in_this_order,
        probes_that_cannot_be_had_are_404,
        lists_of_probes_are_lists,
        the_answer_to_the_letter,
        probes_without_room_are_left_out_silently,
        nothing_unknown_is_sent,
        a_deleted_probe_is_unknown,
    ]
}

const INVALID: &str = "Invalid data provided";
const NO_PROBES: &str = "No available probes";
const POOR: &str = "Not enough credits";
const UNKNOWN: &str = "0123456789abcdef01234567";

async fn mistakes_are_answered_in_this_order() {
    for kind in ["ping", "traceroute", "dns"] {
        let hub = Hub::start().await;
        let ana = hub.user("ana", 0).await;
        let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
        let path = format!("/{kind}");
        let mut order = order(kind, &[&card]);
        order["params"]["times_per_minute"] = json!(61);
        order["probes"] = json!([UNKNOWN, card.id, card.id]);
        OldApi::new(&hub)
            .post(&path, &order)
            .await
            .expect_refusal(401);
        old.post(&path, &order).await.expect_error(400, INVALID);
        order["params"]["times_per_minute"] = json!(1);
        old.post(&path, &order).await.expect_error(404, INVALID);
        order["probes"] = json!([card.id, card.id]);
        old.post(&path, &order).await.expect_error(404, INVALID);
        order["probes"] = json!([card.id]);
        old.post(&path, &order).await.expect_error(404, NO_PROBES);
        let _worker = Worker::start(&hub, &card, 1000).await;
        old.post(&path, &order).await.expect_error(400, POOR);
        let operations = hub.number("select count(*) from operations").await;
        assert_eq!(operations, 0);
        hub.admin().await.grant(&ana, 1000).await;
        let _ = old.post(&path, &order).await.expect_old(201);
        hub.check().await;
    }
}

async fn probes_that_cannot_be_had_are_404() {
    let bench = Bench::new().await;
    let away = bench.user.probe("away").await;
    let ask = async |probes: Value| {
        let mut order = bench.order("ping");
        order["probes"] = probes;
        bench.post("ping", &order).await
    };
    let card = bench.card.id;
    for probes in [
        json!([UNKNOWN]),
        json!([card, UNKNOWN]),
        json!(["x"]),
        json!([""]),
        json!([card, "x"]),
        json!([card.to_string() + "0"]),
        json!([card, card]),
        json!([card, away.id, card]),
        json!([bench.user.id]),
    ] {
        let answer = ask(probes.clone()).await;
        assert_eq!(answer.status, 404, "{probes}: {}", answer.text());
        answer.expect_error(404, INVALID);
    }
    ask(json!([away.id])).await.expect_error(404, NO_PROBES);
    let _ = ask(json!([away.id, card])).await.expect_old(201);
}

async fn lists_of_probes_are_lists() {
    let bench = Bench::new().await;
    for probes in [
        Value::Null,
        json!([]),
        json!({}),
        json!(5),
        json!(true),
        json!(""),
        json!({bench.card.id.to_string(): 1}),
    ] {
        let mut order = bench.order("ping");
        order["probes"] = probes.clone();
        let answer = bench.post("ping", &order).await;
        assert_eq!(answer.status, 400, "{probes}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
    for name in ["probes", "params"] {
        let mut order = bench.order("ping");
        order.as_object_mut().expect("an order").remove(name);
        bench.post("ping", &order).await.expect_error(400, INVALID);
    }
    for params in [Value::Null, json!([]), json!(5), json!("x"), json!({})] {
        let mut order = bench.order("ping");
        order["params"] = params.clone();
        let answer = bench.post("ping", &order).await;
        assert_eq!(answer.status, 400, "{params}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
}

async fn the_answer_to_the_letter() {
    let bench = Bench::new().await;
    let ben = bench.hub.user("ben", 0).await;
    let second = ben.probe("of ben").await;
    let _worker = Worker::start(&bench.hub, &second, 1000).await;
    for (kind, format, unit) in [
        ("ping", "json", 1),
        ("dns", "text", 1),
        ("traceroute", "dump", 15),
    ] {
        let change = json!({"stop_time": "1/2/2020  3:4", "z": {"y": 1, "x": [1.0, "ü", null]}});
        let mut sent = with_params(bench.order(kind), &change);
        sent["probes"] = json!([second.id, bench.card.id]);
        sent["result_format"] = json!("dump");
        sent["operation"] = json!("ignored");
        let answer = bench.post(kind, &sent).await;
        let made = answer.expect_old(201);
        let shown = |probe: &TestProbe, owner: &str| json!({"identifier": probe.id, "owner_id": owner, "location": {"longitude": -77.0, "latitude": -12.0}});
        let mut whole = json!({
            "_id": id_of(&made),
            "credits": 2 * unit,
            "params": sent["params"],
            "probes": [shown(&second, &ben.id), shown(&bench.card, &bench.user.id)],
            "result_format": format,
            "results": [],
        });
        let mut made = made;
        // Which kind it is may be said too; the order of probes is nobody's business.
        if made.get("operation").is_some() {
            whole["operation"] = json!(kind);
        }
        for operation in [&mut whole, &mut made] {
            let probes = operation["probes"].as_array_mut().expect("probes");
            probes.sort_by_key(|probe| probe["identifier"].to_string());
        }
        assert_eq!(made, whole);
    }
}

async fn probes_without_room_are_left_out_silently() {
    let bench = Bench::new().await;
    let (full, away) = (
        bench.user.probe("full").await,
        bench.user.probe("away").await,
    );
    let _worker = Worker::start(&bench.hub, &full, 14).await;
    let before = bench.balance().await;
    let behind = json!({"stop_time": "01/01/2020 00:00"});
    let all = [&full, &away, &bench.card];
    let order_of = |kind: &str| with_params(order(kind, &all), &behind);
    let made = bench
        .post("traceroute", &order_of("traceroute"))
        .await
        .expect_old(201);
    assert_eq!(made["credits"], 15);
    let ids = |made: &Value| -> Vec<Value> {
        let probes = made["probes"].as_array().expect("probes").iter();
        probes.map(|probe| probe["identifier"].clone()).collect()
    };
    assert_eq!(ids(&made), [json!(bench.card.id)]);
    let made = bench.post("ping", &order_of("ping")).await.expect_old(201);
    assert_eq!((ids(&made).len(), &made["credits"]), (2, &json!(2)));
    assert_eq!(bench.balance().await, before - 17);
    bench.hub.check().await;
}

/// Parameters that a kind does not have at the old paths, some of them ones that it has elsewhere.
async fn nothing_unknown_is_sent() {
    const MARK: &str = "'; touch /tmp/F; echo '";
    let mut bench = Bench::new().await;
    let more = json!({
        "colour": MARK, "-x": MARK, "nested": {"a": [1, {"b": MARK}]}, "": MARK, "a.b": 1, "$where": MARK,
        "icmp_sum": 7, "wait_probe": 7, "source_address": "127.0.0.9", "server": "127.0.0.9", "port": 5353,
        "ip_version": "6", "record_type": "mx", "targets": ["127.0.0.9"], "schedule": MARK, "params": {"x": MARK},
        "Method": MARK, "credits": -5, "_id": MARK,
    });
    for kind in ["ping", "traceroute", "dns"] {
        let order = with_params(bench.order(kind), &more);
        let answer = bench.post(kind, &order).await;
        assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
        let made = answer.expect_old(201);
        assert_eq!(made["params"], order["params"], "{kind}");
        let shown = bench
            .old
            .get(&format!("/operation?id={}", id_of(&made)))
            .await;
        assert_eq!(shown.expect_old(200)["params"], order["params"], "{kind}");
        let assign = bench.worker.offered(id_of(&made)).await;
        assert_eq!(assign.params, json!({}), "{kind}");
        let told = serde_json::to_string(&assign).expect("JSON");
        for trace in ["touch", "127.0.0.9", "5353", "colour"] {
            assert!(!told.contains(trace), "{kind}: {told}");
        }
    }
    // Unknown ones do not stand in for what is missing.
    let order = without_param(bench.order("ping"), "ips");
    let order = with_params(
        order,
        &json!({"targets": ["127.0.0.1"], "IPS": ["127.0.0.1"]}),
    );
    bench.post("ping", &order).await.expect_error(400, INVALID);
}

async fn a_deleted_probe_is_unknown() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let _worker = Worker::start(&hub, &card, 1000).await;
    let made = old
        .post("/ping", &order("ping", &[&card]))
        .await
        .expect_old(201);
    let _ = ana
        .api
        .delete(&format!("/api/v1/probes/{}", card.id))
        .await
        .expect(204);
    eventually(SOON, "the probe is gone", async || {
        (old.get("/probes").await.expect_old(200) == json!([])).then_some(())
    })
    .await;
    let answer = old.post("/ping", &order("ping", &[&card])).await;
    answer.expect_error(404, INVALID);
    // What it did stays to be read.
    let shown = old.get(&format!("/operation?id={}", id_of(&made))).await;
    assert_eq!(shown.expect_old(200)["credits"], made["credits"]);
}

//! What operations at the old paths cost: unit × destinations × instants × times a minute × probes.

use chrono::{DateTime, Datelike as _, SubsecRound as _, TimeDelta, Timelike as _, Utc, Weekday};
use serde_json::{Value, json};
use tests::{Ack, FakeProbe, Hub, OldApi, Trial, probe::hello, trials};

use super::bench::{Bench, RICH, Worker, id_of, order, stop_in, with_params};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        instants_between_now_and_the_stop_are_counted,
        everything_is_multiplied,
        a_small_probe_takes_a_long_operation,
        a_probe_takes_what_fits,
        a_balance_is_spent_to_the_last_credit,
        what_is_paid_for_is_taken_and_rewarded,
    ]
}

/// Whether a cron has an instant in this minute, written by hand: the hub's own arithmetic must not judge itself.
type Fires = fn(DateTime<Utc>) -> bool;

/// Instants strictly between two times, at least one.
fn instants(after: DateTime<Utc>, before: DateTime<Utc>, fires: Fires) -> i64 {
    let minute = TimeDelta::minutes(1);
    let mut time = after.trunc_subsecs(0).with_second(0).expect("a minute") + minute;
    let mut count = 0;
    while time < before {
        count += i64::from(fires(time));
        time += minute;
    }
    count.max(1)
}

const CRONS: &[(&str, Fires)] = &[
    ("* * * * *", |_| true),
    ("*/5 * * * *", |t| t.minute() % 5 == 0),
    ("*/7 * * * *", |t| t.minute() % 7 == 0),
    ("0 9,10 * * *", |t| {
        t.minute() == 0 && [9, 10].contains(&t.hour())
    }),
    ("0 0 * * 1-5", |t| {
        let weekend = [Weekday::Sat, Weekday::Sun].contains(&t.weekday());
        t.minute() == 0 && t.hour() == 0 && !weekend
    }),
    ("0 0 13 * 5", |t| {
        t.minute() == 0 && t.hour() == 0 && (t.day() == 13 || t.weekday() == Weekday::Fri)
    }),
    ("30 */6 * * sun", |t| {
        t.minute() == 30 && t.hour() % 6 == 0 && t.weekday() == Weekday::Sun
    }),
    ("0 12 29 2 *", |t| {
        t.minute() == 0 && t.hour() == 12 && (t.month(), t.day()) == (2, 29)
    }),
];

async fn instants_between_now_and_the_stop_are_counted() {
    let bench = Bench::new().await;
    let mut balance = bench.balance().await;
    let stops = [
        TimeDelta::days(-1),
        TimeDelta::zero(),
        TimeDelta::minutes(1),
        TimeDelta::minutes(2),
        TimeDelta::minutes(10),
        TimeDelta::minutes(12),
        TimeDelta::hours(2),
        TimeDelta::days(2),
        TimeDelta::days(34),
        TimeDelta::days(365),
    ];
    for (cron, fires) in CRONS {
        for later in stops {
            let started = Utc::now();
            let stop = (started + later)
                .trunc_subsecs(0)
                .with_second(0)
                .expect("a minute");
            let change =
                json!({"cron": cron, "stop_time": stop.format("%d/%m/%Y %H:%M").to_string()});
            let made = bench.ask("ping", &change).await.expect_old(201);
            // The clock may have reached the next minute meanwhile.
            let fair = [
                instants(started, stop, *fires),
                instants(Utc::now(), stop, *fires),
            ];
            let price = made["credits"].as_i64().expect("a whole price");
            assert!(
                fair.contains(&price),
                "{cron} until {stop}: {price}, not {fair:?}"
            );
            balance -= price;
        }
    }
    assert_eq!(bench.balance().await, balance);
    bench.hub.check().await;
}

async fn everything_is_multiplied() {
    let mut bench = Bench::new().await;
    let second = bench.user.probe("second").await;
    let _worker = Worker::start(&bench.hub, &second, 1_000_000).await;
    let mut balance = bench.balance().await;
    let ips =
        |count: usize| -> Vec<String> { (1..=count).map(|n| format!("127.0.0.{n}")).collect() };
    let names = |count: usize| -> Vec<String> {
        (1..=count).map(|n| format!("h{n}.example.org")).collect()
    };
    // Nothing of this depends on the clock: the stop lies behind, so there is one instant.
    let behind = stop_in(TimeDelta::days(-1));
    for (kind, unit) in [("traceroute", 15), ("ping", 1), ("dns", 1)] {
        for (destinations, times, probes) in [
            (1, 1, 1),
            (3, 1, 1),
            (1, 7, 1),
            (1, 1, 2),
            (5, 60, 2),
            (100, 2, 1),
        ] {
            let mut change = json!({"stop_time": behind, "times_per_minute": times});
            if kind == "dns" {
                change["fqdns"] = json!(names(destinations));
            } else {
                let half = destinations / 2;
                change["ips"] = json!(ips(destinations - half));
                change["fqdns"] = json!(names(half));
            }
            let mut order = with_params(bench.order(kind), &change);
            if probes == 2 {
                order["probes"] = json!([bench.card.id, second.id]);
            }
            let made = bench.post(kind, &order).await.expect_old(201);
            let run = unit * i64::try_from(destinations).expect("a number");
            let price = run * times * probes;
            assert_eq!(made["credits"], json!(price), "{kind}: {change}");
            balance -= price;
            assert_eq!(bench.balance().await, balance);
            // What a probe is told is the price of one run.
            let assign = bench.worker.offered(id_of(&made)).await;
            assert_eq!(i64::from(assign.credits), run, "{kind}: {change}");
        }
    }
    bench.hub.check().await;
}

/// Twice as long as the replaced system allowed, sixty times a minute, for a probe of the usual size.
async fn a_small_probe_takes_a_long_operation() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let mut worker = Worker::start(&hub, &card, 121).await;
    let change = json!({"stop_time": stop_in(TimeDelta::days(364)), "times_per_minute": 60});
    let order = with_params(order("ping", &[&card]), &change);
    let made = old.post("/ping", &order).await.expect_old(201);
    assert!(made["credits"].as_i64() > Some(60 * 60 * 24 * 363));
    assert_eq!(worker.offered(id_of(&made)).await.credits, 1);
}

async fn a_probe_takes_what_fits() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let _worker = Worker::start(&hub, &card, 121).await;
    let ask = async |kind: &str, destinations: usize| {
        let ips: Vec<String> = (1..=destinations).map(|n| format!("127.0.0.{n}")).collect();
        let order = with_params(order(kind, &[&card]), &json!({"ips": ips}));
        old.post(&format!("/{kind}"), &order).await
    };
    let full = "No available probes";
    ask("traceroute", 9).await.expect_error(404, full);
    let _ = ask("traceroute", 8).await.expect_old(201);
    ask("traceroute", 1).await.expect_error(404, full);
    ask("ping", 2).await.expect_error(404, full);
    let _ = ask("ping", 1).await.expect_old(201);
    ask("ping", 1).await.expect_error(404, full);
    let shown = old.get("/probes").await.expect_old(200);
    assert_eq!(shown[0]["availability"], json!(0.0));
    // What an agent says is in use counts too.
    let other = ana.probe("busy").await;
    let busy = probe_protocol::Hello {
        total_credits: 121,
        in_use_credits: 120,
        ..hello(Vec::new())
    };
    let _session = FakeProbe::connect_as(&hub, &other.token, busy).await;
    let ask = async |kind: &str| {
        let order = order(kind, &[&other]);
        old.post(&format!("/{kind}"), &order).await
    };
    ask("traceroute").await.expect_error(404, full);
    let _ = ask("ping").await.expect_old(201);
}

async fn a_balance_is_spent_to_the_last_credit() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 31).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let _worker = Worker::start(&hub, &card, 1000).await;
    let behind = json!({"stop_time": stop_in(TimeDelta::days(-1))});
    let ask = async |kind: &str, times: u32| {
        let mut order = with_params(order(kind, &[&card]), &behind);
        order["params"]["times_per_minute"] = json!(times);
        old.post(&format!("/{kind}"), &order).await
    };
    let poor = "Not enough credits";
    ask("ping", 32).await.expect_error(400, poor);
    ask("traceroute", 3).await.expect_error(400, poor);
    let _ = ask("traceroute", 2).await.expect_old(201);
    ask("ping", 2).await.expect_error(400, poor);
    let _ = ask("ping", 1).await.expect_old(201);
    ask("ping", 1).await.expect_error(400, poor);
    assert_eq!(old.get("/users/me").await.expect_old(200)["credits"], 0);
    hub.check().await;
}

async fn what_is_paid_for_is_taken_and_rewarded() {
    let hub = Hub::start().await;
    let (ana, ben) = (hub.user("ana", 100).await, hub.user("ben", 0).await);
    let card = ben.probe("of ben").await;
    let mut probe = FakeProbe::connect(&hub, &card.token).await;
    let old = OldApi::of(&hub, &ana);
    let change = json!({"stop_time": stop_in(TimeDelta::zero()), "times_per_minute": 2});
    let order: Value = with_params(order("ping", &[&card]), &change);
    let made = old.post("/ping", &order).await.expect_old(201);
    assert_eq!(made["credits"], 2);
    let operation = probe.accept().await;
    for (name, ack) in [("1", true), ("2", true), ("2", true), ("3", false)] {
        let answer = probe.deliver(operation, name).await;
        assert_eq!(answer == Ack::Stored, ack, "{name}: {answer:?}");
    }
    // Who asked pays, who hosts earns, for each result once.
    assert_eq!((ana.credits().await, ben.credits().await), (98, 20));
    hub.check().await;
}

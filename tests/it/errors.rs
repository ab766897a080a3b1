//! Bad orders: every wrong field is named, nothing is stored.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tests::{Hub, TestUser, Trial, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        every_wrong_field_is_named_at_once,
        wrong_words_and_lists_are_named,
        parameters_are_held_to_their_kind,
        wrong_targets_are_named,
        wrong_schedules_are_named,
        a_public_hub_measures_public_addresses_only,
    ]
}

const SOME_PROBE: &str = "0123456789abcdef01234567";

/// An order without mistakes, for a probe that does not exist.
fn order() -> Value {
    json!({"kind": "ping", "targets": ["192.0.2.1"], "probes": [SOME_PROBE], "offline": "queue"})
}

/// The order with some fields changed; they are wrong, at these pointers.
async fn wrong(user: &TestUser, change: Value, pointers: &[&str]) {
    let mut order = order();
    for (name, value) in change.as_object().expect("changes") {
        order[name] = value.clone();
    }
    let answer = user.order(&order).await;
    assert_eq!(answer.status, 400, "{change}: {}", answer.text());
    assert_eq!(
        answer.wrong_fields(),
        pointers,
        "{change}: {}",
        answer.text()
    );
}

async fn wrong_targets_are_named() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let long = "a.".repeat(200);
    for target in [
        "",
        " ",
        "-f",
        "a b",
        "a;b",
        "$(reboot)",
        "`x`",
        "a|b",
        "a\nb",
        "a\0b",
        "192.0.2.1/24",
        "192.0.2.256",
        "0177.0.0.1",
        "2130706433",
        "127.1",
        "0x7f.1",
        "[192.0.2.1]",
        "[::1",
        "::1%eth0",
        "http://example.org",
        "a..b",
        "é\u{200f}",
        &long,
    ] {
        wrong(&ana, json!({"targets": [target]}), &["/targets/0"]).await;
    }
    for target in [json!(1), json!(null), json!(["192.0.2.1"]), json!({})] {
        wrong(
            &ana,
            json!({"targets": ["192.0.2.1", target]}),
            &["/targets/1"],
        )
        .await;
    }
    wrong(&ana, json!({"targets": []}), &["/targets"]).await;
    wrong(&ana, json!({"targets": "192.0.2.1"}), &["/targets"]).await;
    let many: Vec<String> = (0..101).map(|number| format!("192.0.2.{number}")).collect();
    wrong(&ana, json!({"targets": many}), &["/targets"]).await;
    // Two spellings of one address are one target.
    wrong(
        &ana,
        json!({"targets": ["2001:db8::1", "[2001:DB8:0::1]"]}),
        &["/targets/1"],
    )
    .await;
}

async fn a_public_hub_measures_public_addresses_only() {
    let hub = Hub::start_with(&[("TARGET_POLICY", "public")]).await;
    let ana = hub.user("ana", 100).await;
    for target in [
        "127.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "[::1]",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "localhost",
        "router.local",
    ] {
        wrong(&ana, json!({"targets": [target]}), &["/targets/0"]).await;
    }
    wrong(
        &ana,
        json!({"kind": "dns", "params": {"server": "127.0.0.1"}}),
        &["/params/server"],
    )
    .await;
    let mut fine = order();
    fine["targets"] = json!(["8.8.8.8", "2606:4700::1111", "example.org"]);
    ana.order(&fine)
        .await
        .expect_problem(422, "no_available_probe");
}

async fn every_wrong_field_is_named_at_once() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let all_wrong = json!({
        "kind": "ping", "params": {"size": 0, "colour": "red", "method": "udp; reboot"}, "targets": ["192.0.2.1", "-f", "192.0.2.1"],
        "schedule": {"cron": "* * * *", "times_per_minute": 61, "stop_time": "tomorrow", "often": true},
        "probes": [SOME_PROBE, "x"], "offline": "wait", "result_format": "xml", "a/b~c": 1,
    });
    let pointers = [
        "/a~1b~0c",
        "/offline",
        "/params/colour",
        "/params/method",
        "/params/size",
        "/probes/1",
        "/result_format",
        "/schedule/cron",
        "/schedule/often",
        "/schedule/stop_time",
        "/schedule/times_per_minute",
        "/targets/1",
    ];
    assert_eq!(ana.order(&all_wrong).await.wrong_fields(), pointers);
    assert_eq!(
        ana.order(&json!({})).await.wrong_fields(),
        ["/kind", "/probes", "/targets"]
    );
    for body in [json!([]), json!("x"), json!(5), Value::Null] {
        assert!(
            ana.order(&body)
                .await
                .wrong_fields()
                .contains(&String::new()),
            "{body}"
        );
    }
    assert_eq!(hub.number("select count(*) from operations").await, 0);
    assert_eq!(ana.credits().await, 100);
}

async fn wrong_words_and_lists_are_named() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    // Without mistakes it is only that there is no such probe.
    ana.order(&order())
        .await
        .expect_problem(422, "no_available_probe");
    for kind in [
        json!("Ping"),
        json!("http"),
        json!(5),
        json!(["ping"]),
        json!({}),
    ] {
        wrong(&ana, json!({"kind": kind}), &["/kind"]).await;
    }
    wrong(&ana, json!({"probes": SOME_PROBE}), &["/probes"]).await;
    wrong(&ana, json!({"probes": []}), &["/probes"]).await;
    wrong(
        &ana,
        json!({"probes": [SOME_PROBE, SOME_PROBE]}),
        &["/probes/1"],
    )
    .await;
    wrong(&ana, json!({"offline": true}), &["/offline"]).await;
}

/// Wrong values, as JSON lists, by kind and parameter.
const WRONG_PARAMETERS: &[(&str, &str, &str)] = &[
    ("ping", "probecount", r#"[0, 101, "5", 5.0, -1, [5], true]"#),
    ("ping", "size", "[0, 256, 18446744073709551615]"),
    (
        "ping",
        "method",
        r#"["icmp", "ICMP-ECHO", "udp -P tcp", 1]"#,
    ),
    ("ping", "maxttl", "[5]"),
    ("traceroute", "confidence", r#"[1, -0.1, "0.5"]"#),
    ("traceroute", "method", r#"["icmp-echo", "$(reboot)"]"#),
    ("traceroute", "attempts", "[0, 11]"),
    ("dns", "type", r#"["A", "axfr +short", "a\n"]"#),
    (
        "dns",
        "server",
        r#"["ns.example", "127.0.0.1; reboot", "0177.0.0.1", 1]"#,
    ),
    ("dns", "port", r#"[0, 65536, "53"]"#),
    ("dns", "probecount", "[5]"),
];

async fn parameters_are_held_to_their_kind() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    for (kind, name, values) in WRONG_PARAMETERS {
        let values: Vec<Value> = serde_json::from_str(values).expect("a list");
        for value in values {
            let change = json!({"kind": kind, "params": {*name: value}});
            wrong(&ana, change, &[&format!("/params/{name}")]).await;
        }
    }
    wrong(&ana, json!({"params": []}), &["/params"]).await;
    wrong(&ana, json!({"params": "probecount=5"}), &["/params"]).await;
}

/// Not of the dialect that both ends read.
const WRONG_CRONS: &[&str] = &[
    "",
    "* * * * * *",
    "@daily",
    "60 * * * *",
    "5/15 * * * *",
    "* * L * *",
    "* * * * mon#1",
    "*/0 * * * *",
    "0 0 30 2 *",
];

async fn wrong_schedules_are_named() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let fine = json!({"cron": "* * * * *", "times_per_minute": 1, "stop_time": Utc::now() + TimeDelta::days(1)});
    let one_wrong = async |name: &str, value: Value| {
        let mut schedule = fine.clone();
        schedule[name] = value;
        wrong(
            &ana,
            json!({"schedule": schedule}),
            &[&format!("/schedule/{name}")],
        )
        .await;
    };
    for cron in WRONG_CRONS {
        one_wrong("cron", json!(cron)).await;
    }
    for times in [json!(0), json!(61), json!("1"), json!(1.5)] {
        one_wrong("times_per_minute", times).await;
    }
    let (past, far) = (
        Utc::now() - TimeDelta::seconds(1),
        Utc::now() + TimeDelta::days(367),
    );
    for stop in [
        json!(past),
        json!(far),
        json!("2026-13-01T00:00:00Z"),
        json!("tomorrow"),
        json!(1_800_000_000),
    ] {
        one_wrong("stop_time", stop).await;
    }
    let soon = Utc::now() + TimeDelta::minutes(1);
    let never = json!({"cron": "0 0 29 2 *", "stop_time": soon});
    wrong(&ana, json!({"schedule": never}), &["/schedule/cron"]).await;
    wrong(
        &ana,
        json!({"schedule": {}}),
        &["/schedule/cron", "/schedule/stop_time"],
    )
    .await;
    wrong(&ana, json!({"schedule": "* * * * *"}), &["/schedule"]).await;
}

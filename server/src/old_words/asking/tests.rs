//! What the old frontend asks for becomes an order, or is wrong.

use probe_protocol::{Kind, Measurement, ResultFormat};
use proptest::prelude::*;

use super::*;
use crate::domain::{Offline, operation::planned_runs};

const PROBE: &str = "0123456789abcdef01234567";

/// 2027-01-15 08:00:45 UTC.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_045, 0).unwrap()
}

/// A good body, with some parameters changed; `null` takes one away.
fn body(changes: Value) -> Value {
    let mut body = json!({ "probes": [PROBE], "result_format": "json", "operation": "x", "params": {
        "fqdns": ["example.org"], "cron": "*/5 * * * *", "stop_time": "15/01/2027 09:00", "times_per_minute": 2,
    }});
    for (name, value) in changes.as_object().unwrap() {
        body["params"][name] = value.clone();
    }
    body["params"]
        .as_object_mut()
        .unwrap()
        .retain(|_, value| *value != "-gone-");
    body
}

fn asked(kind: Kind, changes: Value) -> Result<Order, Wrong> {
    read(kind, &body(changes), TargetPolicy::Any, now())
}

#[test]
fn a_good_one_becomes_an_order() {
    let changes = json!({ "ips": ["192.0.2.1"], "wait-probe": "5", "colour": { "b": [1] } });
    let order = asked(Kind::Traceroute, changes.clone()).unwrap();
    let targets: Vec<String> = order.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["example.org", "192.0.2.1"]);
    assert_eq!(order.as_sent, Some(body(changes)["params"].clone()));
    assert_eq!(order.offline, Offline::Skip);
    let params = order.measurement.params().unwrap();
    assert_eq!(params, json!({ "wait_probe": 5 }));
    let schedule = order.schedule.unwrap();
    assert_eq!(schedule.cron.as_str(), "*/5 * * * *");
    assert_eq!(schedule.stop_time.to_rfc3339(), "2027-01-15T09:00:00+00:00");
    assert_eq!(planned_runs(Some(&schedule), now()), 22);
}

#[test]
fn anything_else_is_wrong() {
    let long = "x".repeat(MOST_SENT);
    for changes in [
        json!({ "fqdns": "-gone-" }),
        json!({ "fqdns": [] }),
        json!({ "fqdns": "example.org" }),
        json!({ "fqdns": null }),
        json!({ "fqdns": [5] }),
        json!({ "fqdns": ["-x"] }),
        json!({ "fqdns": ["a", "a"] }),
        json!({ "ips": "1.1.1.1" }),
        json!({ "ips": 5 }),
        json!({ "ips": ["example.net"] }),
        json!({ "ips": ["192.0.2.1'; reboot; '"] }),
        json!({ "cron": "-gone-" }),
        json!({ "cron": 5 }),
        json!({ "cron": "* * * * * *" }),
        json!({ "cron": "0 0 30 2 *" }),
        json!({ "stop_time": "-gone-" }),
        json!({ "stop_time": 5 }),
        json!({ "stop_time": "15/01/2027" }),
        json!({ "stop_time": "17/01/2028 09:00" }),
        json!({ "cron": "0 0 29 2 *", "stop_time": "01/01/2030 00:00" }),
        json!({ "cron": "0 0 30 2 *", "stop_time": "15/01/2027 07:00" }),
        json!({ "times_per_minute": "-gone-" }),
        json!({ "times_per_minute": null }),
        json!({ "times_per_minute": true }),
        json!({ "times_per_minute": "2" }),
        json!({ "times_per_minute": 0 }),
        json!({ "times_per_minute": -100 }),
        json!({ "times_per_minute": 1.5 }),
        json!({ "times_per_minute": 61 }),
        json!({ "times_per_minute": 0, "stop_time": "15/01/2027 07:00" }),
        json!({ "size": 256 }),
        json!({ "size": 1.5 }),
        json!({ "dport": "1'; touch F; echo '" }),
        json!({ "method": "icmp-echo; reboot" }),
        json!({ "long": long }),
    ] {
        assert_eq!(
            asked(Kind::Ping, changes.clone()).err(),
            Some(Wrong::Data),
            "{changes}"
        );
    }
    for change in ["probes", "params"] {
        for value in [json!(null), json!("x"), json!(5), json!([])] {
            let mut body = body(json!({}));
            body[change] = value;
            let read = read(Kind::Ping, &body, TargetPolicy::Any, now());
            assert_eq!(read.err(), Some(Wrong::Data), "{body}");
        }
    }
    for body in [json!([]), json!(null), json!({}), json!("x")] {
        let read = read(Kind::Ping, &body, TargetPolicy::Any, now());
        assert_eq!(read.err(), Some(Wrong::Data), "{body}");
    }
}

#[test]
fn wrong_probes_are_told_apart() {
    let with = |probes: Value, changes: Value| {
        let mut body = body(changes);
        body["probes"] = probes;
        read(Kind::Ping, &body, TargetPolicy::Any, now()).err()
    };
    for probes in [json!(["x"]), json!([5]), json!([PROBE, PROBE])] {
        assert_eq!(
            with(probes.clone(), json!({})),
            Some(Wrong::Probes),
            "{probes}"
        );
        let both = with(probes, json!({ "size": 0 }));
        assert_eq!(both, Some(Wrong::Data), "the rest is judged first");
    }
}

#[test]
fn only_traceroute_is_asked_for_its_format() {
    let with = |kind, format: Value| {
        let mut body = body(json!({}));
        body["result_format"] = format;
        read(kind, &body, TargetPolicy::Any, now()).map(|order| order.result_format)
    };
    assert_eq!(
        with(Kind::Traceroute, json!("dump")),
        Ok(ResultFormat::Dump)
    );
    for format in [json!(null), json!("xml"), json!("text"), json!(5)] {
        assert_eq!(with(Kind::Traceroute, format.clone()), Err(Wrong::Data));
        assert_eq!(with(Kind::Ping, format), Ok(ResultFormat::Json));
    }
    assert_eq!(with(Kind::Dns, json!("dump")), Ok(ResultFormat::Json));
}

#[test]
fn dns_is_asked_by_name() {
    let good =
        json!({ "ips": [], "type": "mx", "ipv4": "", "name": ["example.org"], "x": "192.0.2.1" });
    let order = asked(Kind::Dns, good).unwrap();
    assert!(matches!(order.measurement, Measurement::Dns(_)));
    for changes in [
        json!({ "fqdns": "-gone-" }),
        json!({ "fqdns": "-gone-", "name": "example.org" }),
        json!({ "ips": ["192.0.2.1"] }),
        json!({ "type": "MX" }),
        json!({ "ipv4": "", "ipv6": "" }),
        json!({ "address": "127.0.0.1; touch F" }),
        json!({ "name": "-f /etc/passwd" }),
        json!({ "name": ["example.org", 5] }),
        json!({ "name": {} }),
        json!({ "x": "example.org" }),
        json!({ "x": null }),
    ] {
        assert_eq!(
            asked(Kind::Dns, changes.clone()).err(),
            Some(Wrong::Data),
            "{changes}"
        );
    }
}

#[test]
fn what_is_over_runs_in_one_minute() {
    for (cron, stop) in [
        ("* * * * *", "15/01/2027 08:00"),
        ("* * * * *", "01/01/1999 00:00"),
        ("0 12 * * *", "15/01/2027 09:00"),
    ] {
        let changes = json!({ "cron": cron, "stop_time": stop, "times_per_minute": 3.0 });
        let order = asked(Kind::Ping, changes).unwrap();
        let schedule = order.schedule.unwrap();
        // At least 30 seconds after 08:00:45.
        assert_eq!(schedule.cron.as_str(), "2 8 15 1 *");
        assert_eq!(schedule.stop_time.to_rfc3339(), "2027-01-15T08:03:00+00:00");
        assert_eq!(planned_runs(Some(&schedule), now()), 3);
        assert_eq!(order.as_sent.unwrap()["stop_time"], stop);
    }
}

/// Values that users wrote to do harm, among good ones.
fn values() -> impl Strategy<Value = Value> {
    const VALUES: &[&str] = &[
        r#""1'; touch F; echo '""#,
        r#""127.0.0.1; touch F""#,
        r#"["127.0.0.1", "$(reboot)"]"#,
        r#"["example.org\n* * * * * reboot"]"#,
        r#"["%", "-x"]"#,
        r#""5""#,
        "5",
        "5.0",
        "-1",
        "1e400",
        "true",
        "null",
        r#""""#,
        r#""udp-paris""#,
        r#""icp""#,
        r#""mx""#,
        r#""192.0.2.1""#,
        r#"["192.0.2.1"]"#,
        r#"["example.org"]"#,
        "[]",
        r#""* * * * *""#,
        r#""15/01/2027 09:00""#,
    ];
    let listed = prop::sample::select(VALUES);
    let listed = listed.prop_map(|text| serde_json::from_str(text).unwrap_or(json!("huge")));
    prop_oneof![4 => listed, 1 => ".{0,12}".prop_map(Value::from)]
}

fn names() -> impl Strategy<Value = &'static str> {
    const NAMES: &[&str] = &[
        "dport",
        "sport",
        "firsthop",
        "icmp-sum",
        "confidence",
        "method",
        "wait",
        "wait-probe",
        "size",
        "timeout",
        "type",
        "address",
        "ipv4",
        "name",
        "x",
        "ips",
        "fqdns",
        "cron",
        "stop_time",
        "times_per_minute",
        "server",
        "wait_probe",
    ];
    prop::sample::select(NAMES)
}

proptest! {
    /// Whatever is sent: no panic, and of what is taken nothing goes to probes that a shell could misread.
    #[test]
    fn nothing_unsafe_is_sent(changes in prop::collection::hash_map(names(), values(), 0..4)) {
        let changes: Map<String, Value> =
            changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for kind in Kind::ALL {
            let Ok(order) = asked(*kind, changes.clone().into()) else { continue };
            let targets: Vec<String> = order.targets.iter().map(ToString::to_string).collect();
            let cron = order.schedule.map(|schedule| schedule.cron.to_string()).unwrap_or_default();
            let params = order.measurement.params().unwrap().to_string();
            let params: String = params.chars().filter(|c| !"{}\",".contains(*c)).collect();
            let safe = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c));
            prop_assert!(targets.iter().all(|target| safe(target) && !target.starts_with('-')));
            prop_assert!(cron.chars().all(|c| c.is_ascii_alphanumeric() || "*/,- ".contains(c)), "{}", cron);
            prop_assert!(safe(&params), "{}", params);
        }
    }
}

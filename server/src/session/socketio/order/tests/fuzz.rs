//! Bodies of requests for operations, old and of version 1: what is taken becomes words for an old agent that mean
//! nothing to its shell.

use ::fuzz::Target as Fuzzed;
use chrono::TimeZone as _;
use probe_protocol::{Cron, OperationId, TargetPolicy, UserId};

use super::*;
use crate::{
    domain::{Invalid, Order, Plan},
    old_words::asking,
};

const WORDS: &[&str] = &[
    "\"kind\":\"ping\"",
    "\"kind\":\"traceroute\"",
    "\"kind\":\"dns\"",
    "\"params\":{",
    "\"targets\":[",
    "\"schedule\":{",
    "\"fqdns\":",
    "\"ips\":",
    "\"cron\":\"",
    "\"times_per_minute\":",
    "\"stop_time\":\"",
    "\"probes\":[\"0123456789abcdef01234567\"]",
    "\"offline\":\"queue\"",
    "\"result_format\":\"dump\"",
    "\"wait-probe\":",
    "\"icmp-sum\":",
    "\"confidence\":",
    "\"probecount\":",
    "\"method\":\"icp\"",
    "\"method\":\"tcp\"",
    "\"type\":",
    "\"address\":",
    "\"ipv4\":\"\"",
    "\"ip_version\":\"6\"",
    "\"server\":",
    "2026-03-02T00:00:00Z",
    "02/03/2026 10:00",
    "*/5 * * * *",
    "0 0 30 2 *",
    "a.example",
    "192.0.2.1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "`reboot`",
    "\\u0027",
    "5.0",
];

/// Whether nothing in a text means anything to a shell.
fn is_harmless(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || " -._:/@,*".contains(c);
    text.chars().all(fits)
}

fn check_all_texts(value: &Value) {
    match value {
        Value::String(text) => assert!(is_harmless(text), "{text}"),
        Value::Array(items) => items.iter().for_each(check_all_texts),
        Value::Object(map) => {
            for (name, value) in map {
                assert!(is_harmless(name), "{name}");
                check_all_texts(value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

fn check_order(order: Order) -> String {
    let kind = order.measurement.kind();
    let plan = Plan::of(
        order,
        OperationId::NONE,
        UserId::NONE,
        TimeDelta::zero(),
        now(),
    );
    let plan = plan.unwrap();
    assert!(plan.planned_runs > 0 && plan.expires_at > now());
    let assign = plan.assign();
    let fitting = fits(&assign);
    let told = payload(&assign, &assign.targets, now());
    check_all_texts(&told);
    let params = told["params"].as_object().unwrap();
    params["cron"].as_str().unwrap().parse::<Cron>().unwrap();
    let stop = stop_time::parse(params["stop_time"].as_str().unwrap()).unwrap();
    assert!(stop > now());
    for target in ["ips", "fqdns"].iter().filter_map(|name| params.get(*name)) {
        for target in target.as_array().unwrap() {
            assert!(target.as_str().unwrap().parse::<Target>().is_ok());
        }
    }
    for word in params
        .get("name")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let word = word.as_str().unwrap();
        assert!(!word.contains(' ') && !word.is_empty(), "{word:?}");
        assert!(
            !word.starts_with('-') || ["-q", "-t", "-p"].contains(&word),
            "{word}"
        );
    }
    let first = params.keys().next();
    format!("{kind} {} {first:?} {fitting:?}", params.len())
}

/// The front of what is wrong, in whichever words.
fn sort_of_wrong(Invalid(errors): &Invalid) -> String {
    let first = &errors[0];
    let path = first.pointer.trim_end_matches(|c: char| c.is_ascii_digit());
    // A parameter's name may be anything.
    let path: String = path.chars().take(20).collect();
    format!("{path} {}", ::fuzz::sort_of(&first.detail))
}

#[test]
fn orders() {
    let target = Fuzzed::new("orders").words(WORDS).heap(128 * 1024, 1024);
    target.run(|input| {
        let body: Value = serde_json::from_slice(input).ok()?;
        let of_version_1 = match Order::read(&body, TargetPolicy::Any, now()) {
            Ok(order) => check_order(order),
            Err(invalid) => sort_of_wrong(&invalid),
        };
        let old = Kind::ALL.iter().map(|kind| {
            match asking::read(*kind, &body, TargetPolicy::Public, now()) {
                Ok(order) => {
                    let sent = order
                        .as_sent
                        .as_ref()
                        .map_or(0, |sent| sent.to_string().len());
                    assert!((1..=asking::MOST_SENT).contains(&sent));
                    check_order(order)
                }
                Err(wrong) => format!("{wrong:?}"),
            }
        });
        Some((of_version_1, old.collect::<Vec<_>>()))
    });
}

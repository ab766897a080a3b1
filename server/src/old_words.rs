//! How the system that this one replaces writes operations: names of parameters, formats and times, in both directions.
//! Its frontend, its agents and its database use the same words, so `http::old`, `session::socketio` and `transfer`
//! share them. Pure.

use probe_protocol::{Kind, ResultFormat, Target};
use serde_json::{Map, Number, Value, json};

use crate::domain::Plan;

pub(crate) mod asking;
pub(crate) mod remains;
pub(crate) mod stop_time;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A whole number; the old paths also take it as `5.0` and as text.
    Whole,
    /// Any number, or as text.
    Fraction,
    /// One of these words. Version 1 may know more of them than there ever were at the old paths.
    Word(&'static [&'static str]),
    /// A text.
    Text,
}
use Form::{Fraction, Text, Whole, Word};

/// A parameter: what it was called, what version 1 calls it, how it is written. Any other is kept as it was sent and
/// not sent on.
type Known = (&'static str, &'static str, Form);

const TRACEROUTE_METHODS: &[&str] = &["udp-paris", "icmp-paris", OLD_TCP.0];
const PING_METHODS: &[&str] = &[
    "icmp-echo",
    "icmp-time",
    "tcp-syn",
    "tcp-ack",
    "tcp-ack-sport",
    "udp",
    "udp-dport",
];
const DNS_TYPES: &[&str] = &["a", "any", "axfr", "hinfo", "mx", "ns", "soa", "txt"];

const TRACEROUTE: &[Known] = &[
    ("confidence", "confidence", Fraction),
    ("method", "method", Word(TRACEROUTE_METHODS)),
    ("dport", "dport", Whole),
    ("sport", "sport", Whole),
    ("firsthop", "firsthop", Whole),
    ("maxttl", "maxttl", Whole),
    ("attempts", "attempts", Whole),
    ("wait", "wait", Whole),
    ("wait-probe", "wait_probe", Whole),
];

const PING: &[Known] = &[
    ("probecount", "probecount", Whole),
    ("icmp-sum", "icmp_sum", Whole),
    ("dport", "dport", Whole),
    ("sport", "sport", Whole),
    ("wait", "wait", Whole),
    ("method", "method", Word(PING_METHODS)),
    ("size", "size", Whole),
    ("timeout", "timeout", Whole),
];

const DNS: &[Known] = &[
    ("type", "type", Word(DNS_TYPES)),
    ("address", "source_address", Text),
];

/// What dns has a parameter of its own for each value of.
const IP_VERSIONS: &[(&str, &str)] = &[("ipv4", "4"), ("ipv6", "6")];

/// A method of traceroute: the old word and that of version 1.
const OLD_TCP: (&str, &str) = ("icp", "tcp");

fn table(kind: Kind) -> &'static [Known] {
    match kind {
        Kind::Traceroute => TRACEROUTE,
        Kind::Ping => PING,
        Kind::Dns => DNS,
    }
}

/// The known ones among old parameters, as version 1 calls and writes them; `None` where one cannot be written so.
pub(crate) fn known(kind: Kind, params: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    for (old, new, form) in table(kind) {
        if let Some(value) = params.get(*old) {
            let mut value = written(*form, value)?;
            if kind == Kind::Traceroute && value == OLD_TCP.0 {
                value = OLD_TCP.1.into();
            }
            found.insert((*new).to_owned(), value);
        }
    }
    for (old, version) in IP_VERSIONS {
        if kind == Kind::Dns
            && let Some(value) = params.get(*old)
        {
            let second = found.insert("ip_version".to_owned(), (*version).into());
            if value != "" || second.is_some() {
                return None;
            }
        }
    }
    Some(found)
}

/// A value as version 1 writes it. Nothing else is looked at: version 1 knows the limits.
fn written(form: Form, value: &Value) -> Option<Value> {
    match (form, value) {
        (Whole, Value::Number(_)) => Some(whole(value)),
        (Whole, Value::String(text)) => Some(whole(&numeric(text)?)),
        (Word(words), Value::String(text)) if !words.contains(&text.as_str()) => None,
        (Fraction, Value::Number(_)) | (Word(_) | Text, Value::String(_)) => Some(value.clone()),
        (Fraction, Value::String(text)) => numeric(text),
        _ => None,
    }
}

fn numeric(text: &str) -> Option<Value> {
    let number = text.trim().parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

/// The largest number below which floats name every whole number.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// `5` where `5.0` stands; anything else as it is.
pub(crate) fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < MOST_WHOLE => {
            json!(number as i64)
        }
        _ => value.clone(),
    }
}

/// The parameters of an operation: as they were sent, or made of what version 1 was told.
pub(crate) fn params(plan: &Plan) -> Value {
    if let Some(sent) = &plan.as_sent {
        return sent.clone();
    }
    let mut map = measurement(plan.kind, &plan.params, &plan.targets);
    if let Some(schedule) = &plan.schedule {
        let stop_time = stop_time::show(schedule.stop_time);
        map.insert("cron".to_owned(), json!(schedule.cron));
        map.insert(
            "times_per_minute".to_owned(),
            json!(schedule.times_per_minute),
        );
        map.insert("stop_time".to_owned(), stop_time.into());
    }
    map.into()
}

/// Parameters and targets of version 1 in one object.
pub(crate) fn measurement(kind: Kind, params: &Value, targets: &[Target]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in params.as_object().into_iter().flatten() {
        let known = table(kind).iter().find(|(_, new, _)| new == name);
        let (name, value) = match known {
            Some((old, ..)) if kind == Kind::Traceroute && value == OLD_TCP.1 => {
                (*old, OLD_TCP.0.into())
            }
            Some((old, ..)) => (*old, value.clone()),
            None => match IP_VERSIONS.iter().find(|(_, version)| value == version) {
                Some((old, _)) if name == "ip_version" => (*old, "".into()),
                // The old words have nothing for it.
                _ => (name.as_str(), value.clone()),
            },
        };
        map.insert(name.to_owned(), value);
    }
    let is_address = |target: &&Target| matches!(target, Target::Address(_));
    let (ips, fqdns): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(is_address);
    for (name, list) in [("fqdns", fqdns), ("ips", ips)] {
        if !list.is_empty() {
            map.insert(name.to_owned(), json!(list));
        }
    }
    map
}

/// The word for the format of an operation's results.
pub(crate) fn result_format(kind: Kind, format: ResultFormat) -> &'static str {
    match (kind, format) {
        (Kind::Dns, _) => "text",
        (_, ResultFormat::Json) => "json",
        (_, ResultFormat::Dump) => "dump",
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use probe_protocol::{OperationId, TargetPolicy, UserId};

    use super::*;
    use crate::domain::Order;

    fn translated(kind: Kind, params: Value) -> Option<Value> {
        known(kind, params.as_object().unwrap()).map(Value::from)
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for (value, expected) in [
            (json!(5), json!(5)),
            (json!(5.0), json!(5)),
            (json!("5"), json!(5)),
            (json!(" 5.0"), json!(5)),
            (json!(-1), json!(-1)),
            // Version 1 refuses these.
            (json!(1.5), json!(1.5)),
            (json!("1.5"), json!(1.5)),
            (json!(1e300), json!(1e300)),
        ] {
            let found = translated(Kind::Ping, json!({ "size": value })).unwrap();
            assert_eq!(found, json!({ "size": expected }), "{value}");
        }
        for value in [
            json!(null),
            json!(true),
            json!([5]),
            json!(""),
            json!("five"),
            json!("inf"),
            json!("nan"),
            json!("5; reboot"),
        ] {
            let params = json!({ "size": value });
            assert_eq!(translated(Kind::Ping, params), None, "{value}");
        }
        let share = |value: Value| translated(Kind::Traceroute, json!({ "confidence": value }));
        assert_eq!(share(json!("0.95")), Some(json!({ "confidence": 0.95 })));
        assert_eq!(share(json!(0.95)), Some(json!({ "confidence": 0.95 })));
        assert_eq!(share(json!(null)), None);
    }

    #[test]
    fn names_are_translated_and_unknown_ones_left_out() {
        let params =
            json!({ "wait-probe": 1, "wait_probe": 2, "method": "icp", "size": 3, "x": "y" });
        assert_eq!(
            translated(Kind::Traceroute, params),
            Some(json!({ "method": "tcp", "wait_probe": 1 }))
        );
        let params = json!({ "icmp-sum": "7", "method": "udp", "ipv4": 5 });
        assert_eq!(
            translated(Kind::Ping, params),
            Some(json!({ "icmp_sum": 7, "method": "udp" }))
        );
        let method = |kind, word: &str| translated(kind, json!({ "method": word }));
        assert_eq!(method(Kind::Traceroute, "tcp"), None);
        assert_eq!(method(Kind::Ping, "icp"), None);
        let dns = |params| translated(Kind::Dns, params);
        assert_eq!(
            dns(json!({ "type": "mx", "address": "192.0.2.9", "ipv6": "" })),
            Some(json!({ "type": "mx", "source_address": "192.0.2.9", "ip_version": "6" }))
        );
        for params in [
            json!({ "ipv4": "", "ipv6": "" }),
            json!({ "ipv4": true }),
            json!({ "ipv6": "x" }),
            json!({ "type": null }),
            json!({ "type": "aaaa" }),
            json!({ "address": 5 }),
        ] {
            assert_eq!(dns(params.clone()), None, "{params}");
        }
    }

    /// What version 1 was asked for, in the old words.
    fn shown(order: &Value) -> Value {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let order = Order::read(order, TargetPolicy::Any, now).unwrap();
        let (id, owner) = (OperationId::new(), UserId::new());
        params(&Plan::of(order, id, owner, TimeDelta::zero(), now).unwrap())
    }

    #[test]
    fn operations_of_version_1_are_shown_in_the_old_words() {
        let probes = json!(["0123456789abcdef01234567"]);
        let order = json!({ "kind": "traceroute", "params": { "method": "tcp", "wait_probe": 1 },
            "targets": ["192.0.2.1", "example.org", "2001:db8::1"], "probes": probes,
            "schedule": { "cron": "*/5 * * * *", "stop_time": "2027-01-16T00:00:30Z" } });
        let expected = json!({ "method": "icp", "wait-probe": 1, "fqdns": ["example.org"],
            "ips": ["192.0.2.1", "2001:db8::1"], "cron": "*/5 * * * *", "times_per_minute": 1,
            "stop_time": "16/01/2027 00:01" });
        assert_eq!(shown(&order), expected);
        let order = json!({ "kind": "dns", "targets": ["example.org"], "probes": probes,
            "params": { "type": "mx", "ip_version": "4", "source_address": "192.0.2.9", "server": "192.0.2.53" } });
        let expected = json!({ "type": "mx", "ipv4": "", "address": "192.0.2.9", "server": "192.0.2.53",
            "fqdns": ["example.org"] });
        assert_eq!(shown(&order), expected);
    }
}

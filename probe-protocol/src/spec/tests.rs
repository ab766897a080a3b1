use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Every whole-number parameter: (kind, name, lowest, highest).
const NUMBERS: &[(Kind, &str, u32, u32)] = &[
    (Kind::Ping, "probecount", 1, 100),
    (Kind::Ping, "icmp_sum", 0, 65_535),
    (Kind::Ping, "dport", 1, 65_535),
    (Kind::Ping, "sport", 1, 65_535),
    (Kind::Ping, "wait", 1, 20),
    (Kind::Ping, "size", 1, 255),
    (Kind::Ping, "timeout", 0, 100),
    (Kind::Traceroute, "dport", 1, 65_535),
    (Kind::Traceroute, "sport", 1, 65_535),
    (Kind::Traceroute, "firsthop", 1, 255),
    (Kind::Traceroute, "maxttl", 1, 255),
    (Kind::Traceroute, "attempts", 1, 10),
    (Kind::Traceroute, "wait", 1, 20),
    (Kind::Traceroute, "wait_probe", 0, 100),
    (Kind::Dns, "port", 1, 65_535),
];

/// Every parameter that is a word of a list.
const WORDS: &[(Kind, &str, &[&str])] = &[
    (
        Kind::Ping,
        "method",
        &[
            "icmp-echo",
            "icmp-time",
            "tcp-syn",
            "tcp-ack",
            "tcp-ack-sport",
            "udp",
            "udp-dport",
        ],
    ),
    (
        Kind::Traceroute,
        "method",
        &["udp-paris", "icmp-paris", "tcp"],
    ),
    (
        Kind::Dns,
        "type",
        &[
            "a", "aaaa", "any", "axfr", "caa", "cname", "dnskey", "ds", "hinfo", "https", "mx",
            "ns", "ptr", "soa", "srv", "txt",
        ],
    ),
    (Kind::Dns, "ip_version", &["4", "6"]),
];

const ADDRESSES: &[(Kind, &str)] = &[(Kind::Dns, "server"), (Kind::Dns, "source_address")];

fn parse(kind: Kind, params: &Value) -> Result<Measurement, serde_json::Error> {
    Measurement::parse(kind, params)
}

fn accepts(kind: Kind, name: &str, value: &Value) {
    let params = json!({ name: value });
    let parsed = parse(kind, &params).unwrap_or_else(|error| panic!("{kind} {params}: {error}"));
    assert_eq!(parsed.kind(), kind);
    assert_eq!(parsed.params().unwrap(), params);
}

fn refuses(kind: Kind, name: &str, value: &Value) {
    let params = json!({ name: value });
    assert!(parse(kind, &params).is_err(), "{kind} {params}");
}

#[test]
fn numbers_are_held_to_their_limits() {
    for &(kind, name, min, max) in NUMBERS {
        for number in [min, min + 1, max - 1, max] {
            accepts(kind, name, &json!(number));
        }
        for wrong in [
            json!(i64::from(min) - 1),
            json!(max + 1),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!((1u64 << 32) + u64::from(min)),
            json!(f64::from(min)),
            json!(f64::from(min) + 0.5),
            json!(min.to_string()),
            json!(true),
            json!([min]),
            json!({ "n": min }),
            json!(""),
        ] {
            refuses(kind, name, &wrong);
        }
        let text = format!("a whole number from {min} to {max}");
        let error = parse(kind, &json!({ name: "x" })).unwrap_err().to_string();
        assert!(error.contains(&text), "{error}");
    }
}

#[test]
fn words_and_addresses_are_of_their_lists() {
    for &(kind, name, words) in WORDS {
        for word in words {
            accepts(kind, name, &json!(word));
            refuses(kind, name, &json!(word.to_uppercase() + "x"));
            refuses(kind, name, &json!(format!("{word} ")));
        }
        for wrong in [
            json!(""),
            json!("; reboot"),
            json!(4),
            json!(true),
            json!([words[0]]),
            json!({}),
            json!("icp"),
        ] {
            refuses(kind, name, &wrong);
        }
    }
    for &(kind, name) in ADDRESSES {
        accepts(kind, name, &json!("192.0.2.1"));
        accepts(kind, name, &json!("2001:db8::1"));
        for wrong in [
            json!(""),
            json!("127.1"),
            json!("01.2.3.4"),
            json!("[::1]"),
            json!("fe80::1%eth0"),
            json!("example.org"),
            json!(" 1.1.1.1"),
            json!("1.1.1.1:53"),
            json!(1),
            json!(true),
            json!([1, 1, 1, 1]),
            json!({"V4": [1, 1, 1, 1]}),
        ] {
            refuses(kind, name, &wrong);
        }
    }
}

#[test]
fn confidence_is_a_share() {
    for share in [json!(0.0), json!(0.5), json!(0.95), json!(0.99)] {
        accepts(Kind::Traceroute, "confidence", &share);
    }
    for share in [
        json!(-0.01),
        json!(0.991),
        json!(1),
        json!(99),
        json!(-1),
        json!("0.5"),
        json!(true),
        json!([0.5]),
        json!(1e300),
    ] {
        refuses(Kind::Traceroute, "confidence", &share);
    }
    let zero = |value: Value| {
        parse(Kind::Traceroute, &json!({ "confidence": value }))
            .unwrap()
            .params()
            .unwrap()
    };
    assert_eq!(zero(json!(0)).to_string(), r#"{"confidence":0.0}"#);
    assert_eq!(zero(json!(-0.0)).to_string(), r#"{"confidence":0.0}"#);
    for odd in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -f64::MIN_POSITIVE,
    ] {
        assert!(Confidence::try_from(odd).is_err(), "{odd}");
    }
    for hundredths in 0..=99 {
        let text = format!("0.{hundredths:02}");
        let confidence: Confidence = serde_json::from_str(&text).unwrap();
        assert_eq!(confidence.percent(), hundredths);
        let written = serde_json::to_string(&confidence).unwrap();
        assert_eq!(
            serde_json::from_str::<Confidence>(&written).unwrap(),
            confidence
        );
    }
}

/// So that a new parameter cannot be forgotten by the tables above.
#[test]
fn the_tables_name_every_parameter() {
    for &kind in Kind::ALL {
        let numbers = NUMBERS.iter().filter(|row| row.0 == kind).map(|row| row.1);
        let words = WORDS.iter().filter(|row| row.0 == kind).map(|row| row.1);
        let addresses = ADDRESSES
            .iter()
            .filter(|row| row.0 == kind)
            .map(|row| row.1);
        let mut names: BTreeSet<&str> = numbers.chain(words).chain(addresses).collect();
        if kind == Kind::Traceroute {
            names.insert("confidence");
        }
        // The error of an unknown field lists all that are known, each between backticks.
        let error = parse(kind, &json!({"icmp-sum": 1}))
            .unwrap_err()
            .to_string();
        let known: BTreeSet<&str> = error
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| *name != "icmp-sum")
            .collect();
        assert_eq!(names, known, "{kind}: {error}");
    }
}

#[test]
fn nothing_unknown_passes() {
    for &kind in Kind::ALL {
        for name in [
            "ips",
            "fqdns",
            "name",
            "x",
            "",
            "Wait",
            "wait-probe",
            "icmp-sum",
            "operation",
            "__proto__",
            "0",
        ] {
            refuses(kind, name, &json!(1));
            refuses(kind, name, &Value::Null);
        }
        for wrong in [
            json!([]),
            json!([3]),
            json!("{}"),
            json!(5),
            json!(true),
            json!([[]]),
        ] {
            assert!(parse(kind, &wrong).is_err(), "{kind} {wrong}");
        }
        for nothing in [json!({}), Value::Null] {
            assert_eq!(parse(kind, &nothing).unwrap().params().unwrap(), json!({}));
        }
    }
    refuses(Kind::Traceroute, "probecount", &json!(3));
    refuses(Kind::Dns, "wait", &json!(3));
}

#[test]
fn the_page_lists_every_parameter() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let listed = |row: String| assert!(page.contains(&row), "docs/protocol.md lacks {row}");
    for (kind, name, min, max) in NUMBERS {
        listed(format!("\n| {kind} | `{name}` | {min} to {max} |"));
    }
    for (kind, name, words) in WORDS {
        listed(format!("\n| {kind} | `{name}` | `{}` |", words.join("` `")));
    }
    for (kind, name) in ADDRESSES {
        listed(format!("\n| {kind} | `{name}` | an address |"));
    }
}

/// `null` for a parameter means that it was left out, and is not kept.
#[test]
fn null_is_the_same_as_absent() {
    for &(kind, name, ..) in NUMBERS {
        let parsed = parse(kind, &json!({ name: null })).unwrap();
        assert_eq!(parsed.params().unwrap(), json!({}));
    }
}

#[test]
fn a_repeated_parameter_is_refused() {
    let error = serde_json::from_str::<PingParams>(r#"{"wait":1,"wait":2}"#).unwrap_err();
    assert!(error.to_string().contains("duplicate field"));
}

#[test]
fn words_of_kinds_and_formats() {
    for &kind in Kind::ALL {
        assert_eq!(json!(kind), json!(kind.as_str()));
        assert_eq!(kind.to_string(), kind.as_str());
    }
    for format in [
        ContentFormat::Warts,
        ContentFormat::Gzip,
        ContentFormat::Json,
    ] {
        assert_eq!(json!(format), json!(format.as_str()));
    }
    assert_eq!(
        json!([ResultFormat::Json, ResultFormat::Dump]),
        json!(["json", "dump"])
    );
    for wrong in [json!("Ping"), json!("http"), json!(0), json!("")] {
        assert!(serde_json::from_value::<Kind>(wrong).is_err());
    }
}

#[test]
fn a_schedule_is_read_strictly() {
    let good =
        json!({"cron": "0 9 * * mon", "times_per_minute": 60, "stop_time": "2026-03-10T12:00:00Z"});
    let schedule: Schedule = serde_json::from_value(good.clone()).unwrap();
    assert_eq!(json!(schedule), good);
    for (field, wrong) in [
        ("cron", json!("@daily")),
        ("cron", json!(5)),
        ("times_per_minute", json!(0)),
        ("times_per_minute", json!(61)),
        ("times_per_minute", json!(1.0)),
        ("times_per_minute", json!("1")),
        ("times_per_minute", json!(true)),
        ("stop_time", json!("10/03/2026 12:00")),
        ("stop_time", json!("2026-02-30T00:00:00Z")),
        ("stop_time", json!("2026-03-10T12:00:00")),
        ("stop_time", json!(1_773_144_000)),
        ("stop_time", Value::Null),
    ] {
        let mut schedule = good.clone();
        schedule[field] = wrong;
        assert!(
            serde_json::from_value::<Schedule>(schedule.clone()).is_err(),
            "{schedule}"
        );
    }
}

/// Some of a kind's parameters, each with a value within its limits.
fn params(kind: Kind) -> impl Strategy<Value = Value> {
    let numbers = NUMBERS
        .iter()
        .filter(move |row| row.0 == kind)
        .map(|&(_, name, min, max)| (Just(name), (min..=max).prop_map(Value::from).boxed()));
    let words = WORDS
        .iter()
        .filter(move |row| row.0 == kind)
        .map(|&(_, name, words)| {
            (
                Just(name),
                proptest::sample::select(words)
                    .prop_map(Value::from)
                    .boxed(),
            )
        });
    let fields: Vec<_> = numbers.chain(words).collect();
    let count = fields.len();
    (fields, proptest::collection::vec(any::<bool>(), count)).prop_map(|(fields, chosen)| {
        let pairs = fields.into_iter().zip(chosen).filter(|(_, chosen)| *chosen);
        pairs
            .map(|((name, value), _)| (name.to_owned(), value))
            .collect()
    })
}

fn kind_and_params() -> impl Strategy<Value = (Kind, Value)> {
    proptest::sample::select(Kind::ALL).prop_flat_map(|kind| (Just(kind), params(kind)))
}

proptest! {
    #[test]
    fn params_read_back_as_the_same((kind, params) in kind_and_params()) {
        let measurement = parse(kind, &params).unwrap();
        let written = measurement.params().unwrap();
        prop_assert_eq!(&written, &params);
        prop_assert_eq!(parse(kind, &written).unwrap(), measurement);
    }
}

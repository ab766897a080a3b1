//! Every parameter of every kind: its limits, the spellings that are taken, and what the probe is told.

use serde_json::{Value, json};
use tests::{Trial, trials};

use super::bench::{Bench, with_params};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        numbers_keep_their_limits,
        words_are_those_of_a_list,
        a_confidence_is_a_share,
        dns_takes_flags_and_addresses,
        what_was_sent_is_shown_and_what_is_known_is_told,
    ]
}

const INVALID: &str = "Invalid data provided";

/// A whole number: its kind, name, lowest and highest value, and its name on the wire.
const NUMBERS: &[(&str, &str, u32, u32, &str)] = &[
    ("traceroute", "maxttl", 1, 255, "maxttl"),
    ("traceroute", "attempts", 1, 10, "attempts"),
    ("traceroute", "wait", 1, 20, "wait"),
    ("traceroute", "wait-probe", 0, 100, "wait_probe"),
    ("traceroute", "firsthop", 1, 255, "firsthop"),
    ("traceroute", "dport", 1, 65535, "dport"),
    ("traceroute", "sport", 1, 65535, "sport"),
    ("ping", "probecount", 1, 100, "probecount"),
    ("ping", "wait", 1, 20, "wait"),
    ("ping", "size", 1, 255, "size"),
    ("ping", "timeout", 0, 100, "timeout"),
    ("ping", "icmp-sum", 0, 65535, "icmp_sum"),
    ("ping", "dport", 1, 65535, "dport"),
    ("ping", "sport", 1, 65535, "sport"),
];

/// A word: its kind, name, and those that are taken.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("traceroute", "method", &["udp-paris", "icmp-paris", "icp"]),
    (
        "ping",
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
        "dns",
        "type",
        &["a", "any", "axfr", "hinfo", "mx", "ns", "soa", "txt"],
    ),
];

/// Sends one parameter, which must be refused.
async fn refused(bench: &Bench, kind: &str, name: &str, value: &Value) {
    let answer = bench.ask(kind, &json!({ name: value })).await;
    assert_eq!(
        answer.status,
        400,
        "{kind} {name} {value}: {}",
        answer.text()
    );
    answer.expect_error(400, INVALID);
}

/// Sends one parameter, which must be shown as it was sent; what the probe was told under this name.
async fn told(bench: &mut Bench, kind: &str, name: &str, value: &Value, wire: &str) -> Value {
    let change = json!({ name: value });
    let answer = bench.ask(kind, &change).await;
    assert_eq!(answer.status, 201, "{kind} {change}: {}", answer.text());
    let made = answer.expect_old(201);
    assert_eq!(&made["params"][name], value, "{kind} {change}");
    let assign = bench.worker.offered(super::bench::id_of(&made)).await;
    let told = assign.params.as_object().expect("parameters");
    assert!(told.len() <= 1, "{change} became {told:?}");
    told.get(wire).cloned().unwrap_or_default()
}

async fn numbers_keep_their_limits() {
    let mut bench = Bench::new().await;
    for (kind, name, low, high, wire) in NUMBERS.iter().copied() {
        let middle = u32::midpoint(low, high);
        for number in [low, high, middle] {
            let spellings = [
                json!(number),
                json!(f64::from(number)),
                json!(number.to_string()),
            ];
            for value in spellings {
                let told = told(&mut bench, kind, name, &value, wire).await;
                assert_eq!(told, json!(number), "{kind} {name} {value}");
            }
        }
        let beyond = [
            i64::from(low) - 1,
            i64::from(high) + 1,
            -i64::from(high) - 1,
            i64::from(u32::MAX) + 1 + i64::from(low),
            i64::MAX,
            i64::MIN,
        ];
        for number in beyond {
            refused(&bench, kind, name, &json!(number)).await;
            refused(&bench, kind, name, &json!(number.to_string())).await;
        }
        for value in [
            json!(f64::from(low) + 0.5),
            json!((f64::from(low) + 0.5).to_string()),
            json!(f64::from(high) + 0.001),
            json!(1e300),
            json!(true),
            json!(false),
            Value::Null,
            json!([low]),
            json!([]),
            json!({}),
            json!(""),
            json!(" "),
            json!("x"),
            json!("nan"),
            json!("inf"),
            json!(format!("{high};")),
            json!(format!("0x{high:x}")),
            json!("１"),
        ] {
            refused(&bench, kind, name, &value).await;
        }
    }
    bench.hub.check().await;
}

async fn words_are_those_of_a_list() {
    let mut bench = Bench::new().await;
    for (kind, name, words) in WORDS.iter().copied() {
        for word in words {
            let told = told(&mut bench, kind, name, &json!(word), name).await;
            // `icp` can only have been meant for this one: scamper knows no such word.
            let wanted = if *word == "icp" { "tcp" } else { word };
            assert_eq!(told, wanted, "{kind} {word}");
            refused(&bench, kind, name, &json!(word.to_uppercase())).await;
            refused(&bench, kind, name, &json!(format!("{word} "))).await;
            refused(&bench, kind, name, &json!(format!("{word}'"))).await;
            refused(&bench, kind, name, &json!([word])).await;
        }
        for value in [
            json!(""),
            json!("tcp"),
            json!("x"),
            json!(0),
            json!(true),
            Value::Null,
            json!([]),
            json!({}),
        ] {
            refused(&bench, kind, name, &value).await;
        }
    }
    refused(&bench, "ping", "method", &json!("udp-paris")).await;
    refused(&bench, "traceroute", "method", &json!("icmp-echo")).await;
    refused(&bench, "dns", "type", &json!("aaaa")).await;
}

async fn a_confidence_is_a_share() {
    let mut bench = Bench::new().await;
    for (value, number) in [
        (json!(0), 0.0),
        (json!(0.0), 0.0),
        (json!(0.5), 0.5),
        (json!(0.95), 0.95),
        (json!(0.99), 0.99),
        (json!("0"), 0.0),
        (json!("0.95"), 0.95),
    ] {
        let told = told(&mut bench, "traceroute", "confidence", &value, "confidence").await;
        let told = told.as_f64().unwrap_or_default();
        assert!((told - number).abs() < f64::EPSILON, "{value}: {told}");
    }
    for value in [
        json!(-0.01),
        json!(0.991),
        json!(1),
        json!(95),
        json!("1"),
        json!("x"),
        json!(""),
        json!("0.5'"),
        json!(true),
        Value::Null,
        json!([0.5]),
        json!({}),
    ] {
        refused(&bench, "traceroute", "confidence", &value).await;
    }
}

async fn dns_takes_flags_and_addresses() {
    let mut bench = Bench::new().await;
    for (name, version) in [("ipv4", "4"), ("ipv6", "6")] {
        let told = told(&mut bench, "dns", name, &json!(""), "ip_version").await;
        assert_eq!(told, json!(version), "{name}");
        for value in [
            json!("x"),
            json!(" "),
            json!(4),
            json!(true),
            Value::Null,
            json!([]),
        ] {
            refused(&bench, "dns", name, &value).await;
        }
    }
    for address in ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"] {
        let told = told(
            &mut bench,
            "dns",
            "address",
            &json!(address),
            "source_address",
        )
        .await;
        assert_eq!(told, json!(address));
    }
    for address in [
        json!(""),
        json!("example.org"),
        json!("127.1"),
        json!("127.0.0.1/8"),
        json!("127.0.0.1 "),
        json!(5),
        json!(["127.0.0.1"]),
        Value::Null,
    ] {
        refused(&bench, "dns", "address", &address).await;
    }
    // Of addresses there is nothing to ask here.
    for empty in [json!([]), json!("")] {
        let _ = told(&mut bench, "dns", "ips", &empty, "").await;
    }
    for some in [
        json!(["127.0.0.1"]),
        json!("127.0.0.1"),
        json!(5),
        json!({"a": 1}),
    ] {
        refused(&bench, "dns", "ips", &some).await;
    }
}

async fn what_was_sent_is_shown_and_what_is_known_is_told() {
    let mut bench = Bench::new().await;
    let all = [
        (
            "traceroute",
            json!({"confidence": 0.95, "method": "icmp-paris", "maxttl": "30", "attempts": 2.0, "wait": 5,
                "wait-probe": 10, "dport": "33434", "firsthop": 1, "sport": 33000}),
            json!({"attempts": 2, "confidence": 0.95, "dport": 33434, "firsthop": 1, "maxttl": 30,
                "method": "icmp-paris", "sport": 33000, "wait": 5, "wait_probe": 10}),
        ),
        (
            "ping",
            json!({"probecount": 3, "wait": "1", "method": "udp-dport", "size": 84, "timeout": 2.0, "icmp-sum": "7",
                "dport": 80, "sport": 1024}),
            json!({"dport": 80, "icmp_sum": 7, "method": "udp-dport", "probecount": 3, "size": 84, "sport": 1024,
                "timeout": 2, "wait": 1}),
        ),
        (
            "dns",
            json!({"type": "mx", "ipv6": "", "ips": [], "address": "::1"}),
            json!({"ip_version": "6", "source_address": "::1", "type": "mx"}),
        ),
    ];
    for (kind, sent, wire) in all {
        let order = with_params(bench.order(kind), &sent);
        let made = bench.post(kind, &order).await.expect_old(201);
        assert_eq!(made["params"], order["params"]);
        let id = super::bench::id_of(&made);
        let shown = bench
            .old
            .get(&format!("/operation?id={id}"))
            .await
            .expect_old(200);
        assert_eq!(shown["params"], order["params"]);
        let assign = bench.worker.offered(id).await;
        assert_eq!(assign.kind.as_str(), kind);
        let told = serde_json::to_value(&assign.params).expect("JSON");
        assert_eq!(told, wire);
    }
}

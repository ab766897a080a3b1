//! What the old agents are handed: they put it on a shell's line as it is.

use probe_protocol::OperationId;
use serde_json::{Value, json};
use tests::{Handed, Hub, Knock, OldApi, OldProbe, OldResult};

use super::input::DANGEROUS;
use crate::old_http::bench::{RICH, id_of, order, with_params};

/// Credits of an agent that can take everything this test asks for.
const MANY: i64 = 100_000;

/// What may be said to an agent, by kind.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "traceroute",
        &[
            "attempts",
            "cron",
            "dport",
            "firsthop",
            "fqdns",
            "ips",
            "maxttl",
            "method",
            "sport",
            "stop_time",
            "times_per_minute",
            "wait",
            "wait-probe",
        ],
    ),
    (
        "ping",
        &[
            "cron",
            "dport",
            "fqdns",
            "icmp-sum",
            "ips",
            "method",
            "probecount",
            "size",
            "sport",
            "stop_time",
            "timeout",
            "times_per_minute",
            "wait",
        ],
    ),
    (
        "dns",
        &[
            "address",
            "cron",
            "ipv6",
            "name",
            "stop_time",
            "times_per_minute",
        ],
    ),
];

/// Everything that an order of this kind may say, as texts wherever they are taken.
fn everything(kind: &str) -> Value {
    match kind {
        "traceroute" => {
            json!({"method": "icmp-paris", "maxttl": "30", "attempts": "2", "wait": "5", "wait-probe": "10",
            "dport": "33434", "firsthop": "1", "sport": "33000", "fqdns": ["h.example.org"]})
        }
        "ping" => {
            json!({"probecount": "3", "wait": "1", "method": "udp-dport", "size": "84", "timeout": "2",
            "icmp-sum": "7", "dport": "80", "sport": "1024", "fqdns": ["h.example.org"]})
        }
        _ => {
            json!({"type": "mx", "ipv6": "", "address": "::1", "name": "h.example.org", "x": "127.0.0.1"})
        }
    }
}

/// All texts in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Holds what was handed over to what a shell, cron and a command line cannot misread.
fn is_harmless(kind: &str, handed: &Handed) {
    let argument = &handed.argument;
    let params = argument["params"].as_object().expect("parameters");
    let (_, known) = KNOWN.iter().find(|(of, _)| *of == kind).expect("a kind");
    for name in params.keys() {
        assert!(known.contains(&name.as_str()), "{name} in {argument}");
    }
    for (name, value) in params {
        // Only these have words with blanks between them.
        let blanks = ["cron", "stop_time"].contains(&name.as_str());
        let fits =
            |c: char| c.is_ascii_alphanumeric() || ".:_-*/,@".contains(c) || blanks && c == ' ';
        for text in texts(value) {
            assert!(text.chars().all(fits), "{text:?} in {argument}");
            let is_flag = text.starts_with('-');
            // Of dig's own flags, those that the hub writes there.
            assert!(
                !is_flag || name == "name" && ["-q", "-t", "-p"].contains(&text),
                "{text:?} in {argument}"
            );
        }
    }
}

pub(super) async fn old_agents_are_handed_nothing_else() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let mut agent = OldProbe::connect_as(&hub, &Knock::new(&card.token, MANY, 0)).await;
    for (kind, _) in KNOWN {
        let mut changes = vec![everything(kind)];
        changes.extend(DANGEROUS.iter().map(|text| {
            json!({"unknown": text, "server": text, "icmp_sum": text, "source_address": text, *text: text})
        }));
        for change in changes {
            let order = with_params(order(kind, &[&card]), &change);
            let answer = old.post(&format!("/{kind}"), &order).await;
            assert_eq!(answer.status, 201, "{kind} {change}: {}", answer.text());
            let made = answer.expect_old(201);
            let handed = agent.accept().await;
            assert_eq!(
                (handed.kind.as_str(), handed.id()),
                (*kind, id_of(&made).to_string().as_str())
            );
            is_harmless(kind, &handed);
        }
    }
}

/// A result of an agent that was not asked: taken from it, and neither stored nor paid.
pub(super) async fn old_agents_earn_nothing_unasked() {
    let hub = Hub::start().await;
    let (ana, mallory) = (hub.user("ana", RICH).await, hub.user("mallory", 0).await);
    let (card, stranger) = (ana.probe("p").await, mallory.probe("stranger").await);
    let mut agent = OldProbe::connect(&hub, &card.token).await;
    let mut stranger = OldProbe::connect(&hub, &stranger.token).await;
    let old = OldApi::of(&hub, &ana);
    let made = old
        .post("/ping", &order("ping", &[&card]))
        .await
        .expect_old(201);
    let id = agent.accept().await.id().to_owned();
    let content = include_bytes!("../../../server/src/warts/samples/ping-icmp.warts");
    let shown = async || {
        let shown = old.get(&format!("/operation?id={}", id_of(&made))).await;
        shown.expect_old(200)["results"].as_array().map(Vec::len)
    };
    for number in 0..3 {
        let code = format!("forged-{number}");
        for operation in [id.clone(), OperationId::new().to_string()] {
            let result = OldResult::new(&operation, &code, "warts", content);
            // It is told to forget it, or it would send it for ever.
            assert_eq!(stranger.deliver(&result).await, json!([operation]));
        }
    }
    assert_eq!((shown().await, mallory.credits().await), (Some(0), 0));
    let before = ana.credits().await;
    let result = OldResult::new(&id, "true", "warts", content);
    assert_eq!(agent.deliver(&result).await, json!([id]));
    assert_eq!((shown().await, ana.credits().await), (Some(1), before + 10));
}

//! What an operation at the old paths is aimed at.

use probe_protocol::Target;
use serde_json::{Value, json};
use tests::{Trial, trials};

use super::bench::{Bench, without_param};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        addresses_and_names_are_counted_together,
        wrong_destinations_are_400,
        dns_asks_for_names,
        a_public_hub_measures_public_addresses_only,
    ]
}

const INVALID: &str = "Invalid data provided";

async fn addresses_and_names_are_counted_together() {
    let mut bench = Bench::new().await;
    for (change, targets) in [
        (json!({"ips": ["127.0.0.1"]}), vec!["127.0.0.1"]),
        (
            json!({"ips": ["127.0.0.1", "::1"]}),
            vec!["127.0.0.1", "::1"],
        ),
        (
            json!({"ips": [], "fqdns": ["example.org"]}),
            vec!["example.org"],
        ),
        (
            json!({"ips": ["127.0.0.1"], "fqdns": ["example.org", "example.com"]}),
            vec!["127.0.0.1", "example.com", "example.org"],
        ),
    ] {
        for (kind, unit) in [("ping", 1), ("traceroute", 15)] {
            let (made, assign) = bench.launch(kind, &change).await;
            let mut told: Vec<String> = assign.targets.iter().map(Target::to_string).collect();
            told.sort();
            assert_eq!(told, targets, "{change}");
            assert_eq!(assign.credits as usize, unit * targets.len(), "{change}");
            assert_eq!(&made["params"]["ips"], &change["ips"]);
        }
    }
    // Names alone do.
    let mut order = without_param(bench.order("ping"), "ips");
    order["params"]["fqdns"] = json!(["example.org"]);
    let _ = bench.post("ping", &order).await.expect_old(201);
    // As many as one operation may have, and no more.
    let ips =
        |count: usize| -> Vec<String> { (1..=count).map(|n| format!("127.0.1.{n}")).collect() };
    let (_, assign) = bench.launch("ping", &json!({"ips": ips(100)})).await;
    assert_eq!(assign.targets.len(), 100);
    let answer = bench.ask("ping", &json!({"ips": ips(101)})).await;
    answer.expect_error(400, INVALID);
    let change = json!({"ips": ips(60), "fqdns": (0..60).map(|n| format!("h{n}.example.org")).collect::<Vec<_>>()});
    bench.ask("ping", &change).await.expect_error(400, INVALID);
}

async fn wrong_destinations_are_400() {
    let bench = Bench::new().await;
    let wrong: &[Value] = &[
        json!({"ips": []}),
        json!({"ips": [], "fqdns": []}),
        json!({"ips": ""}),
        // A text was once counted by its letters.
        json!({"ips": "127.0.0.1"}),
        json!({"ips": [], "fqdns": "example.org"}),
        json!({"ips": ["127.0.0.1"], "fqdns": "example.org"}),
        json!({"ips": {"127.0.0.1": 1}}),
        json!({"ips": 5}),
        json!({"ips": true}),
        json!({"ips": null}),
        json!({"ips": [null]}),
        json!({"ips": [5]}),
        json!({"ips": [["127.0.0.1"]]}),
        json!({"ips": [""]}),
        json!({"ips": ["127.0.0.1", ""]}),
        json!({"ips": ["127.1"]}),
        json!({"ips": ["0177.0.0.1"]}),
        json!({"ips": ["2130706433"]}),
        json!({"ips": ["127.0.0.1/8"]}),
        json!({"ips": ["127.0.0.1:80"]}),
        json!({"ips": [" 127.0.0.1"]}),
        json!({"ips": ["example.org"]}),
        json!({"ips": ["-i"]}),
        json!({"fqdns": [5]}),
        json!({"fqdns": [""]}),
        json!({"fqdns": ["-i.example.org"]}),
        json!({"fqdns": ["exa mple.org"]}),
        json!({"fqdns": ["example..org"]}),
        json!({"fqdns": ["http://example.org"]}),
        json!({"fqdns": ["x".repeat(64)]}),
        json!({"fqdns": ["x.".repeat(200)]}),
        // Twice would be paid twice.
        json!({"ips": ["127.0.0.1", "127.0.0.1"]}),
        json!({"ips": ["::1", "0:0:0:0:0:0:0:1"]}),
        json!({"fqdns": ["example.org", "example.org"]}),
        json!({"fqdns": ["example.org", "EXAMPLE.org"]}),
    ];
    for kind in ["ping", "traceroute"] {
        for change in wrong {
            let answer = bench.ask(kind, change).await;
            assert_eq!(answer.status, 400, "{kind} {change}: {}", answer.text());
            answer.expect_error(400, INVALID);
        }
        let order = without_param(bench.order(kind), "ips");
        bench.post(kind, &order).await.expect_error(400, INVALID);
    }
    let operations = bench.hub.number("select count(*) from operations").await;
    assert_eq!(operations, 0);
}

async fn dns_asks_for_names() {
    let mut bench = Bench::new().await;
    let names = json!({"fqdns": ["example.org", "_dmarc.example.org", "a.b.example"]});
    let (_, assign) = bench.launch("dns", &names).await;
    let told: Vec<String> = assign.targets.iter().map(Target::to_string).collect();
    assert_eq!(json!(told), names["fqdns"]);
    assert_eq!(assign.credits, 3);
    let order = without_param(bench.order("dns"), "fqdns");
    bench.post("dns", &order).await.expect_error(400, INVALID);
    for fqdns in [
        json!([]),
        json!(""),
        json!("example.org"),
        json!([5]),
        json!(["-t"]),
        Value::Null,
    ] {
        let answer = bench.ask("dns", &json!({"fqdns": fqdns})).await;
        assert_eq!(answer.status, 400, "{fqdns}: {}", answer.text());
    }
}

async fn a_public_hub_measures_public_addresses_only() {
    let mut bench = Bench::with(&[("TARGET_POLICY", "public")]).await;
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1"] {
        let answer = bench.ask("ping", &json!({"ips": [address]})).await;
        assert_eq!(answer.status, 400, "{address}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
    let change = json!({"ips": ["127.0.0.1"], "fqdns": ["example.org"]});
    bench.ask("ping", &change).await.expect_error(400, INVALID);
    let change = json!({"ips": ["9.9.9.9"]});
    let (_, assign) = bench.launch("ping", &change).await;
    assert_eq!(assign.targets.len(), 1);
}

//! What is sent: texts, numbers and bytes that nobody should send.

use std::io::Write as _;

use chrono::Utc;
use flate2::{Compression, write::GzEncoder};
use probe_protocol::{ContentFormat, RunResult};
use serde_json::{Value, json};
use tests::{
    FakeProbe, Hub, OldApi,
    hub::{ADMIN, PASSWORD},
    probe::code,
};

use super::agents;
use crate::old_http::bench::{Bench, RICH, id_of, order, with_params};

/// Texts that a shell, cron or a command line would read as something else than a value.
pub(super) const DANGEROUS: &[&str] = &[
    "1'; touch F; echo '",
    "127.0.0.1; touch F",
    "127.0.0.1' ; touch F #",
    "example.org\ntouch F",
    "1\n* * * * * root touch F",
    "1%touch F",
    "$(touch F)",
    "${IFS}touch${IFS}F",
    "`touch F`",
    "1 | touch F",
    "1 & touch F",
    "1 && touch F",
    "1 || touch F",
    "1 > F",
    "1 < /etc/passwd",
    "-f",
    "-f/etc/passwd",
    "--help",
    "@127.0.0.1",
    "+trace",
    "a b",
    "a\tb",
    "a\\b",
    "a\"b",
    "a*",
    "a?",
    "~root",
    "!!",
    "a\u{0}b",
    "a\u{1b}[2J",
    "a\u{2028}b",
    "../../etc/passwd",
    "/etc/passwd",
    "",
    " ",
];

/// What once could hold anything: kind, name, and whether it is a list.
const ANYTHING: &[(&str, &str, bool)] = &[
    ("traceroute", "dport", false),
    ("traceroute", "firsthop", false),
    ("traceroute", "sport", false),
    ("traceroute", "ips", true),
    ("traceroute", "fqdns", true),
    ("ping", "icmp-sum", false),
    ("ping", "dport", false),
    ("ping", "sport", false),
    ("ping", "ips", true),
    ("ping", "fqdns", true),
    ("dns", "address", false),
    ("dns", "name", false),
    ("dns", "name", true),
    ("dns", "x", false),
    ("dns", "x", true),
    ("dns", "fqdns", true),
    ("dns", "ips", true),
    // And what had to be one of a list or a range, which a number was only compared with.
    ("traceroute", "maxttl", false),
    ("traceroute", "method", false),
    ("ping", "timeout", false),
    ("dns", "type", false),
    ("dns", "cron", false),
    ("ping", "stop_time", false),
    ("ping", "times_per_minute", false),
];

pub(super) async fn s1_no_string_of_a_user_reaches_a_shell() {
    let mut bench = Bench::new().await;
    for (kind, name, is_list) in ANYTHING {
        for text in DANGEROUS {
            // None at all is what an empty text says there.
            if *name == "x" && text.is_empty() {
                continue;
            }
            let values = match *is_list {
                true => vec![json!([text]), json!(["example.org", text])],
                false => vec![json!(text)],
            };
            for value in values {
                let answer = bench.ask(kind, &json!({ *name: value })).await;
                assert_eq!(
                    answer.status,
                    400,
                    "{kind} {name} {value}: {}",
                    answer.text()
                );
                answer.expect_error(400, "Invalid data provided");
            }
        }
    }
    let operations = bench.hub.number("select count(*) from operations").await;
    assert_eq!(operations, 0, "something was taken");
    // What nobody knows is kept, and stays at home.
    for text in DANGEROUS {
        let change = json!({"unknown": text, "more": [text, {"deep": text}]});
        let (made, assign) = bench.launch("ping", &change).await;
        assert_eq!(made["params"]["unknown"], *text);
        let told = serde_json::to_value(&assign).expect("JSON");
        assert_eq!(told["params"], json!({}), "{told}");
        assert_eq!(told["targets"], json!(["127.0.0.1"]), "{told}");
        assert!(!told.to_string().contains("touch"), "{told}");
    }
    agents::old_agents_are_handed_nothing_else().await;
}

pub(super) async fn s2_no_times_per_minute_mint_credits() {
    let bench = Bench::new().await;
    let balance = bench.balance().await;
    for times in [
        json!(-100),
        json!(-1),
        json!(0),
        json!(-0.0),
        json!(0.99),
        json!(61),
        json!(1e18),
    ] {
        let answer = bench.ask("ping", &json!({"times_per_minute": times})).await;
        assert_eq!(answer.status, 400, "{times}: {}", answer.text());
    }
    assert_eq!(bench.balance().await, balance);
    let made = bench
        .ask("ping", &json!({"times_per_minute": 1}))
        .await
        .expect_old(201);
    let price = made["credits"].as_i64().expect("a price");
    assert!(price > 0, "{made}");
    assert_eq!(bench.balance().await, balance - price);
    bench.hub.check().await;
}

pub(super) async fn s4_no_operator_takes_the_place_of_a_text() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for operator in [
        json!({"$ne": null}),
        json!({"$gt": ""}),
        json!({"$regex": ".*"}),
        json!([ADMIN]),
        json!({"$in": [ADMIN]}),
    ] {
        for body in [
            json!({"email": operator, "password": PASSWORD}),
            json!({"email": ADMIN, "password": operator}),
            json!({"email": operator, "password": operator}),
        ] {
            anyone.post("/login", &body).await.expect_refusal(400);
            anyone.post("/register", &body).await.expect_refusal(400);
        }
        let admin = OldApi::of(&hub, &hub.admin().await);
        let grant = json!({"id": operator, "credits": 5});
        let answer = admin.post("/credits", &grant).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.text());
    }
    for text in ["' or '1'='1", "admin@example.org'--", "\" or \"\"=\""] {
        anyone.log_in(text, PASSWORD).await.expect_refusal(404);
        anyone.log_in(ADMIN, text).await.expect_refusal(404);
    }
    let shown = anyone.get("/operation?id[$ne]=x").await;
    shown.expect_error(404, "Operation doesn't exist");
}

/// Bytes of zeros that are promised, and what they may cost the hub in memory.
const BOMB: usize = 1024 * 1024 * 1024;
const MOST_GROWTH_KIB: u64 = 200 * 1024;

/// A gzip file of that many zeros.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..BOMB / zeros.len() {
        encoder.write_all(&zeros).expect("it is memory");
    }
    encoder.finish().expect("it is memory")
}

/// The most memory the hub ever had, KiB: what it gave back again counts too.
fn peak_kib(hub: &mut Hub) -> u64 {
    let pid = hub.process().pid().expect("a running hub");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its state");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
    number.expect("a peak")
}

pub(super) async fn s8_what_is_decompressed_is_bounded() {
    let bomb = tokio::task::spawn_blocking(bomb).await.expect("a bomb");
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let card = ana.probe("p").await;
    let old = OldApi::of(&hub, &ana);
    let mut probe = FakeProbe::connect(&hub, &card.token).await;
    let before = peak_kib(&mut hub);
    for (kind, number) in [("dns", 1), ("ping", 2), ("dns", 3)] {
        let made = old
            .post(&format!("/{kind}"), &order(kind, &[&card]))
            .await
            .expect_old(201);
        let operation = probe.accept().await;
        assert_eq!(operation, id_of(&made));
        let credits = ana.credits().await;
        let result = RunResult {
            operation,
            code: code(&number.to_string()),
            format: ContentFormat::Gzip,
            content: bomb.clone().into(),
            started_at: Utc::now(),
            finished_at: Utc::now(),
        };
        // It will never get better, so the probe is told to forget it.
        let _ = probe.deliver_result(result).await;
        assert_eq!(ana.credits().await, credits, "a bomb was rewarded");
        let shown = old.get(&format!("/operation?id={operation}")).await;
        assert_eq!(shown.status, 200);
        assert!(
            shown.body.len() < 20 * 1024 * 1024,
            "{} bytes",
            shown.body.len()
        );
    }
    let grown = peak_kib(&mut hub) - before;
    assert!(grown < MOST_GROWTH_KIB, "the hub grew by {grown} KiB");
    hub.check().await;
}

pub(super) async fn s11_no_coordinate_breaks_the_map() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let old = OldApi::of(&hub, &ana);
    ana.probe("p").await;
    for number in [
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "inf",
        "1e999",
        "-1e999",
        "\"NaN\"",
        "\"Infinity\"",
    ] {
        for place in [
            format!("{{\"longitude\":{number},\"latitude\":0}}"),
            format!("{{\"longitude\":0,\"latitude\":{number}}}"),
        ] {
            let body = format!("{{\"location\":{place}}}");
            let answer = old.post_text("/probes", body).await;
            assert_eq!(answer.status, 400, "{place}: {}", answer.text());
            answer.expect_refusal(400);
        }
    }
    for path in ["/probes", "/probes/me"] {
        // Reading it as JSON is the test: a bare NaN is none.
        let shown = old.get(path).await.expect_old(200);
        let probes: &Vec<Value> = shown.as_array().expect("a list");
        assert_eq!(probes.len(), 1, "{shown}");
        let location = &probes[0]["location"];
        assert!(location["longitude"].is_number() && location["latitude"].is_number());
    }
    // Nor does one in parameters, which are shown as they were sent.
    let card = ana.probe("q").await;
    let _session = FakeProbe::connect(&hub, &card.token).await;
    hub.admin().await.grant(&ana, 1000).await;
    let order = with_params(order("ping", &[&card]), &json!({"unknown": "HERE"}));
    for number in ["NaN", "Infinity", "1e999"] {
        let body = order.to_string().replace("\"HERE\"", number);
        old.post_text("/ping", body).await.expect_refusal(400);
    }
    assert_eq!(old.get("/operations/me").await.text(), "[]\n");
}

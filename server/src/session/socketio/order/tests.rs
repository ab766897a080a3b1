//! Orders in the words of old agents: every kind and parameter, schedules to the minute, and nothing that a shell would
//! understand.

use chrono::TimeZone as _;
use probe_protocol::{Cron, OperationId, ResultFormat, Whole};
use proptest::prelude::*;

use super::*;

mod fuzz;

fn assign(kind: Kind, targets: &[&str], params: Value) -> Assign {
    Assign {
        operation: OperationId::new(),
        kind,
        params,
        targets: targets
            .iter()
            .map(|target| target.parse().unwrap())
            .collect(),
        schedule: Some(Schedule {
            cron: "*/5 * * * *".parse().unwrap(),
            times_per_minute: Whole::new(2).unwrap(),
            stop_time: noon(),
        }),
        result_format: ResultFormat::Json,
        credits: 7,
    }
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

fn told(assign: &Assign) -> Value {
    payload(assign, &assign.targets, noon())
}

/// The parameters but for the schedule.
fn told_params(kind: Kind, targets: &[&str], params: Value) -> Value {
    let mut told = told(&assign(kind, targets, params))["params"].take();
    let map = told.as_object_mut().unwrap();
    for name in ["cron", "times_per_minute", "stop_time"] {
        assert!(map.remove(name).is_some(), "{name}");
    }
    told
}

#[test]
fn an_event_has_the_members_that_it_always_had() {
    let it = assign(Kind::Ping, &["127.0.0.1"], json!({}));
    let params = json!({"ips": ["127.0.0.1"], "cron": "*/5 * * * *", "times_per_minute": 2,
        "stop_time": "01/03/2026 12:01"});
    assert_eq!(
        told(&it),
        json!({"_id": it.operation, "params": params, "credits": 7, "results": [], "result_format": "json"})
    );
    for (kind, format, word) in [
        (Kind::Ping, ResultFormat::Dump, "dump"),
        (Kind::Traceroute, ResultFormat::Json, "json"),
        (Kind::Traceroute, ResultFormat::Dump, "dump"),
        (Kind::Dns, ResultFormat::Json, "text"),
        (Kind::Dns, ResultFormat::Dump, "text"),
    ] {
        let mut it = assign(kind, &["127.0.0.1"], json!({}));
        it.result_format = format;
        assert_eq!(told(&it)["result_format"], word, "{kind} {format:?}");
    }
}

#[test]
fn every_parameter_of_ping_and_traceroute_is_passed_on() {
    let ping = json!({"probecount": 4, "icmp_sum": 7, "dport": 80, "sport": 1234, "wait": 2, "method": "icmp-time",
        "size": 100, "timeout": 3});
    let told_ping = json!({"probecount": 4, "icmp-sum": 7, "dport": 80, "sport": 1234, "wait": 2,
        "method": "icmp-time", "size": 100, "timeout": 3, "ips": ["::1", "127.0.0.1"], "fqdns": ["b.example", "a.example"]});
    let targets = ["::1", "b.example", "127.0.0.1", "a.example"];
    assert_eq!(told_params(Kind::Ping, &targets, ping), told_ping);
    let trace = json!({"method": "udp-paris", "dport": 80, "sport": 1234, "firsthop": 2, "maxttl": 9,
        "attempts": 3, "wait": 4, "wait_probe": 50});
    let told_trace = json!({"method": "udp-paris", "dport": 80, "sport": 1234, "firsthop": 2, "maxttl": 9,
        "attempts": 3, "wait": 4, "wait-probe": 50, "fqdns": ["a.example"]});
    assert_eq!(
        told_params(Kind::Traceroute, &["a.example"], trace),
        told_trace
    );
    assert_eq!(
        told_params(Kind::Ping, &["::1"], Value::Null),
        json!({"ips": ["::1"]})
    );
}

#[test]
fn targets_may_be_replaced() {
    let it = assign(Kind::Ping, &["a.example", "::1"], json!({}));
    let addresses: Vec<Target> = ["192.0.2.1", "::1"]
        .map(|text| text.parse().unwrap())
        .into();
    let params = &payload(&it, &addresses, noon())["params"];
    assert_eq!(
        (&params["ips"], params.get("fqdns")),
        (&json!(["192.0.2.1", "::1"]), None)
    );
    assert!(needs_addresses(&it));
    assert!(!needs_addresses(&assign(
        Kind::Traceroute,
        &["::1", "192.0.2.1"],
        json!({})
    )));
    assert!(!needs_addresses(&assign(
        Kind::Dns,
        &["a.example"],
        json!({})
    )));
}

#[test]
fn questions_are_words_of_dig_s_command_line() {
    let name = |params: Value, targets: &[&str]| -> String {
        let words = told_params(Kind::Dns, targets, params)["name"].take();
        let words: Vec<String> = serde_json::from_value(words).unwrap();
        words.join(" ")
    };
    assert_eq!(name(json!({}), &["a.example"]), "a.example -t a");
    assert_eq!(
        name(json!({"type": "mx"}), &["a.example", "b.example"]),
        "a.example -t mx -q b.example -t mx"
    );
    assert_eq!(name(json!({}), &["."]), ". -t a");
    let server = json!({"type": "soa", "server": "2001:db8::1", "port": 5353});
    assert_eq!(
        name(server, &["a.example", "b.example"]),
        "a.example -t soa @2001:db8::1 -p 5353 -q b.example -t soa @2001:db8::1 -p 5353"
    );
    assert_eq!(
        name(json!({}), &["192.0.2.1", "2001:db8::1"]),
        "1.2.0.192.in-addr.arpa -t ptr \
         -q 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa -t ptr"
    );
    // Who asks for a type gets it, of addresses too.
    assert_eq!(
        name(json!({"type": "txt"}), &["192.0.2.1"]),
        "1.2.0.192.in-addr.arpa -t txt"
    );
    for kind in [
        "a", "aaaa", "any", "axfr", "caa", "cname", "dnskey", "ds", "hinfo", "https", "mx", "ns",
        "ptr", "soa", "srv", "txt",
    ] {
        assert_eq!(
            name(json!({"type": kind}), &["x.example"]),
            format!("x.example -t {kind}")
        );
    }
    // What the agent understands of the rest it gets in its own words, and nothing else.
    let params = |params: Value| told_params(Kind::Dns, &["x.example"], params);
    assert_eq!(
        params(json!({"source_address": "192.0.2.9", "ip_version": "6", "type": "ns"})),
        json!({"name": ["x.example", "-t", "ns"], "address": "192.0.2.9", "ipv6": ""})
    );
    assert_eq!(params(json!({"ip_version": "4"}))["ipv4"], "");
}

#[test]
fn what_the_agent_cannot_run_does_not_fit() {
    let fit = |kind, params| fits(&assign(kind, &["::1"], params));
    for (kind, params) in [
        (Kind::Ping, json!({})),
        (Kind::Ping, json!({"method": "tcp-syn", "timeout": 1})),
        (
            Kind::Traceroute,
            json!({"wait": 10, "firsthop": 2, "maxttl": 2}),
        ),
        (Kind::Traceroute, json!({"method": "udp-paris"})),
        (Kind::Traceroute, json!({"method": "icmp-paris"})),
        (Kind::Dns, json!({"type": "https"})),
    ] {
        assert_eq!(fit(kind, params), Ok(()));
    }
    for (kind, params, why) in [
        (Kind::Traceroute, json!({"method": "tcp"}), "tcp"),
        (Kind::Traceroute, json!({"confidence": 0.95}), "confidence"),
        (Kind::Ping, json!({"later": 1}), "parameters"),
        (Kind::Dns, json!([]), "parameters"),
    ] {
        assert!(fit(kind, params).unwrap_err().contains(why));
    }
}

#[test]
fn a_stop_is_told_one_minute_later() {
    let stop = |stop_time| {
        let mut it = assign(Kind::Ping, &["::1"], json!({}));
        it.schedule.as_mut().unwrap().stop_time = stop_time;
        told(&it)["params"]["stop_time"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let at =
        |seconds, millis| noon() + TimeDelta::seconds(seconds) + TimeDelta::milliseconds(millis);
    assert_eq!(stop(noon()), "01/03/2026 12:01");
    assert_eq!(stop(at(0, 1)), "01/03/2026 12:02");
    assert_eq!(stop(at(1, 0)), "01/03/2026 12:02");
    assert_eq!(stop(at(59, 999)), "01/03/2026 12:02");
    assert_eq!(stop(at(60, 0)), "01/03/2026 12:02");
    assert_eq!(
        stop(Utc.with_ymd_and_hms(2026, 12, 31, 23, 59, 0).unwrap()),
        "01/01/2027 00:00"
    );
}

#[test]
fn once_is_the_next_minute_that_leaves_time_for_a_crontab() {
    let once = |now| {
        let mut it = assign(Kind::Ping, &["::1"], json!({}));
        it.schedule = None;
        let params = payload(&it, &it.targets, now)["params"].take();
        assert_eq!(params["times_per_minute"], 1);
        let text = |name: &str| params[name].as_str().unwrap().to_owned();
        (text("cron"), text("stop_time"))
    };
    let at = |seconds| noon() + TimeDelta::seconds(seconds);
    let minute = |cron: &str, stop: &str| (cron.to_owned(), stop.to_owned());
    assert_eq!(once(at(0)), minute("1 12 1 3 *", "01/03/2026 12:04"));
    assert_eq!(once(at(40)), minute("1 12 1 3 *", "01/03/2026 12:04"));
    assert_eq!(once(at(41)), minute("2 12 1 3 *", "01/03/2026 12:05"));
    assert_eq!(
        once(at(40) + TimeDelta::milliseconds(1)),
        minute("2 12 1 3 *", "01/03/2026 12:05")
    );
    let new_year = Utc.with_ymd_and_hms(2026, 12, 31, 23, 59, 30).unwrap();
    assert_eq!(once(new_year), minute("0 0 1 1 *", "01/01/2027 00:03"));
    assert_eq!(
        once(new_year + TimeDelta::seconds(20)),
        minute("1 0 1 1 *", "01/01/2027 00:04")
    );
}

/// Texts in all places where a user has a say; most are refused before they get here, and the rest must be harmless.
fn params() -> impl Strategy<Value = (Kind, Value)> {
    let value = prop_oneof![
        any::<u16>().prop_map(|number| json!(number)),
        (0..300_i32).prop_map(|number| json!(number)),
        "[a-z-]{1,10}|[ -~]{0,12}".prop_map(|text| json!(text)),
        prop::sample::select(vec![
            "tcp-syn",
            "icmp-paris",
            "udp-paris",
            "mx",
            "4",
            "6",
            "192.0.2.1",
            "::1"
        ])
        .prop_map(|text| json!(text)),
    ];
    let name = prop::sample::select(vec![
        "probecount",
        "icmp_sum",
        "dport",
        "sport",
        "wait",
        "method",
        "size",
        "timeout",
        "firsthop",
        "maxttl",
        "attempts",
        "wait_probe",
        "type",
        "server",
        "port",
        "source_address",
        "ip_version",
    ]);
    let map = prop::collection::btree_map(name, value, 0..4);
    (prop::sample::select(Kind::ALL), map).prop_map(|(kind, mut map)| {
        // As the hub reads an order: each on its own.
        map.retain(|name, value| Measurement::parse(kind, &json!({ *name: value })).is_ok());
        (kind, json!(map))
    })
}

fn is_harmless(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte))
}

proptest! {
    #[test]
    fn nothing_that_reaches_an_agent_means_anything_to_a_shell(
        (kind, params) in params(), texts in prop::collection::vec("[ -~é]{1,20}|[a-zA-Z0-9._-]{1,20}|[0-9.:a-f]{2,15}", 1..4),
    ) {
        let texts = texts.iter().map(String::as_str).chain(["a.example"]);
        let targets: Vec<Target> = texts.filter_map(|text| text.parse().ok()).collect();
        let it = Assign { targets, ..assign(kind, &[], params) };
        let mut told = told(&it)["params"].take();
        let map = told.as_object_mut().unwrap();
        map.remove("cron");
        map.remove("stop_time");
        let mut questions = 0;
        for (name, value) in map {
            prop_assert!(is_harmless(name), "{name}");
            let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in list {
                let Some(word) = value.as_str() else {
                    prop_assert!(value.is_u64(), "{value}");
                    continue;
                };
                prop_assert!(is_harmless(word), "{word}");
                questions += usize::from(name == "name" && word == "-t");
                let is_option = ["-t", "-q", "-p"].contains(&word);
                prop_assert!(is_option || !word.starts_with('-'), "{word}");
            }
        }
        if kind == Kind::Dns {
            prop_assert_eq!(questions, it.targets.len());
        }
    }

    #[test]
    fn once_comes_exactly_once_and_in_time(seconds in 0..400_000_000_i64, millis in 0..1000_i64) {
        let now = noon() + TimeDelta::seconds(seconds) + TimeDelta::milliseconds(millis);
        let mut it = assign(Kind::Ping, &["::1"], json!({}));
        it.schedule = None;
        let told = payload(&it, &it.targets, now);
        let cron: Cron = told["params"]["cron"].as_str().unwrap().parse().unwrap();
        let stop = told["params"]["stop_time"].as_str().unwrap();
        let stop = chrono::NaiveDateTime::parse_from_str(stop, "%d/%m/%Y %H:%M").unwrap().and_utc();
        prop_assert_eq!(cron.count_between(now, stop), 1);
        let at = cron.next_after(now).unwrap();
        prop_assert!(at - now >= STARTS_LATER && at - now < STARTS_LATER + TimeDelta::minutes(1));
        prop_assert_eq!(stop - at, STOPS_AFTER);
    }
}

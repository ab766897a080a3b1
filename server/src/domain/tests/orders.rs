//! Orders and registrations as users write them: every wrong field is named, nothing unsafe passes.

use probe_protocol::{ProbeId, TargetPolicy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::time;
use crate::domain::{
    Invalid, Order,
    order::{MOST_PROBES, MOST_TARGETS},
    probe::ProbeCard,
    user::{Credentials, check_email, check_password},
};

fn good() -> Value {
    json!({ "kind": "ping", "params": { "probecount": 3 }, "targets": ["192.0.2.1"], "probes": [ProbeId::new()] })
}

fn read(body: &Value) -> Result<Order, Invalid> {
    Order::read(body, TargetPolicy::Any, time(0))
}

fn with(changes: Value) -> Value {
    let mut body = good();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn pointers(body: &Value) -> Vec<String> {
    let Err(Invalid(errors)) = read(body) else {
        panic!("taken: {body}")
    };
    errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn a_good_order_is_read() {
    let order = read(&good()).unwrap();
    assert_eq!(order.targets.len(), 1);
    assert!(order.schedule.is_none());
}

#[test]
fn every_wrong_field_is_named() {
    let table = [
        (json!({ "kind": "http" }), vec!["/kind"]),
        (json!({ "kind": null }), vec!["/kind"]),
        (json!({ "params": 5 }), vec!["/params"]),
        (
            json!({ "params": { "probecount": "3" } }),
            vec!["/params/probecount"],
        ),
        (
            json!({ "params": { "probecount": 3.0, "wait": 0, "x": 1 } }),
            vec!["/params/probecount", "/params/wait", "/params/x"],
        ),
        (json!({ "params": { "a/b~c": 1 } }), vec!["/params/a~1b~0c"]),
        (json!({ "targets": [] }), vec!["/targets"]),
        (json!({ "targets": "1.1.1.1" }), vec!["/targets"]),
        (
            json!({ "targets": ["1.1.1.1", "-x", 5] }),
            vec!["/targets/1", "/targets/2"],
        ),
        (
            json!({ "targets": ["1.1.1.1", "1.1.1.1"] }),
            vec!["/targets/1"],
        ),
        (
            json!({ "targets": ["_dmarc.example.com"] }),
            vec!["/targets/0"],
        ),
        (
            json!({ "targets": vec!["192.0.2.1"; MOST_TARGETS + 1] }),
            vec!["/targets"],
        ),
        (json!({ "probes": ["x"] }), vec!["/probes/0"]),
        (
            json!({ "probes": vec!["x"; MOST_PROBES + 1] }),
            vec!["/probes"],
        ),
        (json!({ "offline": "wait" }), vec!["/offline"]),
        (json!({ "result_format": "xml" }), vec!["/result_format"]),
        (json!({ "colour": "red" }), vec!["/colour"]),
    ];
    for (changes, expected) in table {
        assert_eq!(pointers(&with(changes.clone())), expected, "{changes}");
    }
    let all = pointers(&json!({ "x": 1 }));
    assert_eq!(all, ["/kind", "/targets", "/probes", "/x"]);
    for body in [json!(null), json!([]), json!(5), json!("x")] {
        assert!(pointers(&body).contains(&String::new()), "{body}");
    }
}

#[test]
fn schedules_are_checked() {
    let schedule = |cron: &str, times: Value, stop: &str| {
        with(json!({ "schedule": { "cron": cron, "times_per_minute": times, "stop_time": stop } }))
    };
    // time(0) is 2027-01-15T08:00:00Z.
    assert!(read(&schedule("* * * * *", json!(6), "2027-01-15T09:00:00Z")).is_ok());
    let table = [
        (
            schedule("* * * *", json!(1), "2027-01-15T09:00:00Z"),
            "/schedule/cron",
        ),
        (
            schedule("0 0 30 2 *", json!(1), "2027-01-15T09:00:00Z"),
            "/schedule/cron",
        ),
        (
            schedule("30 7 * * *", json!(1), "2027-01-15T09:00:00Z"),
            "/schedule/cron",
        ),
        (
            schedule("* * * * *", json!(0), "2027-01-15T09:00:00Z"),
            "/schedule/times_per_minute",
        ),
        (
            schedule("* * * * *", json!(61), "2027-01-15T09:00:00Z"),
            "/schedule/times_per_minute",
        ),
        (
            schedule("* * * * *", json!(-100), "2027-01-15T09:00:00Z"),
            "/schedule/times_per_minute",
        ),
        (
            schedule("* * * * *", json!(1), "2027-01-15T07:00:00Z"),
            "/schedule/stop_time",
        ),
        (
            schedule("* * * * *", json!(1), "2029-01-15T07:00:00Z"),
            "/schedule/stop_time",
        ),
        (
            schedule("* * * * *", json!(1), "15/01/2027 09:00"),
            "/schedule/stop_time",
        ),
        (with(json!({ "schedule": 5 })), "/schedule"),
        (
            with(json!({ "schedule": { "cron": "* * * * *" } })),
            "/schedule/stop_time",
        ),
    ];
    for (body, expected) in table {
        assert_eq!(pointers(&body), [expected], "{body}");
    }
}

#[test]
fn a_public_hub_measures_public_addresses_only() {
    let public =
        |changes: Value| Order::read(&with(changes), TargetPolicy::Public, time(0)).map(|_| ());
    assert!(public(json!({ "targets": ["1.1.1.1", "example.com", "2606:4700::1111"] })).is_ok());
    let refused = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "0177.0.0.1",
        "2130706433",
        "127.1",
        "0x7f.0.0.1",
        "localhost",
        "printer.local",
    ];
    for target in refused {
        let error = public(json!({ "targets": [target] })).unwrap_err();
        assert_eq!(error.0[0].pointer, "/targets/0", "{target}");
    }
    let dns = |server: &str| json!({ "kind": "dns", "params": { "server": server }, "targets": ["localhost"] });
    assert!(public(dns("9.9.9.9")).is_ok());
    assert_eq!(
        public(dns("192.168.0.1")).unwrap_err().0[0].pointer,
        "/params/server"
    );
}

#[test]
fn addresses_are_checked() {
    for email in [
        "a@example.com",
        "a+tag@example.org",
        "a.b@fi.uba.ar",
        "a@EXAMPLE.co.uk",
        r#""q q"@example.com"#,
        r#""a\"@\\b"@example.com"#,
        "ñandú@example.com",
        "a@bücher.de",
        "a@xn--bcher-kva.de",
        "a@пример.рф",
    ] {
        assert!(check_email(email).is_ok(), "{email}");
    }
    let long = format!("{}@example.com", "a".repeat(65));
    for email in [
        "",
        "foo",
        "@example.com",
        "a@",
        "a@b",
        "a@b.c",
        "a@com",
        "a@localhost",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@x.notatld",
        "a@example.com.",
        "a@-example.com",
        "a@exa_mple.com",
        "a@example..com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@b@example.com",
        "Name <a@example.com>",
        "a b@example.com",
        "a@exam ple.com",
        " a@example.com",
        "a\n@example.com",
        r#"""@example.com"#,
        r#""a"b"@example.com"#,
        r#""a\"@example.com"#,
        "\"a\nb\"@example.com",
        &long,
    ] {
        assert!(check_email(email).is_err(), "{email}");
    }
}

#[test]
fn passwords_are_checked() {
    for password in ["Secret-123", "ÄÖüß-1234"] {
        assert!(check_password(password).is_ok(), "{password}");
    }
    let long = "Aa1-".repeat(300);
    for password in [
        "Sec-123",
        "secret-123",
        "SECRET-123",
        "Secret-abc",
        "Secret1234",
        "Secret.123",
        &long,
    ] {
        assert!(check_password(password).is_err(), "{password}");
    }
    assert!(
        Credentials::for_registration(&json!({ "email": { "$ne": null }, "password": 5 })).is_err()
    );
}

#[test]
fn blanks_around_an_address_are_no_part_of_it() {
    let body = json!({ "email": " \tAna@example.com\n", "password": " Secret-123 " });
    for read in [Credentials::for_registration, Credentials::for_login] {
        let Ok(credentials) = read(&body) else {
            panic!("refused")
        };
        assert_eq!(credentials.email, "Ana@example.com");
        assert_eq!(credentials.password, " Secret-123 ");
    }
}

#[test]
fn probe_cards_are_checked() {
    let card = |location: Value| ProbeCard::for_registration(&json!({ "location": location }));
    assert!(card(json!({ "longitude": -58.4, "latitude": 90 })).is_ok());
    for location in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "longitude": 1 }),
        json!({ "longitude": "1", "latitude": 2 }),
        json!({ "longitude": true, "latitude": 2 }),
        json!({ "longitude": 999, "latitude": 2 }),
    ] {
        let Err(Invalid(errors)) = card(location.clone()) else {
            panic!("{location}")
        };
        assert!(
            errors
                .iter()
                .all(|error| error.pointer.starts_with("/location")),
            "{location} {errors:?}"
        );
    }
}

/// Any JSON, with the names of real fields among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "ping",
        "dns",
        "1.1.1.1",
        "x'; reboot; '",
        "* * * * *",
        "skip",
        "-c",
        "%",
        "\n",
        "2027-01-15T09:00:00Z",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(
        &[
            "kind",
            "params",
            "targets",
            "schedule",
            "probes",
            "cron",
            "stop_time",
            "server",
            "type",
            "dport",
            "wait",
        ][..],
    );
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    /// Whatever is sent: no panic, and what is taken holds nothing that a shell or a program could misread.
    #[test]
    fn nothing_unsafe_passes(kind in any_json(), params in any_json(), targets in any_json()) {
        for kind in [kind, json!("ping"), json!("traceroute"), json!("dns")] {
            let body = with(json!({ "kind": kind, "params": params, "targets": targets }));
            if let Ok(order) = read(&body) {
                let params = order.measurement.params().unwrap().to_string();
                let targets = order.targets.iter().map(ToString::to_string);
                let safe = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c));
                prop_assert!(targets.into_iter().all(|target| safe(&target) && !target.starts_with('-')));
                let unquoted: String = params.chars().filter(|c| !"{}\",".contains(*c)).collect();
                prop_assert!(safe(&unquoted), "{}", params);
            }
        }
    }

    #[test]
    fn any_body_is_answered(body in any_json()) {
        let _ = read(&body);
        let _ = Credentials::for_registration(&body);
        let _ = ProbeCard::for_registration(&body);
        let _ = ProbeCard::for_change(&body);
    }
}

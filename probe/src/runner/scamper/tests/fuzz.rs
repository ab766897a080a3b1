//! Parameters as a hub that somebody took over might send them: what is read, written as arguments of scamper and dig,
//! is of a few fixed words, numbers, addresses and names.

use ::fuzz::{Target as Fuzzed, sort_of};
use probe_protocol::{Assign, HubFrame, Target};

use super::*;
use crate::runner::dig;

const WORDS: &[&str] = &[
    "\"kind\":\"ping\"",
    "\"kind\":\"traceroute\"",
    "\"kind\":\"dns\"",
    "\"probecount\":",
    "\"icmp_sum\":",
    "\"dport\":",
    "\"sport\":",
    "\"wait\":",
    "\"method\":",
    "\"size\":",
    "\"timeout\":",
    "\"confidence\":",
    "\"firsthop\":",
    "\"maxttl\":",
    "\"attempts\":",
    "\"wait_probe\":",
    "\"type\":",
    "\"server\":",
    "\"port\":",
    "\"source_address\":",
    "\"ip_version\":",
    "icmp-echo",
    "udp-paris",
    "tcp",
    "aaaa",
    "axfr",
    "192.0.2.1",
    "2001:db8::1",
    "fe80::1%eth0",
    "::ffff:192.0.2.1",
    "a.example",
    "xn--",
    "+short",
    "@192.0.2.1",
    "-f /etc/passwd",
    " -O ",
    "\\n",
    "0.95",
];

/// Flags of scamper that a command may have.
const SCAMPER_FLAGS: &[&str] = &[
    "-c", "-C", "-d", "-F", "-f", "-i", "-m", "-P", "-q", "-s", "-w", "-W",
];
/// Flags of dig.
const DIG_FLAGS: &[&str] = &["-p", "-b", "-4", "-6", "-q", "-x", "-t"];

/// A word that is a number or a fixed one, with nothing in it that means anything to scamper.
fn is_plain(word: &str) -> bool {
    let letters = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !word.is_empty() && word.len() <= 16 && !word.starts_with('-') && word.bytes().all(letters)
}

fn check_scamper(command: &str, verb: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], verb);
    assert!(words.len() % 2 == 1, "{command}");
    for pair in words[1..].chunks(2) {
        assert!(
            SCAMPER_FLAGS.contains(&pair[0]) && is_plain(pair[1]),
            "{command}"
        );
    }
}

fn check_dig(args: &[String]) {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let Some(server) = arg.strip_prefix('@') {
            server.parse::<IpAddr>().unwrap();
            continue;
        }
        assert!(DIG_FLAGS.contains(&arg.as_str()), "{arg}");
        let value = match arg.as_str() {
            "-4" | "-6" => continue,
            _ => args.next().unwrap(),
        };
        match arg.as_str() {
            "-p" => assert!(value.parse::<u16>().unwrap() > 0),
            "-b" | "-x" => assert!(value.parse::<IpAddr>().is_ok(), "{value}"),
            "-q" => {
                assert!(!value.starts_with(['-', '+', '@']), "{value}");
                assert!(value.bytes().all(|c| c.is_ascii_graphic()), "{value}");
                assert!(matches!(value.parse(), Ok(Target::Name(_))), "{value}");
            }
            _ => assert!(is_plain(value), "{value}"),
        }
    }
}

fn check(assign: &Assign) -> String {
    let measurement = match Measurement::parse(assign.kind, &assign.params) {
        Ok(measurement) => measurement,
        Err(error) => return sort_of(&error),
    };
    let again = Measurement::parse(assign.kind, &measurement.params().unwrap()).unwrap();
    assert_eq!(again, measurement);
    match &measurement {
        Measurement::Ping(params) => {
            check_scamper(&ping(params), "ping");
            assert!(ping_time(params, assign.targets.len()) >= MARGIN);
        }
        Measurement::Traceroute(params) => {
            check_scamper(&trace(params), "trace");
            assert!(trace_time(params) >= MARGIN);
        }
        Measurement::Dns(params) => check_dig(&dig::args(params, &assign.targets)),
    }
    let params = measurement.params().unwrap();
    let (count, first) = params
        .as_object()
        .map(|map| (map.len(), map.keys().next()))
        .unwrap();
    let suits = suits(&measurement, assign.targets.len()).is_ok();
    format!("{} {count} {first:?} {suits}", assign.kind)
}

#[test]
fn parameters() {
    let target = Fuzzed::new("parameters").words(WORDS).heap(64 * 1024, 512);
    target.run(|input| {
        let frame = HubFrame::from_text(str::from_utf8(input).ok()?);
        Some(match frame {
            Ok(HubFrame::Assign(assign)) => check(&assign),
            Ok(_) => "another frame".to_owned(),
            Err(error) => sort_of(&error),
        })
    });
}

//! Files of the real prober, against what the real tools print for them.
//!
//! Next to each `samples/*.warts` are the output of `sc_warts2json` (run in UTC) and,
//! where it prints any, of `sc_analysis_dump -C`.

use serde_json::Value;

use super::{decoded, dump_lines, objects};
use crate::warts::Record;

pub(super) struct Sample {
    name: &'static str,
    pub(super) warts: &'static [u8],
    json: &'static str,
    dump: &'static str,
}

macro_rules! sample {
    ($name:literal, $dump:expr) => {
        Sample {
            name: $name,
            warts: include_bytes!(concat!("../samples/", $name, ".warts")),
            json: include_str!(concat!("../samples/", $name, ".json")),
            dump: $dump,
        }
    };
    ($name:literal) => {
        sample!($name, "")
    };
    (dump $name:literal) => {
        sample!($name, include_str!(concat!("../samples/", $name, ".txt")))
    };
}

pub(super) const SAMPLES: &[Sample] = &[
    sample!("ping-icmp"),
    sample!("ping-icmp6"),
    sample!("ping-record-route"),
    sample!("ping-timestamps"),
    sample!("ping-tcp-udp"),
    sample!("ping-fragments"),
    sample!("ping-payload"),
    sample!(dump "trace-udp"),
    sample!(dump "trace-icmp6"),
    sample!(dump "trace-confidence"),
    sample!(dump "trace-doubletree"),
    sample!(dump "mixed"),
];

/// The tool's lines, those of record types this decoder leaves raw replaced by what
/// it prints for them.
fn expected(sample: &Sample, ours: &[Value]) -> Vec<String> {
    let lines = sample.json.lines().enumerate();
    let line = |(index, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).unwrap();
        if ["cycle-start", "cycle-stop", "ping", "trace"].contains(&value["type"].as_str().unwrap())
        {
            value.to_string()
        } else {
            assert_eq!(ours[index]["type"], "undecoded", "{line}");
            ours[index].to_string()
        }
    };
    lines.map(line).collect()
}

#[test]
fn json_is_the_tools_key_for_key() {
    for sample in SAMPLES {
        let ours = objects(sample.warts);
        let printed: Vec<String> = ours.iter().map(Value::to_string).collect();
        assert_eq!(printed, expected(sample, &ours), "{}", sample.name);
    }
}

#[test]
fn dump_is_the_tools() {
    for sample in SAMPLES {
        let expected: Vec<&str> = sample.dump.lines().collect();
        assert_eq!(dump_lines(sample.warts), expected, "{}", sample.name);
    }
}

#[test]
fn an_unknown_record_between_known_ones_is_kept_raw() {
    let mixed = SAMPLES.last().unwrap();
    let decoded = decoded(mixed.warts);
    assert_eq!(decoded.undecoded(), 1);
    let raw = decoded.records.iter().find_map(|record| match record {
        Record::Undecoded(raw) => Some(raw),
        _ => None,
    });
    let raw = raw.unwrap();
    assert_eq!(raw.warts_type, Some(9));
    assert_eq!(
        raw.bytes,
        mixed.warts[raw.offset..raw.offset + raw.bytes.len()]
    );
}

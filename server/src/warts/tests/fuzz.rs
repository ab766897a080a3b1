//! Files of warts that were changed.

use ::fuzz::{Target, sort_of};
use serde_json::Value;

use super::{decoded, properties::check, samples::SAMPLES};
use crate::warts::Record;

/// Headers of records, flags, addresses, as bytes below 0x80.
const WORDS: &[&str] = &[
    "\x12\x05\0\x01\0\0\0\x11\0\0\0\0\0\0\0\0default\0\0\0",
    "\x12\x05\0\x02\0\0\0\x11\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0",
    "\x12\x05\0\x04\0\0\0\x09\0\0\0\x01\0\0\0\0\0",
    "\x12\x05\0\x06",
    "\x12\x05\0\x07",
    "\x12\x05\0\x09\0\0\0\0",
    "\x04\x01\x7f\0\0\x01",
    "\0\0\0\0\0",
    "\0\0\0\0\x01",
    "\x7f\x7f\x7f",
    "\0\x01",
];

/// Longest input, bytes: of ten samples one after the other.
const LONGEST: usize = 4096;

/// Numbers are finite: JSON has no word for others, they would be null.
fn check_numbers(value: &Value) {
    match value {
        Value::Number(number) => assert!(number.as_f64().is_some_and(f64::is_finite)),
        Value::Array(items) => items.iter().for_each(check_numbers),
        Value::Object(map) => {
            // What has no header has no type either.
            let known = map.iter().filter(|(name, _)| *name != "warts_type");
            known.for_each(|(_, value)| check_numbers(value));
        }
        Value::Null => panic!("a null"),
        Value::Bool(_) | Value::String(_) => {}
    }
}

/// What kind of record, and why it is none.
fn sort(record: &Record) -> String {
    match record {
        Record::List(_) => "list".to_owned(),
        Record::CycleStart(_) => "start".to_owned(),
        Record::CycleDefinition(_) => "definition".to_owned(),
        Record::CycleStop(_) => "stop".to_owned(),
        Record::Ping(ping) => format!("ping {:?} {}", ping.method, ping.replies.len().min(3)),
        Record::Trace(trace) => {
            let hops = trace.hops.len().min(3);
            format!("trace {:?} {:?} {hops}", trace.method, trace.stop_reason)
        }
        Record::Undecoded(raw) => sort_of(&raw.reason),
    }
}

#[test]
fn warts() {
    // A hop of ten bytes becomes four KiB of JSON, see `Limits`.
    let target = Target::new("warts")
        .words(WORDS)
        .longest(LONGEST)
        .heap(256 * 1024, 1024);
    let before = SAMPLES[0].warts;
    let known = decoded(before).records;
    target.run(|input| {
        check(input).unwrap();
        let found = decoded(input);
        let json = found.to_json();
        check_numbers(&json);
        let text = json.to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json);
        for line in found
            .to_dump()
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            assert!(
                line.starts_with("T\t") && line.split('\t').count() >= 13,
                "{line}"
            );
        }
        // Whatever follows a good file, the good one stays as it is.
        let both = decoded(&[before, input].concat()).records;
        assert_eq!(both.get(..known.len()), Some(&known[..]));
        let mut sorts: Vec<String> = found.records.iter().map(sort).collect();
        sorts.dedup();
        sorts.truncate(6);
        sorts
    });
}

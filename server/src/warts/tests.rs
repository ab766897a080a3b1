//! Tests of the decoder as a whole, on samples, hand-made records and damage.

mod build;
mod damage;
mod fuzz;
mod properties;
mod records;
mod samples;

use serde_json::Value;

use super::{Decoded, Limits, decode};

fn decoded(bytes: &[u8]) -> Decoded {
    decode(bytes, &Limits::default())
}

/// The JSON objects of a file, one per printed record.
fn objects(bytes: &[u8]) -> Vec<Value> {
    match decoded(bytes).to_json() {
        Value::Array(objects) => objects,
        other => panic!("not an array: {other}"),
    }
}

/// The dump of a file without its comment.
fn dump_lines(bytes: &[u8]) -> Vec<String> {
    let dump = decoded(bytes).to_dump();
    let lines = dump.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

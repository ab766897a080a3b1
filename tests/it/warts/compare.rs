//! One warts file, decoded by us and by the tools.

use std::path::Path;

use pladmed::warts::{Decoded, Limits, decode};
use serde_json::Value;

use super::run::output;

/// What a comparison that found no difference has covered.
#[derive(Debug)]
pub(super) struct Compared {
    /// Objects compared, measurements or not.
    pub(super) objects: usize,
    /// Pings, traces, and records of types kept raw.
    pub(super) measurements: usize,
    /// The tools' output, JSON and dump.
    pub(super) text: String,
}

pub(super) fn file(path: &Path) -> Result<Compared, String> {
    let (json, dump) = tools(path)?;
    bytes(&read(path)?, &json, &dump)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

/// What the tools print for a file.
pub(super) fn tools(path: &Path) -> Result<(String, String), String> {
    let path = path.to_str().ok_or("the path is not UTF-8")?;
    let json = output("sc_warts2json", &[path])?;
    Ok((json, output("sc_analysis_dump", &[path])?))
}

/// Compares what we make of `bytes` with what the tools printed.
pub(super) fn bytes(bytes: &[u8], json: &str, dump: &str) -> Result<Compared, String> {
    let decoded = decode(bytes, &Limits::default());
    let measurements = objects(&decoded, json)?;
    let theirs = traces(dump);
    let dumped = decoded.to_dump();
    if traces(&dumped) != theirs {
        return Err(format!(
            "dump differs\nours:   {dumped}\ntheirs: {theirs:#?}"
        ));
    }
    Ok(Compared {
        objects: json.lines().count(),
        measurements,
        text: [json, dump].concat(),
    })
}

/// Compares the objects, keys and their order included. What we keep raw is either a
/// type the tool prints and we do not, or one that it passes over in silence.
fn objects(decoded: &Decoded, json: &str) -> Result<usize, String> {
    let parsed = json
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>();
    let mut theirs = parsed
        .map_err(|error| error.to_string())?
        .into_iter()
        .peekable();
    let mut measurements = 0;
    let ours = decoded.to_json();
    for object in ours.as_array().into_iter().flatten() {
        let kind = object["type"].as_str().unwrap_or_default();
        measurements += usize::from(!kind.starts_with("cycle-"));
        if kind == "undecoded" {
            theirs.next_if(|line| !is_decoded(line));
            continue;
        }
        let line = theirs.next().ok_or(format!("the tool has no {object}"))?;
        // Equality ignores the order of keys, the text does not.
        let (theirs, ours) = (line.to_string(), object.to_string());
        if line != *object || theirs != ours {
            return Err(format!("objects differ\nours:   {ours}\ntheirs: {theirs}"));
        }
    }
    match theirs.next() {
        Some(line) => Err(format!("only the tool has {line}")),
        None => Ok(measurements),
    }
}

fn is_decoded(object: &Value) -> bool {
    let types = ["cycle-start", "cycle-stop", "ping", "trace"];
    object["type"]
        .as_str()
        .is_some_and(|kind| types.contains(&kind))
}

fn traces(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| !line.starts_with('#')).collect()
}

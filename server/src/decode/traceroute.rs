//! The summary of a trace record, which is an object of the shape that `sc_warts2json` prints.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    bounds::{Listing, cut},
    ping::{MAX_ADDRESS, ms, rtt_us},
};

/// Most replies of one hop: attempts are 10 at most, and a search for all interfaces sends some tens of probes.
const MAX_REPLIES: usize = 64;

/// Longest list of replies of one hop, bytes of JSON text: as many IPv6 addresses as a hop has replies.
const MAX_REPLIES_BYTES: usize = 8 * 1024;

/// Longest word for why a trace stopped, bytes; scamper's longest has 9.
const MAX_STOP: usize = 32;

/// One target. Nothing where the record is not one; a trace that nobody answered was measured all the same.
pub(super) fn summarize(record: &Value) -> Option<(Value, bool)> {
    let target = record.get("dst")?.as_str()?;
    let stop = record.get("stop_reason").and_then(Value::as_str);
    let mut answers: BTreeMap<u8, Listing> = BTreeMap::new();
    let mut reached = stop == Some("COMPLETED");
    let hops = record.get("hops").and_then(Value::as_array);
    for hop in hops.into_iter().flatten() {
        let (Some(ttl), Some(address)) = (ttl(hop, "probe_ttl"), address(hop)) else {
            continue;
        };
        // A target may answer in a way that is not the end of a trace, such as "administratively prohibited".
        reached |= address == target;
        let time = hop.get("rtt").and_then(rtt_us).map(ms);
        answers
            .entry(ttl)
            .or_insert_with(|| Listing::new(MAX_REPLIES, MAX_REPLIES_BYTES))
            .push(json!({"address": cut(address, MAX_ADDRESS), "rtt_ms": time}));
    }
    let summary = json!({
        "target": cut(target, MAX_ADDRESS),
        "reached": reached,
        "stop_reason": stop.map(|stop| cut(stop, MAX_STOP)),
        "hops": in_order(answers, ttl(record, "firsthop")),
    });
    Some((summary, true))
}

/// A distance; 0 is none, and a packet has no room for more than 255.
fn ttl(object: &Value, key: &str) -> Option<u8> {
    let ttl = u8::try_from(object.get(key)?.as_u64()?).ok()?;
    (ttl > 0).then_some(ttl)
}

fn address(hop: &Value) -> Option<&str> {
    hop.get("addr")?.as_str()
}

/// One entry per distance, the silent ones too, from the first probed to the last that answered.
fn in_order(mut answers: BTreeMap<u8, Listing>, first_probed: Option<u8>) -> Vec<Value> {
    let Some((&nearest, _)) = answers.first_key_value() else {
        return Vec::new();
    };
    let last = answers.last_key_value().map_or(nearest, |(&ttl, _)| ttl);
    let first = first_probed.unwrap_or(1).min(nearest);
    let hop = |ttl| {
        let mut hop = Map::new();
        hop.insert("ttl".to_owned(), Value::from(ttl));
        let replies = answers.remove(&ttl).unwrap_or_else(|| Listing::new(0, 0));
        replies.put("replies", &mut hop);
        Value::Object(hop)
    };
    (first..=last).map(hop).collect()
}

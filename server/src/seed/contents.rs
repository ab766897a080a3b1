//! What probes would have sent: documents of the shapes that agents make. The same run always has the same content.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Kind, Target};
use serde_json::{Value, json};

/// Packets of one ping.
const PINGS: i64 = 4;
/// Round trip to the first hop, ms, by the number of the probe; the rest of a way takes as much per hop.
const NEAR: [f64; 5] = [1.9, 4.2, 0.6, 7.1, 1.1];
/// Hops of a way, with the target.
const HOPS: usize = 7;

/// The content of a run on the probe with that number.
pub(super) fn content(kind: Kind, targets: &[Target], probe: usize, at: DateTime<Utc>) -> Value {
    let near = NEAR.get(probe).copied().unwrap_or(3.0);
    match kind {
        Kind::Ping => {
            let far = (8..).map(|hops| near * f64::from(hops));
            let pings = targets.iter().zip(far).map(|(to, way)| ping(to, way, at));
            pings.collect()
        }
        Kind::Traceroute => targets.iter().map(|to| path(to, near, probe, at)).collect(),
        Kind::Dns => {
            let queries: Vec<Value> = targets.iter().map(|name| query(name, near)).collect();
            json!({"type": "dns", "queries": queries})
        }
    }
}

/// Up to a tenth more, in another way for each time.
fn vary(ms: f64, at: DateTime<Utc>, number: i64) -> f64 {
    let spread = (at.timestamp() / 60 * 37 + number * 53).rem_euclid(100);
    let ms = ms * (1.0 + spread as f64 / 1000.0);
    (ms * 1000.0).round() / 1000.0
}

fn stamp(at: DateTime<Utc>) -> Value {
    json!({"sec": at.timestamp(), "usec": at.timestamp_subsec_micros()})
}

fn ping(to: &Target, way: f64, at: DateTime<Utc>) -> Value {
    // Every tenth run or so loses its last packet.
    let answered = if at.timestamp() / 900 % 10 == 3 {
        PINGS - 1
    } else {
        PINGS
    };
    let responses: Vec<Value> = (0..answered)
        .map(|seq| {
            let sent = at + TimeDelta::seconds(seq);
            json!({"from": to, "seq": seq, "reply_size": 84, "reply_ttl": 55, "reply_proto": "icmp",
                "tx": stamp(sent), "rtt": vary(way, at, seq), "icmp_type": 0, "icmp_code": 0})
        })
        .collect();
    json!({"type": "ping", "version": "0.4", "method": "icmp-echo", "dst": to, "start": stamp(at), "ping_sent": PINGS,
        "probe_size": 84, "userid": 0, "ttl": 64, "wait": 1, "timeout": 1, "responses": responses})
}

fn path(to: &Target, near: f64, probe: usize, at: DateTime<Utc>) -> Value {
    let mut far = 0.0;
    let hops: Vec<Value> = (1..=HOPS)
        .map(|ttl| {
            far += near * 1.3;
            // Routers of a network for documentation (RFC 5737).
            let (address, icmp_type) = if ttl == HOPS {
                (json!(to), 0)
            } else {
                (json!(format!("198.51.100.{}", probe * 10 + ttl)), 11)
            };
            json!({"addr": address, "probe_ttl": ttl, "probe_id": 1, "probe_size": 44, "tx": stamp(at),
                "rtt": vary(far, at, 0), "reply_ttl": 64 - ttl, "icmp_type": icmp_type, "icmp_code": 0})
        })
        .collect();
    json!({"type": "trace", "version": "0.1", "method": "icmp-echo-paris", "dst": to, "start": stamp(at),
        "stop_reason": "COMPLETED", "stop_data": 0, "firsthop": 1, "hop_count": HOPS, "attempts": 2, "hops": hops})
}

fn query(name: &Target, near: f64) -> Value {
    let name = format!("{name}.");
    let answer =
        json!({"name": name, "ttl": 3600, "class": "IN", "type": "A", "data": "192.0.2.80"});
    json!({"question": {"name": name, "type": "A"}, "server": "192.0.2.53#53", "status": "NOERROR",
        "answers": [answer], "time_ms": (near * 4.0).round() as u64})
}

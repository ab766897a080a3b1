//! Bodies of requests that tests send again and again, and the results that fake probes answer with.

use std::io::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compression, write::GzEncoder};
use probe_protocol::ProbeId;
use serde_json::{Value, json};

/// One ping of this machine, now, on these probes.
#[must_use]
pub fn ping(probes: &[ProbeId]) -> Value {
    json!({"kind": "ping", "targets": ["127.0.0.1"], "probes": probes})
}

/// The same order for probes that may be away.
#[must_use]
pub fn queued(mut order: Value) -> Value {
    order["offline"] = "queue".into();
    order
}

/// The same order on a schedule: `times` runs in each minute until `stop`.
#[must_use]
pub fn every_minute(mut order: Value, times: u32, stop: DateTime<Utc>) -> Value {
    order["schedule"] = json!({"cron": "* * * * *", "times_per_minute": times, "stop_time": stop});
    order
}

/// The same order with so many runs planned that no test reaches their number: one a second for a day.
#[must_use]
pub fn endless(order: Value) -> Value {
    every_minute(order, 60, Utc::now() + TimeDelta::days(1))
}

/// The document of a ping with one answer, as a probe without scamper sends it.
#[must_use]
pub fn ping_document(number: usize) -> Vec<u8> {
    let response = json!({"from": "127.0.0.1", "seq": 0, "rtt": 0.25});
    let record = json!({"type": "ping", "method": "icmp-echo", "dst": "127.0.0.1", "ping_sent": 1, "userid": number,
        "responses": [response], "statistics": {"replies": 1, "loss": 0, "min": 0.25, "max": 0.25, "avg": 0.25, "stddev": 0.0}});
    json!([record]).to_string().into_bytes()
}

/// One traceroute to this machine, now, on these probes.
#[must_use]
pub fn traceroute(probes: &[ProbeId]) -> Value {
    json!({"kind": "traceroute", "targets": ["127.0.0.1"], "probes": probes})
}

/// One question for a name, now, on these probes.
#[must_use]
pub fn dns(probes: &[ProbeId]) -> Value {
    json!({"kind": "dns", "targets": ["a.example"], "probes": probes})
}

/// What scamper wrote of a ping that was answered.
pub const PING_WARTS: &[u8] = include_bytes!("../../server/src/decode/samples/ping.warts");
/// What scamper wrote of a traceroute that came to its end.
pub const TRACEROUTE_WARTS: &[u8] = include_bytes!("../../server/src/decode/samples/trace.warts");
/// What dig printed when it was asked for several names.
pub const DIG_TEXT: &str = include_str!("../../server/src/decode/samples/dig-several.txt");

/// A text as old agents send it.
///
/// # Panics
/// When there is no memory for it.
#[must_use]
pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

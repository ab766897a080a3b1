//! The summary of a ping record, which is an object of the shape that `sc_warts2json` prints.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::bounds::cut;

/// Longest address, bytes; the longest IPv6 address has 45.
pub(super) const MAX_ADDRESS: usize = 64;

/// Longest believable round trip, ms: scamper waits 255 seconds at most. Where a clock went backwards it prints
/// 2³² µs less something, and one such reply would spoil the mean.
const MAX_RTT_MS: f64 = 300_000.0;

/// Microseconds of a round-trip time that can be true.
pub(super) fn rtt_us(ms: &Value) -> Option<u32> {
    let ms = ms.as_f64().filter(|ms| (0.0..=MAX_RTT_MS).contains(ms))?;
    // At most 300 million after the filter, so nothing is lost.
    Some((ms * 1000.0).round() as u32)
}

/// Milliseconds, with three decimals at most.
pub(super) fn ms(us: u32) -> f64 {
    f64::from(us) / 1000.0
}

/// One target, and whether anything was sent to it. Nothing where the record is not one.
pub(super) fn summarize(record: &Value) -> Option<(Value, bool)> {
    let target = record.get("dst")?.as_str()?;
    let sent = record.get("ping_sent")?.as_u64()?;
    let (received, rtt) = match record.get("responses").and_then(Value::as_array) {
        Some(responses) => of_responses(record, responses),
        None => of_statistics(record.get("statistics").unwrap_or(&Value::Null)),
    };
    let received = received.min(sent);
    let summary = json!({
        "target": cut(target, MAX_ADDRESS),
        "sent": sent,
        "received": received,
        "loss": share(sent.saturating_sub(received), sent),
        "rtt_ms": rtt,
    });
    Some((summary, sent > 0))
}

/// How much of the whole, from 0 to 1; `None` of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    // Counts of packets: a float holds them exactly up to 2⁵³, and the quotient stays in range beyond.
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Probes that the target answered, and the times of the answers. They are preferred to the record's own statistics,
/// which count a router's "unreachable" as a reply and average times that cannot be true; otherwise both agree.
fn of_responses(record: &Value, responses: &[Value]) -> (u64, Value) {
    let method = record.get("method").and_then(Value::as_str).unwrap_or("");
    let mut numbers = HashSet::new();
    let mut unnumbered = 0_u64;
    let mut times = Vec::new();
    for response in responses.iter().filter(|it| is_answer(method, it)) {
        match response.get("seq").and_then(Value::as_u64) {
            // A duplicate answers a probe that is answered already.
            Some(number) => _ = numbers.insert(number),
            None => unnumbered = unnumbered.saturating_add(1),
        }
        times.extend(response.get("rtt").and_then(rtt_us));
    }
    let numbered = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
    (numbered.saturating_add(unnumbered), statistics(&times))
}

/// Whether a response is one that only the target gives. An ICMP error is not, but "port unreachable" is what UDP and
/// TCP probes hope for.
fn is_answer(method: &str, response: &Value) -> bool {
    let number = |key| response.get(key).and_then(Value::as_u64);
    let Some(icmp_type) = number("icmp_type") else {
        return true;
    };
    let from = response.get("from").and_then(Value::as_str).unwrap_or("");
    let (is_error, port_unreachable) = if from.contains(':') {
        (icmp_type < 128, (1, 4))
    } else {
        (matches!(icmp_type, 3 | 4 | 5 | 11 | 12), (3, 3))
    };
    let has_ports = method.starts_with("udp") || method.starts_with("tcp");
    let code = number("icmp_code").unwrap_or(0);
    !is_error || (has_ports && (icmp_type, code) == port_unreachable)
}

/// As `sc_warts2json` computes them: over all replies, duplicates too, in whole microseconds.
fn statistics(times: &[u32]) -> Value {
    let (Some(min), Some(max), Ok(count)) = (
        times.iter().min(),
        times.iter().max(),
        u64::try_from(times.len()),
    ) else {
        return Value::Null;
    };
    let mean = times.iter().map(|us| u64::from(*us)).sum::<u64>() / count;
    let square = |us: &u32| u128::from(u64::from(*us).abs_diff(mean)).pow(2);
    let variance = times.iter().map(square).sum::<u128>() / u128::from(count);
    // Neither the mean nor the deviation exceeds the largest time, which fits.
    let [mean, deviation] =
        [u128::from(mean), variance.isqrt()].map(|us| u32::try_from(us).unwrap_or(*max));
    json!({"min": ms(*min), "avg": ms(mean), "max": ms(*max), "stddev": ms(deviation)})
}

/// For a record that does not list its responses.
fn of_statistics(statistics: &Value) -> (u64, Value) {
    let received = statistics
        .get("replies")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let time = |key| statistics.get(key).and_then(rtt_us).map(ms);
    let rtt = match (time("min"), time("avg"), time("max")) {
        (Some(min), Some(avg), Some(max)) => {
            json!({"min": min, "avg": avg, "max": max, "stddev": time("stddev")})
        }
        _ => Value::Null,
    };
    (received, rtt)
}

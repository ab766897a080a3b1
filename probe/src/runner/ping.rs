//! Ping without scamper: ICMP echo through an unprivileged ICMP socket where the system allows one
//! (`net.ipv4.ping_group_range`), else through a raw one. Its document is made of the objects that `sc_warts2json` prints.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, future::join_all, stream};
use probe_protocol::spec::{PingMethod, PingParams};
use serde_json::{Value, json};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

use super::{Failure, Output};

/// Targets probed at the same time.
const PARALLEL: usize = 64;

/// scamper's defaults, so that both give the same measurement.
const PROBES: u32 = 4;
const WAIT_S: u32 = 1;
const TTL: u32 = 64;
const SIZE_V4: u32 = 84;
const SIZE_V6: u32 = 56;

/// IP and ICMP headers, bytes.
const HEADERS_V4: u32 = 20 + 8;
const HEADERS_V6: u32 = 40 + 8;

/// Why this ping cannot honour the parameters, if so.
///
/// # Errors
/// [`Failure::Unfit`] naming the parameter.
pub fn suits(params: &PingParams) -> Result<(), Failure> {
    let method = params
        .method
        .is_some_and(|method| method != PingMethod::IcmpEcho);
    let unsupported = [
        ("method", method),
        ("icmp_sum", params.icmp_sum.is_some()),
        ("dport", params.dport.is_some()),
        ("sport", params.sport.is_some()),
    ];
    match unsupported.iter().find(|(_, used)| *used) {
        Some((name, _)) => Err(Failure::Unfit(format!(
            "{name}: this probe has no usable scamper and pings by plain ICMP echo only"
        ))),
        None => Ok(()),
    }
}

/// Whether a socket for it can be had.
///
/// # Errors
/// What the system says.
pub fn usable() -> std::io::Result<()> {
    Client::new(&config(ICMP::V4)).map(drop)
}

fn config(kind: ICMP) -> Config {
    Config::builder().kind(kind).ttl(TTL).build()
}

/// Pings all addresses.
///
/// # Errors
/// [`Failure`] when no socket can be had or the size leaves no room for the headers.
pub async fn run(params: &PingParams, addresses: &[IpAddr]) -> Result<Output, Failure> {
    suits(params)?;
    let mut clients = HashMap::new();
    for address in addresses {
        let (v4, kind) = (address.is_ipv4(), kind_of(address));
        if let std::collections::hash_map::Entry::Vacant(slot) = clients.entry(v4) {
            let client = Client::new(&config(kind)).map_err(|cause| Failure::System {
                what: "cannot open an ICMP socket",
                cause,
            })?;
            slot.insert(client);
        }
        payload(params, *address)?;
    }
    // Collected first: the compiler cannot see that a lazy list of them may cross threads.
    let mut pings = Vec::with_capacity(addresses.len());
    for &address in addresses {
        if let Some(client) = clients.get(&address.is_ipv4()) {
            pings.push(ping(client, params, address));
        }
    }
    let records: Vec<Result<Value, Failure>> =
        stream::iter(pings).buffered(PARALLEL).collect().await;
    let records = records.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Output::json(&Value::Array(records)))
}

fn kind_of(address: &IpAddr) -> ICMP {
    if address.is_ipv4() {
        ICMP::V4
    } else {
        ICMP::V6
    }
}

/// The size of a probe with headers, and its payload.
fn payload(params: &PingParams, address: IpAddr) -> Result<(u32, Vec<u8>), Failure> {
    let (default, headers) = if address.is_ipv4() {
        (SIZE_V4, HEADERS_V4)
    } else {
        (SIZE_V6, HEADERS_V6)
    };
    let size = params.size.map_or(default, |size| size.get());
    match size.checked_sub(headers) {
        Some(length) => Ok((size, vec![0; length as usize])),
        None => Err(Failure::Unfit(format!(
            "size: a ping of {address} has at least {headers} bytes"
        ))),
    }
}

struct Reply {
    seq: u16,
    sent: Duration,
    rtt: Duration,
    packet: IcmpPacket,
}

async fn ping(client: &Client, params: &PingParams, to: IpAddr) -> Result<Value, Failure> {
    let (size, payload) = payload(params, to)?;
    let probes = params.probecount.map_or(PROBES, |count| count.get());
    let wait = params.wait.map_or(WAIT_S, |wait| wait.get());
    let timeout = params.timeout.map_or(wait, |timeout| timeout.get());
    let start = since_epoch();
    let ident = PingIdentifier(rand::random());
    // Identifier and sequence number tell replies apart; an unprivileged socket has its own identifier.
    let first = rand::random::<u16>();
    let probe = |index: u16| {
        let payload = &payload;
        async move {
            tokio::time::sleep(Duration::from_secs(u64::from(index) * u64::from(wait))).await;
            let mut pinger = client.pinger(to, ident).await;
            pinger.timeout(Duration::from_secs(u64::from(timeout)));
            let sent = since_epoch();
            let reply = pinger.ping(PingSequence(first.wrapping_add(index)), payload);
            reply.await.map(|(packet, rtt)| Reply {
                seq: index,
                sent,
                rtt,
                packet,
            })
        }
    };
    let count = u16::try_from(probes).unwrap_or(u16::MAX);
    let replies = join_all((0..count).map(probe)).await;
    let sent = replies.iter().filter(|reply| left_here(reply)).count();
    let replies: Vec<Reply> = replies.into_iter().filter_map(Result::ok).collect();
    Ok(json!({
        "type": "ping", "version": "0.4", "method": "icmp-echo", "dst": to,
        "start": stamp(start), "ping_sent": sent, "probe_size": size, "userid": 0, "ttl": TTL,
        "wait": wait, "timeout": timeout,
        "responses": replies.iter().map(response).collect::<Vec<_>>(),
        "statistics": statistics(sent, &replies),
    }))
}

/// Whether the probe left this machine: only then does its loss count.
fn left_here(reply: &Result<Reply, SurgeError>) -> bool {
    matches!(reply, Ok(_) | Err(SurgeError::Timeout { .. }))
}

fn response(reply: &Reply) -> Value {
    let (from, bytes, ttl, kind, code) = match &reply.packet {
        IcmpPacket::V4(packet) => (
            IpAddr::V4(packet.get_source()),
            packet.get_size() + 20,
            packet.get_ttl(),
            packet.get_icmp_type().0,
            packet.get_icmp_code().0,
        ),
        IcmpPacket::V6(packet) => (
            IpAddr::V6(packet.get_source()),
            packet.get_size() + 40,
            None, // the socket does not tell; what the library names so is not filled
            packet.get_icmpv6_type().0,
            packet.get_icmpv6_code().0,
        ),
    };
    let mut response = json!({"from": from, "seq": reply.seq, "reply_size": bytes});
    if let Some(ttl) = ttl {
        response["reply_ttl"] = json!(ttl);
    }
    response["reply_proto"] = json!("icmp");
    response["tx"] = stamp(reply.sent);
    response["rx"] = stamp(reply.sent + reply.rtt);
    response["rtt"] = json!(milliseconds(reply.rtt.as_secs_f64()));
    response["icmp_type"] = json!(kind);
    response["icmp_code"] = json!(code);
    response
}

fn statistics(sent: usize, replies: &[Reply]) -> Value {
    let lost = sent.saturating_sub(replies.len());
    let loss = if sent == 0 {
        100.0
    } else {
        (lost as f64 / sent as f64 * 10_000.0).round() / 100.0
    };
    let mut statistics = json!({"replies": replies.len(), "loss": loss});
    let times: Vec<f64> = replies.iter().map(|r| r.rtt.as_secs_f64()).collect();
    if times.is_empty() {
        return statistics;
    }
    let count = times.len() as f64;
    let average = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|t| (t - average).powi(2)).sum::<f64>() / count;
    let min = times.iter().copied().fold(f64::INFINITY, f64::min);
    let max = times.iter().copied().fold(0.0, f64::max);
    for (name, value) in [
        ("min", min),
        ("max", max),
        ("avg", average),
        ("stddev", variance.sqrt()),
    ] {
        statistics[name] = json!(milliseconds(value));
    }
    statistics
}

/// Milliseconds with three decimals, as scamper's documents have them.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1_000_000.0).round() / 1000.0
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn stamp(time: Duration) -> Value {
    json!({"sec": time.as_secs(), "usec": time.subsec_micros()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(json: Value) -> PingParams {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_it_cannot_honour_is_named() {
        for (json, name) in [
            (json!({"method": "tcp-syn"}), "method"),
            (json!({"sport": 7}), "sport"),
            (json!({"icmp_sum": 7}), "icmp_sum"),
            (json!({"dport": 7}), "dport"),
        ] {
            let refusal = suits(&params(json)).unwrap_err().to_string();
            assert!(refusal.starts_with(name), "{refusal}");
        }
        suits(&params(json!({"method": "icmp-echo", "size": 100}))).unwrap();
    }

    #[tokio::test]
    async fn loopback_answers_in_scampers_words() {
        if let Err(why) = usable() {
            eprintln!("skipped: no ICMP socket: {why}");
            return;
        }
        let two = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        let output = run(&params(json!({"probecount": 2, "timeout": 5})), &two)
            .await
            .unwrap();
        let records: Vec<Value> = serde_json::from_slice(&output.content).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1]["dst"], "127.0.0.2");
        assert_eq!(records[0]["ping_sent"], 2);
        assert_eq!(records[0]["statistics"]["replies"], 2);
        assert_eq!(records[0]["statistics"]["loss"], 0.0);
        let response = &records[0]["responses"][1];
        assert_eq!(
            (&response["seq"], &response["reply_size"]),
            (&json!(1), &json!(84))
        );
        assert!(response["rtt"].as_f64().unwrap() < 5000.0);
    }

    #[tokio::test]
    async fn too_small_a_probe_is_a_failure() {
        let one = ["127.0.0.1".parse().unwrap()];
        if usable().is_ok() {
            let failure = run(&params(json!({"size": 27})), &one).await.unwrap_err();
            assert!(failure.to_string().starts_with("size"), "{failure}");
        }
    }

    #[test]
    fn statistics_without_replies_have_no_times() {
        let expected = json!({"replies": 0, "loss": 100.0});
        assert_eq!(statistics(4, &[]), expected);
    }
}

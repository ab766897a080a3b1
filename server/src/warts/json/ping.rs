//! The JSON object of a ping record.

use std::fmt::Write;

use serde_json::Value;

use super::super::address::Address;
use super::super::ping::{Ping, PingFlags, PingMethod, PingReply, PingReplyFlags, ReplyTimestamps};
use super::{Object, milliseconds, seconds, time};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

pub(super) fn ping(ping: &Ping) -> Value {
    let mut object = Object::new();
    object.put("type", "ping");
    object.put("version", "0.4");
    object.put("method", method(ping.method));
    object.put("src", ping.src.to_string());
    object.put("dst", ping.dst.to_string());
    object.put_some("rtr", ping.router.map(|router| router.to_string()));
    object.put("start", time(ping.start));
    object.put("ping_sent", ping.sent);
    object.put("probe_size", ping.probe_size);
    object.put("userid", ping.userid);
    object.put("ttl", ping.ttl);
    object.put("wait", ping.wait);
    object.put_some("wait_us", (ping.wait_us != 0).then_some(ping.wait_us));
    object.put("timeout", ping.timeout);
    put_probe(&mut object, ping);
    // The tool prints the replies by the number of their probe, not as received.
    let mut replies: Vec<&PingReply> = ping.replies.iter().collect();
    replies.sort_by_key(|reply| reply.seq);
    let statistics = statistics(&replies, ping.sent);
    object.put(
        "responses",
        replies.into_iter().map(response).collect::<Value>(),
    );
    object.put("statistics", statistics);
    object.into()
}

/// What only some methods and options have.
fn put_probe(object: &mut Object, ping: &Ping) {
    let (tcp, udp) = (ping.method.is_tcp(), ping.method.is_udp());
    if tcp || udp {
        object.put("sport", ping.sport);
        object.put("dport", ping.dport);
    }
    if tcp {
        object.put("tcp_seq", ping.tcp_seq);
        object.put("tcp_ack", ping.tcp_ack);
    }
    if !ping.data.is_empty() {
        let payload = ping.flags.has(PingFlags::PAYLOAD);
        let key = if payload { "payload" } else { "pattern" };
        object.put(key, hex(&ping.data));
    }
    let flags = flags(ping.flags);
    if !flags.is_empty() {
        object.put("flags", flags);
    }
    if ping.flags.has(PingFlags::ICMPSUM) && ping.method.is_icmp() {
        object.put("icmp_csum", ping.icmp_sum);
    }
    if !ping.timestamp_addresses.is_empty() {
        object.put("probe_tsps", addresses(&ping.timestamp_addresses));
    }
}

fn response(reply: &PingReply) -> Value {
    let mut object = Object::new();
    object.put("from", reply.from.to_string());
    object.put("seq", reply.seq);
    object.put("reply_size", reply.size);
    object.put("reply_ttl", reply.ttl);
    match reply.protocol {
        ICMP | ICMP6 => object.put("reply_proto", "icmp"),
        TCP => object.put("reply_proto", "tcp"),
        UDP => object.put("reply_proto", "udp"),
        other => object.put("reply_proto", other),
    }
    if let Some(tx) = reply.tx {
        let (sec, usec) = tx.later(reply.rtt);
        object.put("tx", time(tx));
        object.put("rx", seconds(sec, usec));
    }
    object.put("rtt", milliseconds(reply.rtt));
    if reply.from.is_v4() {
        object.put("probe_ipid", reply.probe_ipid);
        object.put("reply_ipid", reply.reply_ipid);
    } else if reply.flags.has(PingReplyFlags::REPLY_IPID) {
        object.put("reply_ipid", reply.reply_ipid32);
    }
    let icmp = if reply.from.is_v4() { ICMP } else { ICMP6 };
    if reply.protocol == icmp {
        object.put("icmp_type", reply.icmp_type);
        object.put("icmp_code", reply.icmp_code);
    } else if reply.protocol == TCP {
        object.put("tcp_flags", reply.tcp_flags);
    }
    if !reply.record_route.is_empty() {
        object.put("RR", addresses(&reply.record_route));
    }
    match &reply.timestamps {
        Some(ReplyTimestamps::Only(times)) => object.put("tsonly", times.clone()),
        Some(ReplyTimestamps::WithAddress(pairs)) => {
            object.put("tsandaddr", pairs.iter().map(stamp).collect::<Value>());
        }
        None => {}
    }
    object.into()
}

fn stamp((address, time): &(Address, u32)) -> Value {
    let mut object = Object::new();
    object.put("ip", address.to_string());
    object.put("ts", *time);
    object.into()
}

/// Counts and round trip times, for replies ordered by probe.
fn statistics(replies: &[&PingReply], sent: u16) -> Object {
    let mut answered: Vec<u16> = replies.iter().map(|reply| reply.seq).collect();
    answered.dedup();
    let mut object = Object::new();
    object.put("replies", answered.len());
    let lost = usize::from(sent).saturating_sub(answered.len());
    match (lost, answered.len()) {
        _ if sent == 0 => {}
        (0, _) => object.put("loss", 0),
        (_, 0) => object.put("loss", 1),
        _ => object.put("loss", two_decimals(lost, sent)),
    }
    let rtts = || replies.iter().map(|reply| u64::from(reply.rtt));
    let (Some(min), Some(max)) = (rtts().min(), rtts().max()) else {
        return object;
    };
    let count = u64::try_from(replies.len()).unwrap_or(u64::MAX);
    let sum = rtts().sum::<u64>();
    object.put("min", fraction_of_ms(min));
    object.put("max", fraction_of_ms(max));
    object.put("avg", fraction_of_ms(sum / count));
    // Over a u16 of u32 values nothing here comes near the end of a u128.
    let squares = rtts().map(|rtt| u128::from(rtt).pow(2)).sum::<u128>();
    let count = u128::from(count);
    let variance = (count * squares).saturating_sub(u128::from(sum).pow(2)) / count.pow(2);
    let deviation = u64::try_from(variance.isqrt()).unwrap_or(u64::MAX);
    object.put("stddev", fraction_of_ms(deviation));
    object
}

/// Times here never exceed the largest round trip time, which is a u32.
fn fraction_of_ms(micros: u64) -> Value {
    milliseconds(u32::try_from(micros).unwrap_or(u32::MAX))
}

/// Rounded as the tool rounds: to two decimals of the binary fraction.
fn two_decimals(lost: usize, sent: u16) -> Value {
    let lost = f64::from(u16::try_from(lost).unwrap_or(u16::MAX));
    let text = format!("{:.2}", lost / f64::from(sent));
    Value::from(text.parse::<f64>().unwrap_or(0.0))
}

fn method(method: PingMethod) -> String {
    let name = match method {
        PingMethod::IcmpEcho => "icmp-echo",
        PingMethod::TcpAck => "tcp-ack",
        PingMethod::TcpAckSport => "tcp-ack-sport",
        PingMethod::Udp => "udp",
        PingMethod::UdpDport => "udp-dport",
        PingMethod::IcmpTime => "icmp-time",
        PingMethod::TcpSyn => "tcp-syn",
        PingMethod::TcpSynAck => "tcp-synack",
        PingMethod::TcpRst => "tcp-rst",
        PingMethod::Other(number) => return number.to_string(),
    };
    name.to_owned()
}

fn flags(flags: PingFlags) -> Vec<&'static str> {
    let names = [
        (PingFlags::V4RR, "v4rr"),
        (PingFlags::SPOOF, "spoof"),
        (PingFlags::PAYLOAD, "payload"),
        (PingFlags::TSONLY, "tsonly"),
        (PingFlags::TSANDADDR, "tsandaddr"),
        (PingFlags::ICMPSUM, "icmpsum"),
        (PingFlags::DL, "dl"),
        (PingFlags::TBT, "tbt"),
        (PingFlags::NOSRC, "nosrc"),
    ];
    let set = names.into_iter().filter(|(flag, _)| flags.has(*flag));
    set.map(|(_, name)| name).collect()
}

fn addresses(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(Address::to_string).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

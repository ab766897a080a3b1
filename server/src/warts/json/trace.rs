//! The JSON object of a trace record.

use serde_json::Value;

use super::super::trace::{
    Hop, HopFlags, IcmpExtension, MplsLabel, StopReason, Trace, TraceFlags, TraceMethod,
};
use super::{Object, milliseconds, time};

pub(super) fn trace(trace: &Trace) -> Value {
    let mut object = Object::new();
    object.put("type", "trace");
    object.put("version", "0.1");
    object.put("userid", trace.userid);
    object.put("method", method(trace.method));
    object.put_some("src", trace.src.map(|src| src.to_string()));
    object.put("dst", trace.dst.to_string());
    object.put_some("rtr", trace.router.map(|router| router.to_string()));
    if trace.method.is_tcp() || trace.method.is_udp() {
        object.put("sport", trace.sport);
        object.put("dport", trace.dport);
    } else if trace.flags.has(TraceFlags::ICMP_SUM) {
        object.put("icmp_sum", trace.dport);
    }
    object.put("stop_reason", stop_reason(trace.stop_reason));
    object.put("stop_data", trace.stop_data);
    let mut start = time(trace.start);
    start.put("ftime", trace.start.calendar());
    object.put("start", start);
    object.put("hop_count", trace.hop_count);
    object.put("attempts", trace.attempts);
    object.put("hoplimit", trace.hoplimit);
    object.put("firsthop", trace.first_hop);
    object.put("wait", trace.wait);
    object.put("wait_probe", trace.wait_probe);
    object.put("tos", trace.tos);
    object.put("probe_size", trace.probe_size);
    object.put("probe_count", trace.probe_count);
    let hops = printed_hops(trace);
    if !hops.is_empty() {
        let rxerr = trace.flags.has(TraceFlags::RXERR);
        object.put(
            "hops",
            hops.into_iter().map(|h| hop(h, rxerr)).collect::<Value>(),
        );
    }
    object.into()
}

/// By distance, and without those nearer than the first hop: a doubletree trace also
/// probes backwards, and the tool leaves those hops out of its JSON.
fn printed_hops(trace: &Trace) -> Vec<&Hop> {
    let printed = |hop: &&Hop| hop.probe_ttl >= trace.first_hop;
    let mut hops: Vec<&Hop> = trace.hops.iter().filter(printed).collect();
    hops.sort_by_key(|hop| hop.probe_ttl);
    hops
}

fn hop(hop: &Hop, rxerr: bool) -> Value {
    let mut object = Object::new();
    object.put("addr", hop.from.to_string());
    object.put_some("name", hop.name.as_deref());
    object.put("probe_ttl", hop.probe_ttl);
    object.put("probe_id", hop.probe_id);
    object.put("probe_size", hop.probe_size);
    object.put_some("tx", hop.tx.map(time));
    object.put("rtt", milliseconds(hop.rtt));
    object.put("reply_ttl", hop.reply_ttl);
    object.put("reply_tos", hop.reply_tos);
    if !rxerr {
        object.put("reply_ipid", hop.reply_ipid);
        object.put("reply_size", hop.reply_size);
    }
    if hop.is_icmp() {
        put_icmp(&mut object, hop, rxerr);
    } else if hop.flags.has(HopFlags::TCP) {
        object.put("tcp_flags", hop.tcp_flags);
    }
    if !hop.extensions.is_empty() {
        object.put(
            "icmpext",
            hop.extensions.iter().map(extension).collect::<Value>(),
        );
    }
    object.into()
}

fn put_icmp(object: &mut Object, hop: &Hop, rxerr: bool) {
    object.put("icmp_type", hop.icmp_type);
    object.put("icmp_code", hop.icmp_code);
    if hop.has_quote() && !rxerr {
        object.put("icmp_q_ttl", hop.quoted_ttl);
        object.put("icmp_q_ipl", hop.quoted_length);
        if hop.from.is_v4() {
            object.put("icmp_q_tos", hop.quoted_tos);
        }
    }
    if hop.is_too_big() {
        // The colon inside the key is the tool's; its readers look for exactly that.
        object.put("icmp_nhmtu:", hop.next_hop_mtu);
    }
}

fn extension(extension: &IcmpExtension) -> Value {
    let mut object = Object::new();
    object.put("ie_cn", extension.class);
    object.put("ie_ct", extension.kind);
    object.put("ie_dl", extension.data.len());
    let labels = extension.mpls_labels.as_ref();
    object.put_some(
        "mpls_labels",
        labels.map(|labels| labels.iter().map(label).collect::<Value>()),
    );
    object.into()
}

fn label(label: &MplsLabel) -> Value {
    let mut object = Object::new();
    object.put("mpls_ttl", label.ttl);
    object.put("mpls_s", label.s);
    object.put("mpls_exp", label.exp);
    object.put("mpls_label", label.label);
    object.into()
}

fn method(method: TraceMethod) -> String {
    let name = match method {
        TraceMethod::IcmpEcho => "icmp-echo",
        TraceMethod::Udp => "udp",
        TraceMethod::Tcp => "tcp",
        TraceMethod::IcmpEchoParis => "icmp-echo-paris",
        TraceMethod::UdpParis => "udp-paris",
        TraceMethod::TcpAck => "tcp-ack",
        TraceMethod::Other(number) => return number.to_string(),
    };
    name.to_owned()
}

fn stop_reason(reason: StopReason) -> String {
    let name = match reason {
        StopReason::None => "NONE",
        StopReason::Completed => "COMPLETED",
        StopReason::Unreach => "UNREACH",
        StopReason::Icmp => "ICMP",
        StopReason::Loop => "LOOP",
        StopReason::GapLimit => "GAPLIMIT",
        StopReason::Error => "ERROR",
        StopReason::HopLimit => "HOPLIMIT",
        StopReason::Gss => "GSS",
        StopReason::Halted => "HALTED",
        StopReason::Other(number) => return number.to_string(),
    };
    name.to_owned()
}

//! Traces as the lines `sc_analysis_dump` prints without options.

use std::collections::HashMap;

use super::record::Record;
use super::trace::{Hop, HopFlags, StopReason, Trace, TraceMethod};

/// The fields of a line, in the comment form readers of the format skip.
const HEADER: &str = include_str!("dump_header.txt");

pub(super) fn dump(records: &[Record]) -> String {
    let mut text = HEADER.to_owned();
    for record in records {
        // A trace without a source has no line: the format has no way to leave it
        // out, and the tool does not survive one.
        if let Record::Trace(trace) = record
            && let Some(src) = trace.src
            && !never_began(trace)
        {
            text.push_str(&line(trace, &src.to_string()));
            text.push('\n');
        }
    }
    text
}

/// The tool prints no line for a trace that failed before its first probe.
fn never_began(trace: &Trace) -> bool {
    trace.stop_reason == StopReason::Error && trace.hop_count == 0
}

fn line(trace: &Trace, src: &str) -> String {
    let path = Path::of(trace);
    let (reason, data) = halt(trace, &path);
    let mut fields = vec![
        "T".to_owned(),
        src.to_owned(),
        trace.dst.to_string(),
        trace.list_id.unwrap_or(0).to_string(),
        trace.cycle_id.unwrap_or(0).to_string(),
        trace.start.sec.to_string(),
    ];
    match path.reply {
        Some(reply) => fields.extend([
            "R".to_owned(),
            milliseconds(reply.rtt),
            reply.probe_ttl.to_string(),
            reply.reply_ttl.to_string(),
        ]),
        None => fields.extend(["N", "0", "0", "0"].map(str::to_owned)),
    }
    fields.extend([reason.to_owned(), data.to_string()]);
    fields.push(if path.is_complete() { "C" } else { "I" }.to_owned());
    fields.extend(path.columns.iter().map(|hops| column(hops)));
    fields.join("\t")
}

/// The replies by distance, and the one that is the target's.
struct Path<'a> {
    reply: Option<&'a Hop>,
    /// One column per distance from 1, without the target's reply. It ends with the
    /// last distance that has any.
    columns: Vec<Vec<&'a Hop>>,
    by_distance: Vec<&'a Hop>,
}

impl<'a> Path<'a> {
    fn of(trace: &'a Trace) -> Self {
        let mut by_distance: Vec<&Hop> = trace.hops.iter().collect();
        by_distance.sort_by_key(|hop| hop.probe_ttl);
        // The tool believes no reply of a trace that failed.
        let failed = trace.stop_reason == StopReason::Error;
        let answers = |hop: &&&Hop| !failed && is_target_reply(trace.method, hop);
        let farthest = by_distance
            .iter()
            .filter(answers)
            .map(|hop| hop.probe_ttl)
            .max();
        let mut found = by_distance.iter().filter(answers);
        let reply = found.find(|hop| Some(hop.probe_ttl) == farthest).copied();
        let mut columns: Vec<Vec<&Hop>> = Vec::new();
        for hop in shown(&by_distance, reply) {
            columns.resize_with(usize::from(hop.probe_ttl).max(columns.len()), Vec::new);
            if let Some(column) = columns.last_mut() {
                column.push(hop);
            }
        }
        Self {
            reply,
            columns,
            by_distance,
        }
    }

    /// Every distance before the target's has a reply.
    fn is_complete(&self) -> bool {
        self.reply.is_some_and(|reply| {
            let before = usize::from(reply.probe_ttl).saturating_sub(1);
            let answered = self
                .columns
                .iter()
                .take(before)
                .filter(|hops| !hops.is_empty());
            answered.count() == before
        })
    }

    /// Distance between the first address that comes back and where it was before.
    fn loop_length(&self, first_hop: u8) -> u8 {
        let mut first_seen = HashMap::new();
        for hop in self
            .by_distance
            .iter()
            .filter(|hop| hop.probe_ttl >= first_hop)
        {
            let before = *first_seen.entry(hop.from).or_insert(hop.probe_ttl);
            if hop.probe_ttl > before {
                return hop.probe_ttl - before;
            }
        }
        0
    }
}

/// The replies that get into the columns, all but the target's. As the tool has it,
/// a target's reply hides those that came after another one of its distance, and
/// ends the path if it is the only one there.
fn shown<'a>(by_distance: &[&'a Hop], reply: Option<&'a Hop>) -> Vec<&'a Hop> {
    let Some(reply) = reply else {
        return by_distance.to_vec();
    };
    let ttl = reply.probe_ttl;
    let nearer = by_distance.iter().filter(|hop| hop.probe_ttl < ttl);
    let farther = by_distance.iter().filter(|hop| hop.probe_ttl > ttl);
    let mut same: Vec<&Hop> = by_distance.to_vec();
    same.retain(|hop| hop.probe_ttl == ttl);
    match same.iter().position(|hop| std::ptr::eq(*hop, reply)) {
        Some(0) | None => same = same.split_off(same.len().min(1)),
        Some(at) => same.truncate(at),
    }
    let alone = same.is_empty();
    let farther = farther.filter(|_| !alone).copied();
    nearer.copied().chain(same).chain(farther).collect()
}

/// Whether a reply is one that only the target sends to this kind of probe.
fn is_target_reply(method: TraceMethod, hop: &Hop) -> bool {
    let message = (hop.icmp_type, hop.icmp_code);
    let (echo, port_unreachable) = if hop.from.is_v4() {
        (hop.icmp_type == 0, message == (3, 3))
    } else {
        (hop.icmp_type == 129, message == (1, 4))
    };
    let tcp = hop.flags.has(HopFlags::TCP);
    let port_unreachable = port_unreachable && hop.is_icmp();
    (method.is_icmp() && echo && hop.is_icmp())
        || (method.is_udp() && port_unreachable)
        || (method.is_tcp() && (tcp || port_unreachable))
}

fn halt(trace: &Trace, path: &Path<'_>) -> (&'static str, u8) {
    match trace.stop_reason {
        StopReason::None | StopReason::Completed => ("S", 0),
        StopReason::Unreach => ("U", trace.stop_data),
        StopReason::Loop if trace.stop_data == 0 => ("L", path.loop_length(trace.first_hop)),
        StopReason::Loop => ("L", trace.stop_data),
        StopReason::GapLimit => ("G", trace.stop_data),
        _ => ("?", 0),
    }
}

fn column(hops: &[&Hop]) -> String {
    if hops.is_empty() {
        return "q".to_owned();
    }
    let reply = |hop: &&Hop| format!("{},{},{}", hop.from, milliseconds(hop.rtt), hop.probe_id);
    hops.iter().map(reply).collect::<Vec<_>>().join(";")
}

/// Microseconds as milliseconds with three decimals.
fn milliseconds(micros: u32) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

//! From the body of a ping record to [`Ping`].

use super::super::address::{Address, AddressTable};
use super::super::budget::Budget;
use super::super::fault::Fault;
use super::super::list::Directory;
use super::super::params::Params;
use super::super::reader::Reader;
use super::super::time::Timestamp;
use super::{Ping, PingFlags, PingMethod, PingReply, PingReplyFlags, ReplyTimestamps};

const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// Reads one ping record.
pub(in super::super) fn read(
    body: &mut Reader<'_>,
    directory: &Directory,
    budget: &mut Budget<'_>,
) -> Result<Ping, Fault> {
    let mut table = AddressTable::new(budget.limits().max_addresses);
    let mut ping = read_head(body, directory, &mut table, budget)?;
    for _ in 0..body.u16()? {
        budget.charge(1)?;
        ping.replies
            .push(read_reply(body, ping.dst, &mut table, budget)?);
    }
    body.finish()?;
    Ok(ping)
}

fn read_head(
    body: &mut Reader<'_>,
    directory: &Directory,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<Ping, Fault> {
    let mut params = Params::read(body)?;
    let mut ping = blank();
    let (mut src, mut dst, mut timeout, mut data_length) = (None, None, None, 0);
    while let Some(id) = params.next_id() {
        let values = &mut params.values;
        match id {
            1 => ping.list_id = directory.list_id(values.u32()?),
            2 => ping.cycle_id = directory.cycle_id(values.u32()?),
            3 | 4 => return Err(Fault::GlobalAddressId),
            5 => ping.start = Timestamp::read(values)?,
            6 => ping.stop_reason = values.u8()?,
            7 => ping.stop_data = values.u8()?,
            8 => data_length = values.u16()?,
            9 => ping.data = values.bytes(usize::from(data_length))?.to_vec(),
            10 => ping.probe_count = values.u16()?,
            11 => ping.probe_size = values.u16()?,
            12 => ping.wait = values.u8()?,
            13 => ping.ttl = values.u8()?,
            14 => ping.reply_count = values.u16()?,
            15 => ping.sent = values.u16()?,
            16 => ping.method = PingMethod::of(values.u8()?),
            17 => ping.sport = values.u16()?,
            18 => ping.dport = values.u16()?,
            19 => ping.userid = values.u32()?,
            20 => src = Some(table.read(values)?),
            21 => dst = Some(table.read(values)?),
            22 => ping.flags = PingFlags(u32::from(values.u8()?)),
            23 => ping.tos = values.u8()?,
            24 => ping.timestamp_addresses = read_addresses(values, table, budget)?,
            25 => ping.icmp_sum = values.u16()?,
            26 => ping.pseudo_mtu = values.u16()?,
            27 => timeout = Some(values.u8()?),
            28 => ping.wait_us = values.u32()?,
            29 => ping.tcp_ack = values.u32()?,
            30 => ping.flags = PingFlags(values.u32()?),
            31 => ping.tcp_seq = values.u32()?,
            32 => ping.router = Some(Address::read_inline(values)?),
            _ => break,
        }
    }
    ping.src = src.ok_or(Fault::MissingAddress("the source"))?;
    ping.dst = dst.ok_or(Fault::MissingAddress("the target"))?;
    ping.timeout = timeout.unwrap_or(ping.wait);
    Ok(ping)
}

fn read_reply(
    body: &mut Reader<'_>,
    dst: Address,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<PingReply, Fault> {
    let mut params = Params::read(body)?;
    let mut reply = blank_reply();
    let (mut from, mut protocol) = (None, None);
    while let Some(id) = params.next_id() {
        let values = &mut params.values;
        match id {
            1 => return Err(Fault::GlobalAddressId),
            2 => reply.flags = PingReplyFlags(values.u8()?),
            3 => reply.ttl = values.u8()?,
            4 => reply.size = values.u16()?,
            5 => [reply.icmp_type, reply.icmp_code] = values.array()?,
            6 => reply.rtt = values.u32()?,
            7 => reply.seq = values.u16()?,
            8 => reply.reply_ipid = values.u16()?,
            9 => reply.probe_ipid = values.u16()?,
            10 => protocol = Some(values.u8()?),
            11 => reply.tcp_flags = values.u8()?,
            12 => from = Some(table.read(values)?),
            13 => reply.record_route = read_addresses(values, table, budget)?,
            14 => reply.timestamps = Some(read_timestamps(values, table, budget)?),
            15 => reply.reply_ipid32 = values.u32()?,
            16 => reply.tx = Some(Timestamp::read(values)?),
            17 => reply.icmp_timestamps = Some([values.u32()?, values.u32()?, values.u32()?]),
            _ => break,
        }
    }
    reply.from = from.ok_or(Fault::MissingAddress("a reply"))?;
    let icmp = if dst.is_v6() { ICMP6 } else { ICMP };
    reply.protocol = protocol.unwrap_or(icmp);
    Ok(reply)
}

fn read_addresses(
    values: &mut Reader<'_>,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<Vec<Address>, Fault> {
    let count = values.u8()?;
    budget.charge(usize::from(count))?;
    (0..count).map(|_| table.read(values)).collect()
}

fn read_timestamps(
    values: &mut Reader<'_>,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<ReplyTimestamps, Fault> {
    let [timestamps, addresses] = values.array()?;
    budget.charge(usize::from(timestamps))?;
    let times = (0..timestamps)
        .map(|_| values.u32())
        .collect::<Result<Vec<_>, _>>()?;
    if addresses == 0 && timestamps > 0 {
        return Ok(ReplyTimestamps::Only(times));
    }
    if addresses != timestamps {
        return Err(Fault::BadTimestamps {
            timestamps,
            addresses,
        });
    }
    let pair = |time| Ok((table.read(values)?, time));
    let pairs = times.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    Ok(ReplyTimestamps::WithAddress(pairs))
}

/// A ping of which the file says nothing; the addresses are always set afterwards.
fn blank() -> Ping {
    Ping {
        list_id: None,
        cycle_id: None,
        src: Address::UNSPECIFIED,
        dst: Address::UNSPECIFIED,
        router: None,
        start: Timestamp::default(),
        stop_reason: 0,
        stop_data: 0,
        data: Vec::new(),
        probe_count: 0,
        probe_size: 0,
        wait: 0,
        wait_us: 0,
        timeout: 0,
        ttl: 0,
        tos: 0,
        reply_count: 0,
        sent: 0,
        method: PingMethod::IcmpEcho,
        sport: 0,
        dport: 0,
        userid: 0,
        flags: PingFlags::default(),
        timestamp_addresses: Vec::new(),
        icmp_sum: 0,
        pseudo_mtu: 0,
        tcp_ack: 0,
        tcp_seq: 0,
        replies: Vec::new(),
    }
}

fn blank_reply() -> PingReply {
    PingReply {
        from: Address::UNSPECIFIED,
        flags: PingReplyFlags::default(),
        seq: 0,
        ttl: 0,
        size: 0,
        protocol: 0,
        icmp_type: 0,
        icmp_code: 0,
        tcp_flags: 0,
        rtt: 0,
        tx: None,
        probe_ipid: 0,
        reply_ipid: 0,
        reply_ipid32: 0,
        record_route: Vec::new(),
        timestamps: None,
        icmp_timestamps: None,
    }
}

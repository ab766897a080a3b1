//! From the body of a trace record to [`Trace`].

use super::super::address::{Address, AddressTable};
use super::super::budget::Budget;
use super::super::fault::Fault;
use super::super::list::Directory;
use super::super::params::Params;
use super::super::reader::Reader;
use super::super::time::Timestamp;
use super::{Hop, StopReason, Trace, TraceFlags, TraceMethod, attributes};

/// Reads one trace record.
pub(in super::super) fn read(
    body: &mut Reader<'_>,
    directory: &Directory,
    budget: &mut Budget<'_>,
) -> Result<Trace, Fault> {
    let mut table = AddressTable::new(budget.limits().max_addresses);
    let mut trace = read_head(body, directory, &mut table)?;
    for _ in 0..body.u16()? {
        trace.hops.push(Hop::read(body, &mut table, budget)?);
    }
    attributes::read(body, &mut trace, &mut table, budget)?;
    body.finish()?;
    Ok(trace)
}

fn read_head(
    body: &mut Reader<'_>,
    directory: &Directory,
    table: &mut AddressTable,
) -> Result<Trace, Fault> {
    let mut params = Params::read(body)?;
    let mut trace = blank();
    let mut dst = None;
    while let Some(id) = params.next_id() {
        let values = &mut params.values;
        match id {
            1 => trace.list_id = directory.list_id(values.u32()?),
            2 => trace.cycle_id = directory.cycle_id(values.u32()?),
            3 | 4 => return Err(Fault::GlobalAddressId),
            5 => trace.start = Timestamp::read(values)?,
            6 => trace.stop_reason = StopReason::of(values.u8()?),
            7 => trace.stop_data = values.u8()?,
            8 => trace.flags = TraceFlags(u32::from(values.u8()?)),
            9 => trace.attempts = values.u8()?,
            10 => trace.hoplimit = values.u8()?,
            11 => trace.method = TraceMethod::of(values.u8()?),
            12 => trace.probe_size = values.u16()?,
            13 => trace.sport = values.u16()?,
            14 => trace.dport = values.u16()?,
            15 => trace.first_hop = values.u8()?,
            16 => trace.tos = values.u8()?,
            17 => trace.wait = values.u8()?,
            18 => trace.loops = values.u8()?,
            19 => trace.hop_count = values.u16()?,
            20 => trace.gap_limit = values.u8()?,
            21 => trace.gap_action = values.u8()?,
            22 => trace.loop_action = values.u8()?,
            23 => trace.probe_count = values.u16()?,
            24 => trace.wait_probe = values.u8()?,
            25 => trace.confidence = values.u8()?,
            26 => trace.src = Some(table.read(values)?),
            27 => dst = Some(table.read(values)?),
            28 => trace.userid = values.u32()?,
            29 => trace.offset = values.u16()?,
            30 => trace.router = Some(Address::read_inline(values)?),
            31 => trace.squeries = values.u8()?,
            32 => trace.flags = TraceFlags(values.u32()?),
            _ => break,
        }
    }
    trace.dst = dst.ok_or(Fault::MissingAddress("the target"))?;
    trace.first_hop = trace.first_hop.max(1);
    Ok(trace)
}

/// A trace of which the file says nothing; the target is always set afterwards.
fn blank() -> Trace {
    Trace {
        list_id: None,
        cycle_id: None,
        src: None,
        dst: Address::UNSPECIFIED,
        router: None,
        start: Timestamp::default(),
        stop_reason: StopReason::None,
        stop_data: 0,
        flags: TraceFlags::default(),
        attempts: 0,
        hoplimit: 0,
        method: TraceMethod::Other(0),
        probe_size: 0,
        sport: 0,
        dport: 0,
        first_hop: 0,
        tos: 0,
        wait: 0,
        loops: 0,
        hop_count: 0,
        gap_limit: 0,
        gap_action: 0,
        loop_action: 0,
        probe_count: 0,
        wait_probe: 0,
        confidence: 0,
        userid: 0,
        offset: 0,
        squeries: 1,
        hops: Vec::new(),
        pmtud: None,
        last_ditch: Vec::new(),
        doubletree: None,
    }
}

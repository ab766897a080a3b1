//! What may follow the hops of a trace: path MTU discovery, last-ditch probes and
//! doubletree. `sc_warts2json` prints none of it, so only the typed record has it.
//!
//! Each attribute is a u16, its type in the top four bits and the length of its data
//! in the others, then the data. A zero ends them.

use super::super::address::{Address, AddressTable};
use super::super::budget::Budget;
use super::super::fault::Fault;
use super::super::params::Params;
use super::super::reader::Reader;
use super::{Hop, Trace};

/// What path MTU discovery found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pmtud {
    /// MTU of the outgoing interface, bytes.
    pub interface_mtu: u16,
    /// MTU of the path, bytes.
    pub path_mtu: u16,
    /// Size of the first packets that did not pass, bytes.
    pub out_mtu: u16,
    /// Version of the method.
    pub version: u8,
    /// Replies to the probes of the discovery.
    pub hops: Vec<Hop>,
    /// What was concluded from them.
    pub notes: Vec<PmtudNote>,
}

/// One conclusion of path MTU discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PmtudNote {
    /// What kind of conclusion, scamper's number.
    pub kind: u8,
    /// MTU of the next hop, bytes.
    pub next_hop_mtu: u16,
    /// Which of the `hops` of the discovery it comes from, from 0.
    pub hop: Option<u16>,
}

/// Where a doubletree trace began and what stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubletree {
    /// Hop of the local stop set at which backwards probing ended.
    pub lss_stop: Option<Address>,
    /// Hop of the global stop set at which forward probing ended.
    pub gss_stop: Option<Address>,
    /// TTL the trace began with.
    pub first_hop: u8,
    /// Name of the local stop set.
    pub lss_name: Option<String>,
    /// Options, scamper's number: 1 for no backwards probing.
    pub flags: u8,
}

/// Reads the attributes into `trace`. Unknown ones are skipped by their length.
pub(super) fn read(
    body: &mut Reader<'_>,
    trace: &mut Trace,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<(), Fault> {
    loop {
        let header = body.u16().map_err(|_| Fault::BadAttribute)?;
        if header == 0 {
            return Ok(());
        }
        let length = usize::from(header & 0x0fff);
        let mut data = body.part(length).map_err(|_| Fault::BadAttribute)?;
        match header >> 12 {
            1 => trace.pmtud = Some(read_pmtud(&mut data, table, budget)?),
            2 => trace.last_ditch = read_last_ditch(&mut data, table, budget)?,
            3 => trace.doubletree = Some(read_doubletree(&mut data, table, budget)?),
            _ => {}
        }
    }
}

fn read_last_ditch(
    data: &mut Reader<'_>,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<Vec<Hop>, Fault> {
    // No parameter is known, but the block is there.
    Params::read(data)?;
    let count = data.u16()?;
    (0..count).map(|_| Hop::read(data, table, budget)).collect()
}

fn read_pmtud(
    data: &mut Reader<'_>,
    table: &mut AddressTable,
    budget: &mut Budget<'_>,
) -> Result<Pmtud, Fault> {
    let mut params = Params::read(data)?;
    let mut pmtud = Pmtud::default();
    let mut notes = 0;
    while let Some(id) = params.next_id() {
        let values = &mut params.values;
        match id {
            1 => pmtud.interface_mtu = values.u16()?,
            2 => pmtud.path_mtu = values.u16()?,
            3 => pmtud.out_mtu = values.u16()?,
            4 => pmtud.version = values.u8()?,
            5 => notes = values.u8()?,
            _ => break,
        }
    }
    for _ in 0..data.u16()? {
        pmtud.hops.push(Hop::read(data, table, budget)?);
    }
    for _ in 0..notes {
        budget.charge(1)?;
        pmtud.notes.push(read_note(data)?);
    }
    Ok(pmtud)
}

fn read_note(data: &mut Reader<'_>) -> Result<PmtudNote, Fault> {
    let mut params = Params::read(data)?;
    let mut note = PmtudNote::default();
    while let Some(id) = params.next_id() {
        match id {
            1 => note.kind = params.values.u8()?,
            2 => note.next_hop_mtu = params.values.u16()?,
            3 => note.hop = Some(params.values.u16()?),
            _ => break,
        }
    }
    Ok(note)
}

fn read_doubletree(
    data: &mut Reader<'_>,
    table: &mut AddressTable,
    budget: &Budget<'_>,
) -> Result<Doubletree, Fault> {
    let mut params = Params::read(data)?;
    let mut doubletree = Doubletree::default();
    while let Some(id) = params.next_id() {
        let values = &mut params.values;
        match id {
            1 | 2 => return Err(Fault::GlobalAddressId),
            3 => doubletree.first_hop = values.u8()?,
            4 => doubletree.lss_stop = Some(table.read(values)?),
            5 => doubletree.gss_stop = Some(table.read(values)?),
            6 => doubletree.lss_name = Some(values.text(budget.limits().max_name_bytes)?),
            7 => doubletree.flags = values.u8()?,
            _ => break,
        }
    }
    Ok(doubletree)
}

//! Addresses, and the table of them that every record carries along.
//!
//! An address is written in full where it first appears, which also adds it to the
//! record's table; later it is one zero byte and a u32 index into that table.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::Fault;
use super::reader::Reader;

/// A network or link address of a warts record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4.
    V4(Ipv4Addr),
    /// IPv6.
    V6(Ipv6Addr),
    /// A 48-bit link address.
    Ethernet([u8; 6]),
    /// A 64-bit link address.
    FireWire([u8; 8]),
}

impl Address {
    /// Stands in for an address that is still to be read.
    pub(super) const UNSPECIFIED: Self = Self::V4(Ipv4Addr::UNSPECIFIED);

    fn read(reader: &mut Reader<'_>, size: u8) -> Result<Self, Fault> {
        let kind = reader.u8()?;
        match (kind, size) {
            (1, 4) => Ok(Self::V4(Ipv4Addr::from(reader.u32()?))),
            (2, 16) => Ok(Self::V6(Ipv6Addr::from(reader.array::<16>()?))),
            (3, 6) => Ok(Self::Ethernet(reader.array()?)),
            (4, 8) => Ok(Self::FireWire(reader.array()?)),
            _ => Err(Fault::BadAddress { kind, size }),
        }
    }

    /// An address that is always written in full and never enters the table (the
    /// router a probe was sent through).
    pub(super) fn read_inline(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let size = reader.u8()?;
        Self::read(reader, size)
    }

    pub(super) fn is_v4(self) -> bool {
        matches!(self, Self::V4(_))
    }

    pub(super) fn is_v6(self) -> bool {
        matches!(self, Self::V6(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write_v6(f, *address),
            Self::Ethernet(bytes) => write_link(f, bytes),
            Self::FireWire(bytes) => write_link(f, bytes),
        }
    }
}

/// As C libraries write it: `::1.2.3.4` for the first 96 bits zero, unless only the
/// last 16 are not.
fn write_v6(f: &mut fmt::Formatter<'_>, address: Ipv6Addr) -> fmt::Result {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            write!(f, "::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => write!(f, "{address}"),
    }
}

fn write_link(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        write!(f, "{separator}{byte:02x}")?;
    }
    Ok(())
}

/// The addresses one record has defined so far.
#[derive(Debug)]
pub(super) struct AddressTable {
    addresses: Vec<Address>,
    limit: usize,
}

impl AddressTable {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            addresses: Vec::new(),
            limit,
        }
    }

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Address, Fault> {
        let size = reader.u8()?;
        if size == 0 {
            let index = reader.u32()?;
            let known = usize::try_from(index)
                .ok()
                .and_then(|i| self.addresses.get(i));
            return known.copied().ok_or(Fault::UnknownAddress(index));
        }
        if self.addresses.len() >= self.limit {
            return Err(Fault::TooManyAddresses { limit: self.limit });
        }
        let address = Address::read(reader, size)?;
        self.addresses.push(address);
        Ok(address)
    }
}

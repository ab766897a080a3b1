//! One reply to a trace probe.

use super::super::address::{Address, AddressTable};
use super::super::budget::Budget;
use super::super::fault::Fault;
use super::super::params::Params;
use super::super::reader::Reader;
use super::super::time::Timestamp;

/// One reply to a trace probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Who replied.
    pub from: Address,
    /// Its DNS name, where names were looked up.
    pub name: Option<String>,
    /// TTL of the probe, the distance of the hop.
    pub probe_ttl: u8,
    /// Which probe of this TTL it was, from 1; 0 when the file does not say. The
    /// 256th is 0 too, as the tool counts.
    pub probe_id: u8,
    /// Size of the probe, bytes.
    pub probe_size: u16,
    /// When the probe was sent.
    pub tx: Option<Timestamp>,
    /// Round trip time, µs.
    pub rtt: u32,
    /// What kind of reply it is.
    pub flags: HopFlags,
    /// IP TTL or hop limit of the reply.
    pub reply_ttl: u8,
    /// IP type of service of the reply.
    pub reply_tos: u8,
    /// IP id of the reply; 0 for IPv6.
    pub reply_ipid: u16,
    /// Size of the reply, bytes.
    pub reply_size: u16,
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub icmp_code: u8,
    /// TCP flags.
    pub tcp_flags: u8,
    /// TTL of the probe as quoted in the reply.
    pub quoted_ttl: u8,
    /// Length of the probe as quoted in the reply, bytes.
    pub quoted_length: u16,
    /// Type of service of the probe as quoted in the reply.
    pub quoted_tos: u8,
    /// MTU of the next hop, bytes, of a "packet too big" message.
    pub next_hop_mtu: u16,
    /// ICMP extensions of the reply.
    pub extensions: Vec<IcmpExtension>,
}

/// One object of an ICMP extension structure (RFC 4884).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpExtension {
    /// Class of the object.
    pub class: u8,
    /// Type of the object within its class.
    pub kind: u8,
    /// Its data as it was received.
    pub data: Vec<u8>,
    /// The label stack, for class 1 type 1 (RFC 4950).
    pub mpls_labels: Option<Vec<MplsLabel>>,
}

/// One entry of an MPLS label stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MplsLabel {
    /// Label, 20 bits.
    pub label: u32,
    /// Traffic class, once "experimental", 3 bits.
    pub exp: u8,
    /// 1 at the bottom of the stack.
    pub s: u8,
    /// TTL.
    pub ttl: u8,
}

impl MplsLabel {
    fn of(word: [u8; 4]) -> Self {
        Self {
            label: u32::from_be_bytes(word) >> 12,
            exp: (word[2] >> 1) & 0x07,
            s: word[2] & 0x01,
            ttl: word[3],
        }
    }
}

/// What kind of reply a hop is, a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HopFlags(pub u8);

impl HopFlags {
    /// The receive time is the socket's.
    pub const SOCKET_RX: u8 = 0x01;
    /// The send time is the datalink's.
    pub const DATALINK_TX: u8 = 0x02;
    /// The receive time is the datalink's.
    pub const DATALINK_RX: u8 = 0x04;
    /// The reply's TTL is known.
    pub const REPLY_TTL: u8 = 0x10;
    /// The reply is TCP.
    pub const TCP: u8 = 0x20;
    /// The reply is UDP.
    pub const UDP: u8 = 0x40;

    /// Whether any of `flag`'s bits is set.
    #[must_use]
    pub fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

impl Hop {
    /// Whether it carries an ICMP message rather than a TCP or UDP one.
    pub(in super::super) fn is_icmp(&self) -> bool {
        !self.flags.has(HopFlags::TCP | HopFlags::UDP)
    }

    /// Whether its ICMP message quotes the probe.
    pub(in super::super) fn has_quote(&self) -> bool {
        match self.from {
            Address::V4(_) => matches!(self.icmp_type, 3 | 11),
            Address::V6(_) => matches!(self.icmp_type, 1..=3),
            Address::Ethernet(_) | Address::FireWire(_) => false,
        }
    }

    /// Whether its ICMP message tells the MTU of the next hop.
    pub(in super::super) fn is_too_big(&self) -> bool {
        match self.from {
            Address::V4(_) => self.icmp_type == 3 && self.icmp_code == 4,
            Address::V6(_) => self.icmp_type == 2,
            Address::Ethernet(_) | Address::FireWire(_) => false,
        }
    }

    pub(super) fn read(
        body: &mut Reader<'_>,
        table: &mut AddressTable,
        budget: &mut Budget<'_>,
    ) -> Result<Self, Fault> {
        budget.charge(1)?;
        let mut params = Params::read(body)?;
        let mut hop = Self::blank();
        let (mut from, mut quoted_length) = (None, None);
        while let Some(id) = params.next_id() {
            let values = &mut params.values;
            match id {
                1 => return Err(Fault::GlobalAddressId),
                2 => hop.probe_ttl = values.u8()?,
                3 => hop.reply_ttl = values.u8()?,
                4 => hop.flags = HopFlags(values.u8()?),
                5 => hop.probe_id = values.u8()?.wrapping_add(1),
                6 => hop.rtt = values.u32()?,
                7 => [hop.icmp_type, hop.icmp_code] = values.array()?,
                8 => hop.probe_size = values.u16()?,
                9 => hop.reply_size = values.u16()?,
                10 => hop.reply_ipid = values.u16()?,
                11 => hop.reply_tos = values.u8()?,
                12 => hop.next_hop_mtu = values.u16()?,
                13 => quoted_length = Some(values.u16()?),
                14 => hop.quoted_ttl = values.u8()?,
                15 => hop.tcp_flags = values.u8()?,
                16 => hop.quoted_tos = values.u8()?,
                17 => hop.extensions = read_extensions(values, budget)?,
                18 => from = Some(table.read(values)?),
                19 => hop.tx = Some(Timestamp::read(values)?),
                20 => hop.name = Some(values.text(budget.limits().max_name_bytes)?),
                _ => break,
            }
        }
        if hop.probe_ttl == 0 {
            return Err(Fault::MissingTtl);
        }
        hop.from = from.ok_or(Fault::MissingAddress("a hop"))?;
        hop.quoted_length = quoted_length.unwrap_or(hop.probe_size);
        Ok(hop)
    }

    /// A hop of which the file says nothing; address and TTL are always set after.
    fn blank() -> Self {
        Self {
            from: Address::UNSPECIFIED,
            name: None,
            probe_ttl: 0,
            probe_id: 0,
            probe_size: 0,
            tx: None,
            rtt: 0,
            flags: HopFlags::default(),
            reply_ttl: 0,
            reply_tos: 0,
            reply_ipid: 0,
            reply_size: 0,
            icmp_type: 0,
            icmp_code: 0,
            tcp_flags: 0,
            quoted_ttl: 1,
            quoted_length: 0,
            quoted_tos: 0,
            next_hop_mtu: 0,
            extensions: Vec::new(),
        }
    }
}

fn read_extensions(
    values: &mut Reader<'_>,
    budget: &mut Budget<'_>,
) -> Result<Vec<IcmpExtension>, Fault> {
    let total = usize::from(values.u16()?);
    let mut part = values.part(total)?;
    let mut extensions = Vec::new();
    while part.left() > 0 {
        let length = usize::from(part.u16()?);
        let [class, kind] = part.array()?;
        let data = part.bytes(length)?.to_vec();
        let words = data.as_chunks::<4>().0;
        budget.charge(1 + words.len())?;
        let mpls_labels = ((class, kind) == (1, 1))
            .then(|| words.iter().map(|word| MplsLabel::of(*word)).collect());
        extensions.push(IcmpExtension {
            class,
            kind,
            data,
            mpls_labels,
        });
    }
    Ok(extensions)
}

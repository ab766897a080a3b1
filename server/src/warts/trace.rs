//! The trace record: the path to one target, hop by hop.

mod attributes;
mod decode;
mod hop;

pub use attributes::{Doubletree, Pmtud, PmtudNote};
pub(super) use decode::read;
pub use hop::{Hop, HopFlags, IcmpExtension, MplsLabel};

use super::address::Address;
use super::time::Timestamp;

/// One trace measurement (scamper's `warts(5)`, record type 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// List id its user chose, where the file defines the list.
    pub list_id: Option<u32>,
    /// Cycle id its user chose, where the file defines the cycle.
    pub cycle_id: Option<u32>,
    /// Address the probes were sent from.
    pub src: Option<Address>,
    /// Address that was traced.
    pub dst: Address,
    /// Router the probes were sent through, where one was asked for.
    pub router: Option<Address>,
    /// When the measurement began.
    pub start: Timestamp,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// More about why it ended, such as the ICMP code of an unreachable message.
    pub stop_data: u8,
    /// Options of the measurement.
    pub flags: TraceFlags,
    /// Probes per hop at most.
    pub attempts: u8,
    /// Highest TTL asked for; 0 for no bound.
    pub hoplimit: u8,
    /// What was sent.
    pub method: TraceMethod,
    /// Size of a probe, bytes, IP header included.
    pub probe_size: u16,
    /// Source port, or ICMP id.
    pub sport: u16,
    /// Destination port, or ICMP checksum.
    pub dport: u16,
    /// TTL of the first probe.
    pub first_hop: u8,
    /// IP type of service of the probes.
    pub tos: u8,
    /// Seconds waited for a reply.
    pub wait: u8,
    /// Loops after which tracing stops; 0 for never.
    pub loops: u8,
    /// Hops probed.
    pub hop_count: u16,
    /// Silent hops in a row after which tracing stops; 0 for never.
    pub gap_limit: u8,
    /// What happens then, scamper's number: 1 stop, 2 last-ditch probes.
    pub gap_action: u8,
    /// What happens at a loop, scamper's number.
    pub loop_action: u8,
    /// Probes sent.
    pub probe_count: u16,
    /// Least time between probes, hundredths of a second.
    pub wait_probe: u8,
    /// Confidence that all interfaces of a hop were seen, percent; 0 for not asked.
    pub confidence: u8,
    /// A number of its user's choice.
    pub userid: u32,
    /// Fragment offset of the probes.
    pub offset: u16,
    /// Hops that may have a probe under way at once.
    pub squeries: u8,
    /// Replies, in the order of the file.
    pub hops: Vec<Hop>,
    /// Path MTU discovery, where it was done.
    pub pmtud: Option<Pmtud>,
    /// Replies to the probes sent beyond a gap.
    pub last_ditch: Vec<Hop>,
    /// Stop sets of a doubletree trace.
    pub doubletree: Option<Doubletree>,
}

/// What a trace probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceMethod {
    /// ICMP echo request.
    IcmpEcho,
    /// UDP, a new destination port per probe.
    Udp,
    /// TCP SYN.
    Tcp,
    /// ICMP echo request with one checksum for all.
    IcmpEchoParis,
    /// UDP with the same ports for all.
    UdpParis,
    /// TCP acknowledgement.
    TcpAck,
    /// A number this decoder does not know.
    Other(u8),
}

impl TraceMethod {
    pub(super) fn of(number: u8) -> Self {
        match number {
            1 => Self::IcmpEcho,
            2 => Self::Udp,
            3 => Self::Tcp,
            4 => Self::IcmpEchoParis,
            5 => Self::UdpParis,
            6 => Self::TcpAck,
            other => Self::Other(other),
        }
    }

    pub(super) fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpAck)
    }

    pub(super) fn is_udp(self) -> bool {
        matches!(self, Self::Udp | Self::UdpParis)
    }

    pub(super) fn is_icmp(self) -> bool {
        matches!(self, Self::IcmpEcho | Self::IcmpEchoParis)
    }
}

/// Why a trace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Nothing is said.
    None,
    /// The target replied.
    Completed,
    /// An ICMP unreachable message.
    Unreach,
    /// Another ICMP message.
    Icmp,
    /// A loop.
    Loop,
    /// Too many silent hops in a row.
    GapLimit,
    /// An error of the prober.
    Error,
    /// The highest TTL was reached.
    HopLimit,
    /// A hop of the global stop set.
    Gss,
    /// The prober was told to stop.
    Halted,
    /// A number this decoder does not know.
    Other(u8),
}

impl StopReason {
    pub(super) fn of(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Completed,
            2 => Self::Unreach,
            3 => Self::Icmp,
            4 => Self::Loop,
            5 => Self::GapLimit,
            6 => Self::Error,
            7 => Self::HopLimit,
            8 => Self::Gss,
            9 => Self::Halted,
            other => Self::Other(other),
        }
    }
}

/// Options of a trace, a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceFlags(pub u32);

impl TraceFlags {
    /// All attempts are sent, whatever was answered.
    pub const ALL_ATTEMPTS: u32 = 0x001;
    /// Path MTU discovery.
    pub const PMTUD: u32 = 0x002;
    /// Datalink sockets.
    pub const DL: u32 = 0x004;
    /// A time-exceeded message of the target does not end the trace.
    pub const IGNORE_TTL_DST: u32 = 0x008;
    /// Doubletree.
    pub const DOUBLETREE: u32 = 0x010;
    /// `dport` is the ICMP checksum.
    pub const ICMP_SUM: u32 = 0x020;
    /// The payload does not vary.
    pub const CONST_PAYLOAD: u32 = 0x040;
    /// Replies came through an error queue, which hides IP id, size and quote.
    pub const RXERR: u32 = 0x080;
    /// Hop names were looked up.
    pub const PTR: u32 = 0x100;

    /// Whether any of `flag`'s bits is set.
    #[must_use]
    pub fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

//! The ping record: one target probed several times, and every reply.

mod decode;

pub(super) use decode::read;

use super::address::Address;
use super::time::Timestamp;

/// One ping measurement (scamper's `warts(5)`, record type 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// List id its user chose, where the file defines the list.
    pub list_id: Option<u32>,
    /// Cycle id its user chose, where the file defines the cycle.
    pub cycle_id: Option<u32>,
    /// Address the probes were sent from.
    pub src: Address,
    /// Address that was probed.
    pub dst: Address,
    /// Router the probes were sent through, where one was asked for.
    pub router: Option<Address>,
    /// When the measurement began.
    pub start: Timestamp,
    /// Why it ended, scamper's number.
    pub stop_reason: u8,
    /// More about why it ended.
    pub stop_data: u8,
    /// Pattern or payload of the probes; empty when none was asked for.
    pub data: Vec<u8>,
    /// Probes asked for.
    pub probe_count: u16,
    /// Size of a probe, bytes, IP header included.
    pub probe_size: u16,
    /// Seconds between probes.
    pub wait: u8,
    /// Microseconds between probes, on top of the seconds.
    pub wait_us: u32,
    /// Seconds waited for replies after the last probe; without a value of its own
    /// in the file it is `wait`.
    pub timeout: u8,
    /// IP TTL or hop limit of the probes.
    pub ttl: u8,
    /// IP type of service of the probes.
    pub tos: u8,
    /// Replies after which probing stops; 0 for no such rule.
    pub reply_count: u16,
    /// Probes sent.
    pub sent: u16,
    /// What was sent.
    pub method: PingMethod,
    /// Source port, or ICMP id.
    pub sport: u16,
    /// Destination port, or first ICMP sequence number.
    pub dport: u16,
    /// A number of its user's choice.
    pub userid: u32,
    /// Options of the measurement.
    pub flags: PingFlags,
    /// Addresses whose timestamps were asked for in the IP option.
    pub timestamp_addresses: Vec<Address>,
    /// ICMP checksum asked for.
    pub icmp_sum: u16,
    /// Pseudo MTU used to provoke fragments, bytes; 0 for none.
    pub pseudo_mtu: u16,
    /// Acknowledgement number of TCP probes.
    pub tcp_ack: u32,
    /// Sequence number of TCP probes.
    pub tcp_seq: u32,
    /// Replies, in the order of the file.
    pub replies: Vec<PingReply>,
}

/// One reply to a ping probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingReply {
    /// Who replied.
    pub from: Address,
    /// Which fields the prober has filled.
    pub flags: PingReplyFlags,
    /// Number of the probe, from 0.
    pub seq: u16,
    /// IP TTL or hop limit of the reply.
    pub ttl: u8,
    /// Size of the reply, bytes.
    pub size: u16,
    /// IP protocol of the reply; without one in the file, ICMP of the target's family.
    pub protocol: u8,
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub icmp_code: u8,
    /// TCP flags.
    pub tcp_flags: u8,
    /// Round trip time, µs.
    pub rtt: u32,
    /// When the probe was sent.
    pub tx: Option<Timestamp>,
    /// IP id of the probe.
    pub probe_ipid: u16,
    /// IP id of the reply (IPv4).
    pub reply_ipid: u16,
    /// IP id of the reply's fragment header (IPv6).
    pub reply_ipid32: u32,
    /// Record route option of the reply.
    pub record_route: Vec<Address>,
    /// Timestamp option of the reply.
    pub timestamps: Option<ReplyTimestamps>,
    /// Originate, receive and transmit time of an ICMP timestamp reply, ms since
    /// midnight UTC.
    pub icmp_timestamps: Option<[u32; 3]>,
}

/// The IP timestamp option of a reply: times in ms since midnight UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyTimestamps {
    /// Times alone.
    Only(Vec<u32>),
    /// Times, each with who wrote it.
    WithAddress(Vec<(Address, u32)>),
}

/// What a ping probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingMethod {
    /// ICMP echo request.
    IcmpEcho,
    /// TCP acknowledgement.
    TcpAck,
    /// TCP acknowledgement, a new source port per probe.
    TcpAckSport,
    /// UDP.
    Udp,
    /// UDP, a new destination port per probe.
    UdpDport,
    /// ICMP timestamp request.
    IcmpTime,
    /// TCP SYN.
    TcpSyn,
    /// TCP SYN and ACK.
    TcpSynAck,
    /// TCP reset.
    TcpRst,
    /// A number this decoder does not know.
    Other(u8),
}

impl PingMethod {
    pub(super) fn of(number: u8) -> Self {
        match number {
            0 => Self::IcmpEcho,
            1 => Self::TcpAck,
            2 => Self::TcpAckSport,
            3 => Self::Udp,
            4 => Self::UdpDport,
            5 => Self::IcmpTime,
            6 => Self::TcpSyn,
            7 => Self::TcpSynAck,
            8 => Self::TcpRst,
            other => Self::Other(other),
        }
    }

    pub(super) fn is_icmp(self) -> bool {
        matches!(self, Self::IcmpEcho | Self::IcmpTime)
    }

    pub(super) fn is_tcp(self) -> bool {
        use PingMethod::{TcpAck, TcpAckSport, TcpRst, TcpSyn, TcpSynAck};
        matches!(self, TcpAck | TcpAckSport | TcpRst | TcpSyn | TcpSynAck)
    }

    pub(super) fn is_udp(self) -> bool {
        matches!(self, Self::Udp | Self::UdpDport)
    }
}

/// Options of a ping measurement, a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PingFlags(pub u32);

impl PingFlags {
    /// Record route option in the probes.
    pub const V4RR: u32 = 0x001;
    /// Spoofed source address.
    pub const SPOOF: u32 = 0x002;
    /// `data` is the whole payload, not a pattern.
    pub const PAYLOAD: u32 = 0x004;
    /// Timestamp option, times alone.
    pub const TSONLY: u32 = 0x008;
    /// Timestamp option, times and addresses.
    pub const TSANDADDR: u32 = 0x010;
    /// A given ICMP checksum.
    pub const ICMPSUM: u32 = 0x020;
    /// Datalink sockets.
    pub const DL: u32 = 0x040;
    /// Fragmented replies are wanted ("too big trick").
    pub const TBT: u32 = 0x080;
    /// The true source is not embedded in a spoofed probe.
    pub const NOSRC: u32 = 0x100;

    /// Whether any of `flag`'s bits is set.
    #[must_use]
    pub fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

/// Which fields of a reply the prober has filled, a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PingReplyFlags(pub u8);

impl PingReplyFlags {
    /// The TTL of the reply.
    pub const TTL: u8 = 0x01;
    /// The IP id of the reply.
    pub const REPLY_IPID: u8 = 0x02;
    /// The IP id of the probe.
    pub const PROBE_IPID: u8 = 0x04;

    /// Whether any of `flag`'s bits is set.
    #[must_use]
    pub fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

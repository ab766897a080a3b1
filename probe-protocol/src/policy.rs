//! Which addresses may be measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::Name;

/// Which targets an operation may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetPolicy {
    /// Every address, also this machine and private networks: for development and closed networks.
    Any,
    /// Only addresses that are globally reachable and belong to one host.
    Public,
}

impl TargetPolicy {
    /// Whether this address may be measured.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Public => is_public(address),
        }
    }

    /// Whether a name may be measured before it is resolved; the probe checks the addresses it resolves to.
    #[must_use]
    pub fn allows_name(self, name: &Name) -> bool {
        const PRIVATE_SUFFIXES: &[&str] = &[
            "localhost",
            "local",
            "internal",
            "localdomain",
            "home.arpa",
            "onion",
        ];
        let within = |suffix: &str| {
            let rest = name.as_str().trim_end_matches('.').strip_suffix(suffix);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match self {
            Self::Any => true,
            Self::Public => {
                name.as_str().trim_end_matches('.').contains('.')
                    && !PRIVATE_SUFFIXES.iter().any(|s| within(s))
            }
        }
    }
}

/// IPv4 ranges that are no public host: the IANA special-purpose registry (RFC 6890 and successors) and multicast.
const RESERVED_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 ranges that are no public host. `::/8` holds the unspecified and the loopback address and every way to write
/// an IPv4 address as IPv6; the two that lead to public hosts are looked at before.
const RESERVED_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::UNSPECIFIED, 8),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 63), // discard-only and dummy prefix
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// NAT64 well-known prefix (RFC 6052): the last 32 bits are an IPv4 address that the translator will reach.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !reserved_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => !reserved_v4(v4),
            None => !reserved_v6(v6),
        },
    }
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let nat64 = Ipv6Net::new_assert(NAT64, 96).contains(&address);
    address.to_ipv4_mapped().or_else(|| {
        let [.., a, b, c, d] = address.octets();
        nat64.then_some(Ipv4Addr::new(a, b, c, d))
    })
}

fn reserved_v4(address: Ipv4Addr) -> bool {
    RESERVED_V4
        .iter()
        .any(|&(net, length)| Ipv4Net::new_assert(net, length).contains(&address))
}

fn reserved_v6(address: Ipv6Addr) -> bool {
    RESERVED_V6
        .iter()
        .any(|&(net, length)| Ipv6Net::new_assert(net, length).contains(&address))
}

#[cfg(test)]
mod tests;

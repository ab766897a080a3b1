//! What a measurement is aimed at: an address or a name, by grammar safe to hand to any program.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// An address or a name.
///
/// Written as text. IPv6 may stand in brackets; IPv4 is four decimal numbers without leading zeros, other spellings
/// (`0177.0.0.1`, `2130706433`, `127.1`) are refused because programs disagree on them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// IPv4 or IPv6.
    Address(IpAddr),
    /// A name that the probe resolves or asks for.
    Name(Name),
}

/// A domain name in its ASCII form, lower case, without white space, quotes or a leading `-`.
///
/// Letters, digits, `-` and `_` in labels of 1 to 63, 253 in all (RFC 1035, RFC 2181); a final dot is kept; `.` is
/// the root. Names with other letters are converted by IDNA (UTS 46).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Empty.
    #[error("must not be empty")]
    Empty,
    /// Not an address, not a name.
    #[error("must be an IPv4 or IPv6 address or a domain name")]
    Grammar,
    /// A number where programs would read an IPv4 address.
    #[error("looks like an IPv4 address in an unusual spelling; write four decimal numbers")]
    OddIpv4,
    /// Too long.
    #[error("must not be longer than 253 characters, 63 between dots")]
    TooLong,
}

/// Longest text worth looking at, bytes: a 253-character name in letters of up to four bytes.
const LONGEST_TEXT: usize = 1024;

impl Name {
    /// The name as ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a host by RFC 1123: no `_`, no `-` at a label's end, not the root.
    #[must_use]
    pub fn is_host(&self) -> bool {
        let label = |l: &str| !l.contains('_') && !l.ends_with('-');
        self.0 != "." && self.0.trim_end_matches('.').split('.').all(label)
    }
}

impl FromStr for Name {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        if text.len() > LONGEST_TEXT {
            return Err(TargetError::TooLong);
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| TargetError::Grammar)?
        };
        if ascii == "." {
            return Ok(Self(ascii));
        }
        let bare = ascii.strip_suffix('.').unwrap_or(&ascii);
        check_labels(bare)?;
        Ok(Self(ascii))
    }
}

fn check_labels(name: &str) -> Result<(), TargetError> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    for label in name.split('.') {
        if label.is_empty() || label.starts_with('-') || !label.bytes().all(allowed) {
            return Err(TargetError::Grammar);
        }
        if label.len() > 63 {
            return Err(TargetError::TooLong);
        }
    }
    if name.len() > 253 {
        return Err(TargetError::TooLong);
    }
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err(TargetError::OddIpv4);
    }
    Ok(())
}

/// Whether programs that follow inet_aton(3) would read this label as a number.
fn is_number(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_hexdigit()));
    hex || label.bytes().all(|c| c.is_ascii_digit())
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let bracketed = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(inside) = bracketed {
            return inside
                .parse()
                .map(|v6| Self::Address(IpAddr::V6(v6)))
                .map_err(|_| TargetError::Grammar);
        }
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl TryFrom<String> for Name {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// The name under which the DNS keeps an address (RFC 1035 section 3.5, RFC 3596 section 2.5), without a final dot.
#[must_use]
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev();
            let nibbles = nibbles.map(|octet| format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests;

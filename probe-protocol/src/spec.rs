//! What a probe can be asked to do: the kinds of measurement, their parameters with limits, and schedules.
//!
//! Every parameter is a number with limits, a word of a list, an address or a name: nothing free ever reaches a
//! probe. The hub parses what users send with these types; a probe parses again what it gets.

use std::{fmt, net::IpAddr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de};
use serde_json::Value;

use crate::{Cron, Whole};

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Round-trip times, by scamper.
    Ping,
    /// The path, by scamper.
    Traceroute,
    /// Questions to a name server, by dig.
    Dns,
}

impl Kind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Ping, Self::Traceroute, Self::Dns];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Traceroute => "traceroute",
            Self::Dns => "dns",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a user wants results as documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResultFormat {
    /// JSON: what `sc_warts2json` prints, for dns the text of dig.
    Json,
    /// Text: what `sc_analysis_dump` prints.
    Dump,
}

/// What a result's content holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContentFormat {
    /// scamper's warts(5).
    Warts,
    /// Text, compressed (RFC 1952).
    Gzip,
    /// A JSON document in UTF-8.
    Json,
}

impl ContentFormat {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warts => "warts",
            Self::Gzip => "gzip",
            Self::Json => "json",
        }
    }
}

/// A repeated operation: at each instant of `cron`, `times_per_minute` runs spread over the minute, until `stop_time`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// Five fields, UTC.
    pub cron: Cron,
    /// Runs at each instant of `cron`: the first at its second 0, the next 60/n seconds later, and so on.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 60))]
    pub times_per_minute: Whole<1, 60>,
    /// The last instant lies before it.
    pub stop_time: DateTime<Utc>,
}

/// A UDP or TCP port.
pub type Port = Whole<1, 65535>;

/// How ping probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the words are scamper's own, see scamper(1) ping -P"
)]
pub enum PingMethod {
    IcmpEcho,
    IcmpTime,
    TcpSyn,
    TcpAck,
    TcpAckSport,
    Udp,
    UdpDport,
}

/// Parameters of ping; what is left out is scamper's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PingParams {
    /// Probes to send to each target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub probecount: Option<Whole<1, 100>>,
    /// Checksum of the ICMP header; the payload is made to fit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub icmp_sum: Option<Whole<0, 65535>>,
    /// Destination port, for the methods that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub dport: Option<Port>,
    /// Source port, or the ICMP id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub sport: Option<Port>,
    /// Seconds between probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub wait: Option<Whole<1, 20>>,
    /// How to probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<PingMethod>,
    /// Bytes of a probe with its headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub size: Option<Whole<1, 255>>,
    /// Seconds to wait for a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub timeout: Option<Whole<0, 100>>,
}

/// How traceroute probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the words are scamper's own, see scamper(1) trace -P"
)]
pub enum TracerouteMethod {
    UdpParis,
    IcmpParis,
    Tcp,
}

/// A share from 0 to 0.99.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

impl Confidence {
    /// In whole percent, as scamper takes it.
    #[must_use]
    pub fn percent(self) -> u32 {
        (self.0 * 100.0).round() as u32
    }
}

impl TryFrom<f64> for Confidence {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        if (0.0..=0.99).contains(&share) {
            Ok(Self(share + 0.0)) // -0.0 becomes 0.0
        } else {
            Err("must be a number from 0 to 0.99")
        }
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// Parameters of traceroute; what is left out is scamper's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TracerouteParams {
    /// How sure to be that each hop showed all its interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// How to probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<TracerouteMethod>,
    /// Destination port, or the ICMP checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub dport: Option<Port>,
    /// Source port, or the ICMP id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub sport: Option<Port>,
    /// TTL of the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub firsthop: Option<Whole<1, 255>>,
    /// Highest TTL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub maxttl: Option<Whole<1, 255>>,
    /// Probes to a hop before giving up on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub attempts: Option<Whole<1, 10>>,
    /// Seconds to wait for a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub wait: Option<Whole<1, 20>>,
    /// Hundredths of a second between probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub wait_probe: Option<Whole<0, 100>>,
}

/// What to ask a name server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the DNS's own")]
pub enum RecordType {
    A,
    Aaaa,
    Any,
    Axfr,
    Caa,
    Cname,
    Dnskey,
    Ds,
    Hinfo,
    Https,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

/// IP version to speak to the name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum IpVersion {
    /// IPv4.
    #[serde(rename = "4")]
    V4,
    /// IPv6.
    #[serde(rename = "6")]
    V6,
}

/// Parameters of dns. Targets are the names to ask for; a target that is an address is looked up in reverse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DnsParams {
    /// Record type; `a` when left out, `ptr` for addresses.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub record_type: Option<RecordType>,
    /// Address of the name server to ask; the probe's own resolver when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub server: Option<IpAddr>,
    /// Port of the name server; 53 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub port: Option<Port>,
    /// Source address of the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub source_address: Option<IpAddr>,
    /// Speak only this IP version to the name server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<IpVersion>,
}

/// A kind with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum Measurement {
    /// Ping.
    Ping(PingParams),
    /// Traceroute.
    Traceroute(TracerouteParams),
    /// Dns.
    Dns(DnsParams),
}

impl Measurement {
    /// Reads the parameters of a kind; nothing unknown passes.
    ///
    /// # Errors
    /// The first field that is wrong. `{}` and `null` are valid for every kind.
    pub fn parse(kind: Kind, params: &Value) -> Result<Self, serde_json::Error> {
        let params = match params {
            Value::Null => &Value::Object(serde_json::Map::new()),
            Value::Object(_) => params,
            // Without names, a list would be read in the order of the struct's fields.
            _ => return Err(de::Error::custom("must be an object")),
        };
        Ok(match kind {
            Kind::Ping => Self::Ping(PingParams::deserialize(params)?),
            Kind::Traceroute => Self::Traceroute(TracerouteParams::deserialize(params)?),
            Kind::Dns => Self::Dns(DnsParams::deserialize(params)?),
        })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ping(_) => Kind::Ping,
            Self::Traceroute(_) => Kind::Traceroute,
            Self::Dns(_) => Kind::Dns,
        }
    }

    /// The parameters as a JSON object, in the form that [`Measurement::parse`] reads.
    ///
    /// # Errors
    /// None in practice: every parameter has a JSON form.
    pub fn params(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Ping(params) => serde_json::to_value(params),
            Self::Traceroute(params) => serde_json::to_value(params),
            Self::Dns(params) => serde_json::to_value(params),
        }
    }
}

#[cfg(test)]
mod tests;

//! The address of whoever calls: the connection's other end, or, where that is a proxy that may be believed, whom the
//! proxy names. For counting attempts; nothing is allowed or shown because of it.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use super::{Http, error::ApiError};

/// Where proxies note whom they speak for: addresses, the nearest one last, possibly on several lines.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever calls; IPv4 addresses as such, however they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) IpAddr);

impl FromRequestParts<Http> for Client {
    type Rejection = ApiError;

    /// Fails with [`ApiError::Internal`] where the request came through no listener: to guess an address would put all
    /// such callers into one pot, unnoticed.
    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let Some(ConnectInfo(peer)) = peer else {
            return Err(ApiError::Internal(
                "a request without the address of its peer".into(),
            ));
        };
        let client = behind(peer.ip(), &parts.headers, &http.trusted_proxies);
        Ok(Self(client))
    }
}

/// Who stands behind `peer`: from one proxy to the one before it, as long as they are `trusted`. What stands further
/// to the left in the header may be written by anyone.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines: Vec<&[u8]> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|line| line.as_bytes())
        .collect();
    let entries = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        // A list may hold empty elements (RFC 9110, section 5.6.1.2).
        .filter(|entry| !entry.is_empty());
    for entry in entries {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        let Some(before) = parse(entry) else {
            break;
        };
        client = before.to_canonical();
    }
    client
}

/// An address, as some proxies write it also with a port or in brackets.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    text.parse().ok().or_else(with_port).or_else(bare)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, lines: &[&[u8]], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    const PROXIES: &[&str] = &["10.0.0.0/8", "2001:db8:1::/48"];

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let lines: &[&[u8]] = &[b"192.0.2.1"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "192.0.2.1");
        assert_eq!(client("2001:db8:1::5", lines, PROXIES), "192.0.2.1");
        assert_eq!(client("11.0.0.1", lines, PROXIES), "11.0.0.1");
        assert_eq!(client("10.0.0.1", lines, &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[], PROXIES), "10.0.0.1");
    }

    #[test]
    fn what_a_client_wrote_itself_does_not_count() {
        let lines: &[&[u8]] = &[b"203.0.113.9, 192.0.2.1"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "192.0.2.1");
        let lines: &[&[u8]] = &[b"203.0.113.9", b"10.9.9.9,192.0.2.1"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "192.0.2.1");
        let lines: &[&[u8]] = &[b"203.0.113.9, 192.0.2.1", b"10.0.0.2", b"2001:db8:1::7"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "192.0.2.1");
        let lines: &[&[u8]] = &[b"10.0.0.3", b"10.0.0.2"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "10.0.0.3");
    }

    #[test]
    fn garbage_ends_the_search() {
        for garbage in [
            &b"unknown"[..],
            b"192.0.2.1 192.0.2.2",
            b"192.0.2.256",
            b"_hidden",
            b"\xff\xfe",
            b"[2001:db8::1",
            b"for=192.0.2.1",
        ] {
            let lines: &[&[u8]] = &[b"192.0.2.1", garbage];
            assert_eq!(client("10.0.0.1", lines, PROXIES), "10.0.0.1");
            let lines: &[&[u8]] = &[b"192.0.2.1", garbage, b"10.0.0.2"];
            assert_eq!(client("10.0.0.1", lines, PROXIES), "10.0.0.2");
        }
        // Garbage of the client's own, before what the proxy wrote, changes nothing.
        let lines: &[&[u8]] = &[b"\xff, 192.0.2.1"];
        assert_eq!(client("10.0.0.1", lines, PROXIES), "192.0.2.1");
    }

    #[test]
    fn addresses_are_read_however_they_are_written() {
        for (entry, address) in [
            (&b" 192.0.2.1\t"[..], "192.0.2.1"),
            (b"192.0.2.1,,", "192.0.2.1"),
            (b"192.0.2.1:50000", "192.0.2.1"),
            (b"::ffff:192.0.2.1", "192.0.2.1"),
            (b"2001:DB8::1", "2001:db8::1"),
            (b"[2001:db8::1]", "2001:db8::1"),
            (b"[2001:db8::1]:443", "2001:db8::1"),
        ] {
            assert_eq!(client("10.0.0.1", &[entry], PROXIES), address);
        }
        assert_eq!(
            client("::ffff:10.0.0.1", &[b"192.0.2.1"], PROXIES),
            "192.0.2.1"
        );
        assert_eq!(client("::ffff:192.0.2.9", &[], PROXIES), "192.0.2.9");
    }
}

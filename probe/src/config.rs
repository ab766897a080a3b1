//! What the agent is told at start, checked: plain data, the token hidden from `Debug`.

use std::{fmt, path::PathBuf, str::FromStr};

use probe_protocol::{MAX_FRAME, PATH};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use url::{Host, Url};

/// Default of `--total-credits`.
pub const TOTAL_CREDITS: u32 = 121;

/// Default of `--max-concurrent`, measurements at a time: few, so that they do not disturb each other.
pub const MAX_CONCURRENT: u16 = 4;

/// Default of `--spool-limit`, bytes: a probe on a small disk can be without a hub for months.
pub const SPOOL_LIMIT: u64 = 256 * 1024 * 1024;

/// Least `--spool-limit`, bytes: any one result fits, with room for the next.
pub const LEAST_SPOOL_LIMIT: u64 = 2 * MAX_FRAME as u64;

/// What the agent is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the hub is.
    pub hub: Hub,
    /// The agent's own directory.
    pub data: PathBuf,
    /// Credits it can have in use at the same time.
    pub total_credits: u32,
    /// Measurements that may run at the same time.
    pub max_concurrent: u16,
    /// Bytes of results kept at most; the oldest go first.
    pub spool_limit: u64,
}

/// Where the hub is and how this probe shows who it is.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The websocket's URL.
    pub url: HubUrl,
    /// The probe's token.
    pub token: Token,
}

/// URL of the hub's websocket: made from the hub's base URL with http, https, ws or wss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrl(Url);

/// Why a text is no hub URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubUrlError {
    /// Not a URL.
    #[error("not a URL ({0}); write https://hub.example.org")]
    Grammar(#[from] url::ParseError),
    /// Another scheme.
    #[error("must begin with https://, http://, wss:// or ws://")]
    Scheme,
    /// No host, or parts that are not used.
    #[error("must be just scheme, host, port and path: no user, password, '?' or '#'")]
    Parts,
}

impl HubUrl {
    /// The URL to open.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL as it was read, for whoever needs its parts.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Where agents of the replaced system connect to the same hub.
    pub(crate) fn for_old_agents(&self) -> Url {
        let mut url = self.0.clone();
        let base = url.path().strip_suffix(PATH).unwrap_or_default();
        url.set_path(&format!("{base}{}", probe_protocol::old::PATH));
        url
    }

    /// Whether the token would cross a network unencrypted.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let local = match self.0.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.0.scheme() == "ws" && !local
    }
}

impl FromStr for HubUrl {
    type Err = HubUrlError;

    fn from_str(text: &str) -> Result<Self, HubUrlError> {
        // A special scheme cannot be changed into another once it is parsed.
        let websocket = match text.split_once(':') {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "http" | "ws" => format!("ws:{rest}"),
                "https" | "wss" => format!("wss:{rest}"),
                _ => return Err(HubUrlError::Scheme),
            },
            None => return Err(HubUrlError::Scheme),
        };
        let mut url = Url::parse(&websocket)?;
        let unused = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if unused || !url.has_host() {
            return Err(HubUrlError::Parts);
        }
        let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// What stands before the token in the `Authorization` header.
const SCHEME: &str = "Bearer ";

/// A probe's token. Never printed.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// The text cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the token that the hub gave for this probe: visible ASCII without blanks")]
pub struct NotAToken;

impl Token {
    /// The token itself.
    pub(crate) fn text(&self) -> &str {
        let text = self.0.to_str().unwrap_or_default();
        text.strip_prefix(SCHEME).unwrap_or(text)
    }

    /// The value of the `Authorization` header.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(NotAToken);
        }
        let mut header =
            HeaderValue::from_str(&format!("{SCHEME}{text}")).map_err(|_| NotAToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_urls_become_websocket_urls() {
        for (base, url) in [
            ("http://127.0.0.1:5000", "ws://127.0.0.1:5000/probe/v1"),
            ("https://hub.example.org/", "wss://hub.example.org/probe/v1"),
            (
                "HTTPS://hub.example.org/a/b/",
                "wss://hub.example.org/a/b/probe/v1",
            ),
            ("wss://hub.example.org", "wss://hub.example.org/probe/v1"),
            ("ws://[::1]:5000", "ws://[::1]:5000/probe/v1"),
        ] {
            assert_eq!(base.parse::<HubUrl>().unwrap().as_str(), url);
        }
        let below: HubUrl = "http://x/a".parse().unwrap();
        assert_eq!(below.for_old_agents().as_str(), "ws://x/a/socket.io/");
        for wrong in [
            "",
            "hub.example.org",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x/?a=b",
            "http://x/#a",
        ] {
            assert!(wrong.parse::<HubUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unencrypted_hub_elsewhere_is_noticed() {
        let exposed = |url: &str| url.parse::<HubUrl>().unwrap().is_exposed();
        assert!(exposed("http://hub.example.org"));
        assert!(!exposed("https://hub.example.org"));
        assert!(!exposed("http://127.0.0.1:5000"));
        assert!(!exposed("http://localhost:5000"));
        assert!(!exposed("http://[::1]:5000"));
    }

    #[test]
    fn the_token_is_never_printed() {
        let token: Token = "s3cret.token_x".parse().unwrap();
        let hub = Hub {
            url: "http://x".parse().unwrap(),
            token,
        };
        assert!(!format!("{hub:?} {:?}", hub.token.bearer()).contains("s3cret"));
        assert_eq!(hub.token.bearer(), "Bearer s3cret.token_x");
        assert_eq!(hub.token.text(), "s3cret.token_x");
        for wrong in ["", "  ", "a b", "a\nb", "ñ"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong:?}");
        }
    }
}

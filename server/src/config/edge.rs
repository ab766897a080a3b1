//! Settings of the edge: what is limited, who may call from where, TLS.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use url::Url;

use super::{Environment, reader::Reader};

/// Settings of the edge.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// Whether it is limited how often someone may try something.
    pub rate_limits: bool,
    /// How many operations and probes one user may create.
    pub operations_per_minute: NonZeroU32,
    /// How many connections one address may have; `None` is as many as it likes.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Whose pages may call; `None` is everyone's.
    pub cors_origins: Option<Vec<String>>,
    /// The certificate; `None` is plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// What TLS needs, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Reader {
    /// Settings of the edge. Every problem is noted.
    pub(super) fn edge(&mut self, environment: Option<Environment>) -> Option<EdgeSettings> {
        let rate_limits = self.rate_limits(environment);
        let operations = self.within("OPERATIONS_PER_MINUTE", 1, 100_000);
        let connections = self.within("MAX_CONNECTIONS_PER_ADDRESS", 0, 100_000);
        let cors_origins = self.origins();
        let tls = self.tls();
        Some(EdgeSettings {
            rate_limits: rate_limits?,
            operations_per_minute: NonZeroU32::new(u32::try_from(operations?).ok()?)?,
            connections_per_address: NonZeroUsize::new(usize::try_from(connections?).ok()?),
            cors_origins,
            tls,
        })
    }

    /// Unset means what the environment suggests.
    fn rate_limits(&mut self, environment: Option<Environment>) -> Option<bool> {
        if self.given("RATE_LIMITS").is_none() {
            return Some(environment.is_none_or(Environment::is_serious));
        }
        self.word("RATE_LIMITS", &[("on", true), ("off", false)])
    }

    fn origins(&mut self) -> Option<Vec<String>> {
        let text = self.text("CORS_ORIGINS");
        if text.trim() == "*" {
            return None;
        }
        let mut origins = Vec::new();
        for item in text.split(',').map(str::trim) {
            match origin(item) {
                _ if item.is_empty() => {}
                Some(origin) => origins.push(origin),
                None => self.problem(&format!(
                    "CORS_ORIGINS: must be * or origins as https://console.example.org, not {item:?}"
                )),
            }
        }
        Some(origins)
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        match (self.path("TLS_CERT"), self.path("TLS_KEY")) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.problem("TLS_KEY: must be set with TLS_CERT");
                None
            }
            (None, Some(_)) => {
                self.problem("TLS_CERT: must be set with TLS_KEY");
                None
            }
        }
    }
}

/// An origin as browsers write it: scheme, host, and port where it is not the usual one.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let origin = url.origin();
    (is_bare && origin.is_tuple()).then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::{super::Config, *};

    fn read(vars: &[(&str, &str)]) -> Result<EdgeSettings, Vec<String>> {
        let vars = vars
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        let config = Config::from_vars(vars);
        config.map(|config| config.edge).map_err(|error| error.0)
    }

    #[test]
    fn limits_are_on_where_it_matters() {
        let key = ("SECRET_KEY", "0123456789abcdef0123456789abcdef");
        for (environment, usual) in [
            ("development", false),
            ("test", false),
            ("staging", true),
            ("production", true),
        ] {
            let environment = ("ENVIRONMENT", environment);
            assert_eq!(read(&[environment, key]).unwrap().rate_limits, usual);
            for (word, chosen) in [("on", true), ("off", false)] {
                let edge = read(&[environment, key, ("RATE_LIMITS", word)]).unwrap();
                assert_eq!(edge.rate_limits, chosen);
            }
        }
        assert!(read(&[("RATE_LIMITS", "true")]).is_err());
    }

    #[test]
    fn certificate_and_key_come_together() {
        assert_eq!(read(&[]).unwrap().tls, None);
        let both = [("TLS_CERT", "a.pem"), ("TLS_KEY", "a.key")];
        let files = read(&both).unwrap().tls.unwrap();
        assert_eq!(files.certificate, PathBuf::from("a.pem"));
        assert_eq!(files.key, PathBuf::from("a.key"));
        for (alone, missing) in [(both[0], "TLS_KEY:"), (both[1], "TLS_CERT:")] {
            let problems = read(&[alone]).unwrap_err();
            assert!(
                matches!(&problems[..], [one] if one.starts_with(missing)),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        let origins = |text| read(&[("CORS_ORIGINS", text)]).map(|edge| edge.cors_origins);
        assert_eq!(origins(""), Ok(None));
        assert_eq!(origins(" * "), Ok(None));
        let some = "https://Console.example.org/, http://127.0.0.1:8080,,https://a.example:443";
        let expected = [
            "https://console.example.org",
            "http://127.0.0.1:8080",
            "https://a.example",
        ];
        assert_eq!(
            origins(some),
            Ok(Some(expected.map(str::to_owned).to_vec()))
        );
        assert_eq!(origins(","), Ok(Some(Vec::new())));
        for wrong in [
            "null",
            "console.example.org",
            "https://a.example/x",
            "*,https://a.example",
            "file:///x",
            "https://u@a.example",
        ] {
            let problems = origins(wrong).unwrap_err();
            assert!(problems[0].starts_with("CORS_ORIGINS:"), "{wrong}");
        }
    }

    #[test]
    fn no_limit_on_connections_is_none() {
        let most = |text| {
            let edge = read(&[("MAX_CONNECTIONS_PER_ADDRESS", text)]);
            edge.map(|edge| edge.connections_per_address.map(NonZeroUsize::get))
        };
        assert_eq!(most("0"), Ok(None));
        assert_eq!(most("5"), Ok(Some(5)));
        assert!(most("-1").is_err() && most("100001").is_err());
        for bad in ["0", "100001"] {
            assert!(read(&[("OPERATIONS_PER_MINUTE", bad)]).is_err());
        }
    }
}

//! How Redis is reached, where hubs share a platform.

use std::fmt;

use url::Url;

use super::reader::Reader;

/// Redis servers. Addresses may hold a password and are never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisSettings {
    /// One server.
    One(String),
    /// Some members of a cluster.
    Cluster(Vec<String>),
    /// The master that sentinels name.
    Sentinel {
        /// Sentinels.
        sentinels: Vec<String>,
        /// What they call the master.
        master: String,
        /// An address with what the master wants to know of us: user, password, database, TLS. Its host means nothing.
        node: String,
    },
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One(…)",
            Self::Cluster(_) => "Cluster(…)",
            Self::Sentinel { .. } => "Sentinel(…)",
        })
    }
}

/// Beginnings of an address, and what it names. The ones with a `+` are those of other realtime servers.
const SCHEMES: &[(&str, &str, Kind)] = &[
    ("redis", "redis", Kind::One),
    ("rediss", "rediss", Kind::One),
    ("redis+cluster", "redis", Kind::Cluster),
    ("rediss+cluster", "rediss", Kind::Cluster),
    ("redis+sentinel", "redis", Kind::Sentinel),
    ("rediss+sentinel", "rediss", Kind::Sentinel),
];
/// Parameter with a further member or sentinel, as `host:port`.
const ADDRESS: &str = "addr";
/// Parameter with the name of the master.
const MASTER: &str = "master";
/// Parameter with the password of the sentinels themselves.
const SENTINEL_PASSWORD: &str = "sentinel_password";

#[derive(Debug, Clone, Copy)]
enum Kind {
    One,
    Cluster,
    Sentinel,
}

impl Reader {
    /// Redis; `None` where it is unset or wrong. What is wrong is told without the address, which may hold a password.
    pub(super) fn redis(&mut self) -> Option<RedisSettings> {
        let given = self.given("REDIS_URL")?;
        match parse(&given) {
            Ok(settings) => Some(settings),
            Err(wrong) => {
                self.problem(&format!("REDIS_URL: {wrong}"));
                None
            }
        }
    }

    /// What hubs that share a platform must share besides.
    pub(super) fn shared_by_hubs(&mut self, is_sqlite: bool) {
        if self.given("REDIS_URL").is_none() {
            return;
        }
        if is_sqlite {
            self.problem(
                "REDIS_URL: is for hubs that share MongoDB; set DATABASE=mongo, or leave it out",
            );
        }
        if self.given("SECRET_KEY").is_none() {
            self.problem("SECRET_KEY: must be set with REDIS_URL, the same for all hubs");
        }
    }
}

fn parse(given: &str) -> Result<RedisSettings, &'static str> {
    const WRONG: &str = "must be an address as redis://:password@host:6379/0 (rediss:// for TLS, redis+sentinel:// and \
                         redis+cluster:// for several servers)";
    let url = Url::parse(given).map_err(|_| WRONG)?;
    let known = SCHEMES.iter().find(|(scheme, ..)| *scheme == url.scheme());
    let (_, scheme, kind) = known.ok_or(WRONG)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(WRONG);
    }
    match kind {
        Kind::One => Ok(RedisSettings::One(given.to_owned())),
        Kind::Cluster => addresses(&url, scheme, Login::Same).map(RedisSettings::Cluster),
        Kind::Sentinel => {
            let parameter = |name: &str| {
                let mut pairs = url.query_pairs();
                pairs
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.into_owned())
            };
            let master = parameter(MASTER).filter(|name| !name.is_empty());
            let master =
                master.ok_or("names sentinels; ?master= must say what they call the master")?;
            let login = Login::Password(parameter(SENTINEL_PASSWORD));
            Ok(RedisSettings::Sentinel {
                sentinels: addresses(&url, scheme, login)?,
                master,
                node: with_scheme(&url, scheme)?,
            })
        }
    }
}

/// How the servers of a list know us.
enum Login {
    /// By the user and password of the address.
    Same,
    /// By a password of their own, if any.
    Password(Option<String>),
}

/// The address of each server that is named.
fn addresses(url: &Url, scheme: &str, login: Login) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "addr= must be a host and a port, as host:6379";
    let mut base = Url::parse(&with_scheme(url, scheme)?).map_err(|_| WRONG)?;
    if let Login::Password(password) = login {
        base.set_username("").map_err(|()| WRONG)?;
        base.set_password(password.as_deref()).map_err(|()| WRONG)?;
        base.set_path("");
    }
    let mut all = vec![base.to_string()];
    for (_, address) in url.query_pairs().filter(|(key, _)| key == ADDRESS) {
        let (host, port) = address.rsplit_once(':').ok_or(WRONG)?;
        let mut one = base.clone();
        one.set_host(Some(host)).map_err(|_| WRONG)?;
        one.set_port(Some(port.parse().map_err(|_| WRONG)?))
            .map_err(|()| WRONG)?;
        all.push(one.to_string());
    }
    Ok(all)
}

/// The address with a scheme that every client of Redis knows, and without parameters.
fn with_scheme(url: &Url, scheme: &str) -> Result<String, &'static str> {
    let (_, rest) = url.as_str().split_once(':').ok_or("is no address")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    Ok(format!("{scheme}:{rest}"))
}

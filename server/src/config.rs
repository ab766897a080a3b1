//! The hub's settings: plain data, read once from environment variables, all problems reported together.
//!
//! [`VARIABLES`] is the one list of names; the `.env_server.example` file is held to it by a test.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use chrono::{NaiveTime, TimeDelta};
use ipnet::IpNet;
use probe_protocol::TargetPolicy;

mod database;
mod diagnosis;
mod edge;
mod metrics;
mod reader;
mod redis;
mod variables;

pub use database::{Database, MongoServer, MongoSettings, Password};
pub use edge::{EdgeSettings, TlsFiles};
use reader::Reader;
pub use redis::RedisSettings;
pub use variables::{VARIABLES, Variable};

/// What kind of installation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// Automatic tests.
    Test,
    /// A rehearsal of production.
    Staging,
    /// The real thing.
    Production,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ENVIRONMENTS.iter().find(|(_, known)| known == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl Environment {
    /// Whether others depend on it: then nothing unsafe is assumed.
    #[must_use]
    pub fn is_serious(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }
}

/// Who resolves names of targets for agents of the replaced system, which neither check what a name resolves to nor
/// survive one that does not. Agents of this system resolve and check by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolveTargets {
    /// The hub; agents get addresses.
    Hub,
    /// The agent.
    Probe,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line with time, level, module and fields.
    Full,
    /// One short line.
    Brief,
    /// One JSON object a line.
    Json,
}

/// The key that signs tokens. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub(crate) String);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The hub's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What kind of installation this is.
    pub environment: Environment,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Signs tokens; `None` means: make one and keep it in `data_dir`.
    pub secret_key: Option<SecretKey>,
    /// Where truth is kept.
    pub database: Database,
    /// Folder of the embedded database, and of the key that signs tokens where none is given.
    pub data_dir: PathBuf,
    /// Where hubs hear each other; `None` is a hub alone.
    pub redis: Option<RedisSettings>,
    /// How long results are kept; `None` is for ever.
    pub result_life: Option<TimeDelta>,
    /// Which addresses may be measured.
    pub target_policy: TargetPolicy,
    /// How long a login lasts.
    pub user_token_life: Duration,
    /// Whether user tokens without an end are taken.
    pub legacy_user_tokens: bool,
    /// How often one address may try to log in or register, and one account be tried.
    pub logins_per_minute: NonZeroU32,
    /// Whose word on who is calling counts.
    pub trusted_proxies: Vec<IpNet>,
    /// What is limited, who may call from where, TLS.
    pub edge: EdgeSettings,
    /// Whether everyone may read an operation at its old path.
    pub public_operations: bool,
    /// How long after the stop time results still count.
    pub stop_grace: Duration,
    /// Who resolves names for old agents.
    pub resolve_targets: ResolveTargets,
    /// The name server to ask; `None` is the system's.
    pub name_server: Option<SocketAddr>,
    /// How long it may take to find in the store what was not told.
    pub sweep_within: Duration,
    /// Longest a stop may take, after the drain.
    pub stop_within: Duration,
    /// How long a hub that stops, and has others beside it, takes to send its probes there.
    pub drain: Duration,
    /// When everything is looked at: the time of day, in UTC; `None` is never.
    pub diagnose_at: Option<NaiveTime>,
    /// Where metrics and health are served, if at an address of their own.
    pub metrics_address: Option<SocketAddr>,
    /// Filter of log lines.
    pub log_level: String,
    /// Shape of log lines.
    pub log_format: LogFormat,
    /// Second place of log lines.
    pub log_file: Option<PathBuf>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Shortest key that nobody can guess, bytes: as long as HS256's digest (RFC 7518 section 3.2). Shorter ones are taken,
/// because an installation that moves over from the replaced system has to keep its key.
const SHORT_SECRET: usize = 32;

const ENVIRONMENTS: &[(&str, Environment)] = &[
    ("development", Environment::Development),
    ("test", Environment::Test),
    ("staging", Environment::Staging),
    ("production", Environment::Production),
];
const LOG_FORMATS: &[(&str, LogFormat)] = &[
    ("full", LogFormat::Full),
    ("brief", LogFormat::Brief),
    ("json", LogFormat::Json),
];
const LEGACY_TOKENS: &[(&str, bool)] = &[("accept", true), ("refuse", false)];

impl Config {
    /// Reads the settings from environment variables; other variables are ignored.
    ///
    /// # Errors
    /// One line for every wrong variable, naming it.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(vars);
        match Self::read(&mut reader) {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(ConfigError(reader.problems)),
        }
    }

    /// Reads every setting before it gives up on any, so that all problems are noted.
    fn read(reader: &mut Reader) -> Option<Self> {
        let environment = reader.word("ENVIRONMENT", ENVIRONMENTS);
        let database = reader.database();
        let redis = reader.redis();
        reader.shared_by_hubs(database == Some(Database::Sqlite));
        let host = reader.parsed("HOST", "an IP address");
        let port = reader.parsed("PORT", "a port number");
        let secret_key = reader.secret(environment);
        let ttl_days = reader.within("RESULT_TTL_DAYS", 0, 20_000);
        let target_policy = reader.policy(environment);
        let hours = reader.within("USER_TOKEN_HOURS", 1, 8760);
        let legacy_user_tokens = reader.word("LEGACY_USER_TOKENS", LEGACY_TOKENS);
        let logins = reader.within("LOGINS_PER_MINUTE", 1, 100_000);
        let trusted_proxies = reader.networks("TRUSTED_PROXIES");
        let edge = reader.edge(environment);
        let public_operations = reader.parsed("PUBLIC_OPERATIONS", "true or false");
        let grace_seconds = reader.within("STOP_GRACE_SECONDS", 0, 86_400);
        let resolve_targets = reader.resolve_targets(environment);
        let name_server = reader.name_server();
        let sweep_seconds = reader.within("SWEEP_SECONDS", 2, 60);
        let stop_seconds = reader.within("STOP_SECONDS", 1, 600);
        let drain_seconds = reader.within("DRAIN_SECONDS", 0, 600);
        let diagnose_at = reader.diagnose_at();
        let metrics_address = reader.metrics_address();
        let log_level = reader.log_level();
        let log_format = reader.word("LOG_FORMAT", LOG_FORMATS);
        Some(Self {
            environment: environment?,
            host: host?,
            port: port?,
            secret_key,
            database: database?,
            redis,
            data_dir: reader.path("DATA_DIR").unwrap_or_default(),
            result_life: Some(ttl_days?)
                .filter(|&days| days > 0)
                .and_then(|days| TimeDelta::try_days(i64::try_from(days).ok()?)),
            target_policy: target_policy?,
            user_token_life: Duration::from_secs(hours? * 3600),
            legacy_user_tokens: legacy_user_tokens?,
            logins_per_minute: NonZeroU32::new(u32::try_from(logins?).ok()?)?,
            trusted_proxies,
            edge: edge?,
            public_operations: public_operations?,
            stop_grace: Duration::from_secs(grace_seconds?),
            resolve_targets: resolve_targets?,
            name_server,
            sweep_within: Duration::from_secs(sweep_seconds?),
            stop_within: Duration::from_secs(stop_seconds?),
            drain: Duration::from_secs(drain_seconds?),
            diagnose_at: diagnose_at?,
            metrics_address,
            log_level: log_level?,
            log_format: log_format?,
            log_file: reader.path("LOG_FILE"),
        })
    }

    /// What an operator should look at although it stops nothing. One line each, naming its variable.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let length = self.secret_key.as_ref().map(|key| key.0.len());
        if self.environment.is_serious() && length.is_some_and(|length| length < SHORT_SECRET) {
            return vec![format!(
                "SECRET_KEY: has fewer than {SHORT_SECRET} characters and may be guessed; with a new one, users log in \
                 again and probes need new tokens"
            )];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;

//! The hub's settings: plain data, read once from environment variables, all problems reported together.
//!
//! [`VARIABLES`] is the one list of names; the `.env_server.example` file is held to it by a test.

use std::{collections::HashMap, fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use probe_protocol::TargetPolicy;

/// A setting's name, its value when left out, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Environment variable.
    pub name: &'static str,
    /// Used when it is unset or empty.
    pub default: &'static str,
    /// One line for operators.
    pub help: &'static str,
}

/// All settings, in the order of `.env_server.example`.
pub const VARIABLES: &[Variable] = &[
    variable(
        "ENVIRONMENT",
        "development",
        "development, test, staging or production",
    ),
    variable("HOST", "0.0.0.0", "address to listen on"),
    variable("PORT", "5000", "TCP port to listen on; 0 takes a free one"),
    variable(
        "SECRET_KEY",
        "",
        "signs all tokens, at least 32 characters; required in staging and production, else made and kept in DATA_DIR",
    ),
    variable(
        "DATABASE",
        "sqlite",
        "where truth is kept: sqlite, a file under DATA_DIR",
    ),
    variable("DATA_DIR", "data", "folder of the embedded database"),
    variable(
        "TARGET_POLICY",
        "",
        "any or public: which addresses may be measured; unset is public in staging and production, else any",
    ),
    variable(
        "USER_TOKEN_HOURS",
        "12",
        "hours after which a login ends, 1 to 8760",
    ),
    variable("STOP_SECONDS", "20", "seconds a stop may take, 1 to 600"),
    variable(
        "LOG_LEVEL",
        "info",
        "error, warn, info, debug or trace; also per module, as in info,pladmed::session=debug",
    ),
    variable("LOG_FORMAT", "full", "full, brief or json"),
    variable("LOG_FILE", "", "also log to this file"),
];

const fn variable(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable {
        name,
        default,
        help,
    }
}

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

impl Environment {
    /// Whether others depend on it: then nothing unsafe is assumed.
    #[must_use]
    pub fn is_serious(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }
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
    /// Folder of the embedded database.
    pub data_dir: PathBuf,
    /// Which addresses may be measured.
    pub target_policy: TargetPolicy,
    /// How long a login lasts.
    pub user_token_life: Duration,
    /// Longest a stop may take.
    pub stop_within: Duration,
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

/// Shortest key worth the name, bytes: as long as HS256's digest (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

/// Words of keys that stand in examples and documentation.
const EXAMPLE_SECRETS: &[&str] = &["change", "example", "secret_key", "replace"];

struct Reader {
    vars: HashMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    /// The text of a variable, or its default.
    fn text(&self, name: &str) -> String {
        let default = VARIABLES
            .iter()
            .find(|variable| variable.name == name)
            .map_or("", |v| v.default);
        self.vars
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    }

    fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let text = self.text(name);
        let value = text.parse().ok();
        if value.is_none() {
            self.problems
                .push(format!("{name}: must be {wanted}, not {text:?}"));
        }
        value
    }

    fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name);
        let value = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if value.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problems.push(format!(
                "{name}: must be one of {}, not {text:?}",
                words.join(", ")
            ));
        }
        value
    }

    fn within(&mut self, name: &str, least: u64, most: u64) -> Option<u64> {
        let value: u64 = self.parsed(name, "a whole number")?;
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.problems.push(format!(
            "{name}: must be from {least} to {most}, not {value}"
        ));
        None
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name))
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    }

    fn secret(&mut self, environment: Option<Environment>) -> Option<SecretKey> {
        let text = self.text("SECRET_KEY");
        let serious = environment.is_some_and(Environment::is_serious);
        if text.is_empty() {
            if serious {
                self.problems
                    .push("SECRET_KEY: must be set in staging and production".into());
            }
            return None;
        }
        let lower = text.to_lowercase();
        if serious && EXAMPLE_SECRETS.iter().any(|word| lower.contains(word)) {
            self.problems.push(
                "SECRET_KEY: is an example; make one of your own, as with: openssl rand -hex 32"
                    .into(),
            );
        }
        if serious && text.len() < SHORTEST_SECRET {
            self.problems.push(format!(
                "SECRET_KEY: must have at least {SHORTEST_SECRET} characters"
            ));
        }
        Some(SecretKey(text))
    }

    fn policy(&mut self, environment: Option<Environment>) -> Option<TargetPolicy> {
        if self.text("TARGET_POLICY").is_empty() {
            let serious = environment.is_none_or(Environment::is_serious);
            return Some(if serious {
                TargetPolicy::Public
            } else {
                TargetPolicy::Any
            });
        }
        self.word(
            "TARGET_POLICY",
            &[("any", TargetPolicy::Any), ("public", TargetPolicy::Public)],
        )
    }

    fn log_level(&mut self) -> Option<String> {
        let text = self.text("LOG_LEVEL");
        match tracing_subscriber::filter::Targets::from_str(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                self.problems.push(format!("LOG_LEVEL: {error}"));
                None
            }
        }
    }
}

impl Config {
    /// Reads the settings from environment variables; other variables are ignored.
    ///
    /// # Errors
    /// One line for every wrong variable, naming it.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader {
            vars: vars.into_iter().collect(),
            problems: Vec::new(),
        };
        let environments = [
            ("development", Environment::Development),
            ("test", Environment::Test),
            ("staging", Environment::Staging),
            ("production", Environment::Production),
        ];
        let formats = [
            ("full", LogFormat::Full),
            ("brief", LogFormat::Brief),
            ("json", LogFormat::Json),
        ];
        let environment = reader.word("ENVIRONMENT", &environments);
        reader.word("DATABASE", &[("sqlite", ())]);
        let host = reader.parsed("HOST", "an IP address");
        let port = reader.parsed("PORT", "a port number");
        let secret_key = reader.secret(environment);
        let target_policy = reader.policy(environment);
        let hours = reader.within("USER_TOKEN_HOURS", 1, 8760);
        let stop_seconds = reader.within("STOP_SECONDS", 1, 600);
        let log_level = reader.log_level();
        let log_format = reader.word("LOG_FORMAT", &formats);
        let data_dir = reader.path("DATA_DIR").unwrap_or_default();
        let log_file = reader.path("LOG_FILE");
        let config = (|| {
            Some(Self {
                environment: environment?,
                host: host?,
                port: port?,
                secret_key,
                data_dir,
                target_policy: target_policy?,
                user_token_life: Duration::from_secs(hours? * 3600),
                stop_within: Duration::from_secs(stop_seconds?),
                log_level: log_level?,
                log_format: log_format?,
                log_file,
            })
        })();
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(ConfigError(reader.problems)),
        }
    }
}

#[cfg(test)]
mod tests;

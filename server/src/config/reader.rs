//! Reads one setting at a time from the variables and notes every problem; which settings there are is in `config`.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use ipnet::IpNet;
use probe_protocol::TargetPolicy;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Environment, ResolveTargets, SecretKey, VARIABLES};

/// Words of keys that stand in examples and documentation.
const EXAMPLE_SECRETS: &[&str] = &["change", "example", "secret_key", "replace"];
/// The key of the replaced system where nobody chose one: everybody knows it.
const OLD_DEFAULT_SECRET: &str = "dev";

/// The variables, and what is wrong with those that were read.
pub(super) struct Reader {
    vars: HashMap<String, String>,
    /// One line each, naming its variable.
    pub(super) problems: Vec<String>,
}

impl Reader {
    /// Reads from `vars`.
    pub(super) fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            vars: vars.into_iter().collect(),
            problems: Vec::new(),
        }
    }

    /// The text of a variable, or its default.
    pub(super) fn text(&self, name: &str) -> String {
        let default = VARIABLES
            .iter()
            .find(|variable| variable.name == name)
            .map_or("", |v| v.default);
        self.given(name).unwrap_or_else(|| default.to_owned())
    }

    /// What a variable was set to; `None` where it is unset or empty.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        self.vars
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }

    /// Notes what is wrong; begins with the variable's name.
    pub(super) fn problem(&mut self, problem: &str) {
        self.problems.push(problem.to_owned());
    }

    /// A value that its type can parse.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let text = self.text(name);
        let value = text.parse().ok();
        if value.is_none() {
            self.problems
                .push(format!("{name}: must be {wanted}, not {text:?}"));
        }
        value
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
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

    /// A whole number from `least` to `most`.
    pub(super) fn within(&mut self, name: &str, least: u64, most: u64) -> Option<u64> {
        let value: u64 = self.parsed(name, "a whole number")?;
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.problems.push(format!(
            "{name}: must be from {least} to {most}, not {value}"
        ));
        None
    }

    /// A path; `None` where it is empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name))
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    }

    /// The key; `None` where it is unset.
    pub(super) fn secret(&mut self, environment: Option<Environment>) -> Option<SecretKey> {
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
        let example = EXAMPLE_SECRETS.iter().any(|word| lower.contains(word));
        if serious && (example || lower == OLD_DEFAULT_SECRET) {
            self.problems.push(
                "SECRET_KEY: is an example; make one of your own, as with: openssl rand -hex 32"
                    .into(),
            );
        }
        Some(SecretKey(text))
    }

    /// Unset means what the environment suggests.
    pub(super) fn policy(&mut self, environment: Option<Environment>) -> Option<TargetPolicy> {
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

    /// Unset means what the environment suggests.
    pub(super) fn resolve_targets(
        &mut self,
        environment: Option<Environment>,
    ) -> Option<ResolveTargets> {
        if self.text("RESOLVE_TARGETS").is_empty() {
            let serious = environment.is_none_or(Environment::is_serious);
            return Some(if serious {
                ResolveTargets::Hub
            } else {
                ResolveTargets::Probe
            });
        }
        let words = [
            ("hub", ResolveTargets::Hub),
            ("probe", ResolveTargets::Probe),
        ];
        self.word("RESOLVE_TARGETS", &words)
    }

    /// Addresses and networks; an address alone is a network of one.
    pub(super) fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let text = self.text(name);
        let mut networks = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let network = item.parse().or_else(|_| {
                item.parse()
                    .map(|address: IpAddr| address.to_canonical().into())
            });
            match network {
                Ok(network) => networks.push(network),
                Err(_) => self.problems.push(format!(
                    "{name}: must be addresses or networks, not {item:?}"
                )),
            }
        }
        networks
    }

    /// `None` where it is unset or wrong.
    pub(super) fn name_server(&mut self) -> Option<SocketAddr> {
        if self.text("NAME_SERVER").is_empty() {
            return None;
        }
        self.parsed("NAME_SERVER", "an address with a port, as 192.0.2.53:53")
    }

    /// A filter of log lines.
    pub(super) fn log_level(&mut self) -> Option<String> {
        let text = self.text("LOG_LEVEL");
        // To the library a word that is no level is a module, so a slip of the pen would silence everything.
        let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
        let mut parts = text.split(',').map(str::trim);
        if let Some(part) = parts.find(|part| !part.contains('=') && !is_level(part)) {
            self.problems.push(format!(
                "LOG_LEVEL: must be error, warn, info, debug or trace, also as module=level, not {part:?}"
            ));
            return None;
        }
        match Targets::from_str(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                self.problems.push(format!("LOG_LEVEL: {error}"));
                None
            }
        }
    }
}

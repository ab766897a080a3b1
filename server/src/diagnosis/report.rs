//! What a look at everything found: JSON in the store, for the API and for programs; text for people.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{clocks::HostClock, shown};
use crate::domain::audit::{Finding, Rule};

/// How many findings each broken rule has.
pub(super) type Totals = BTreeMap<Rule, u64>;

/// Findings that people are shown at most; `--json` has more.
const SHOWN: usize = 100;

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct LookedAt {
    /// Users.
    pub(crate) users: u64,
    /// Probes.
    pub(crate) probes: u64,
    /// Operations.
    pub(crate) operations: u64,
    /// Assignments.
    pub(crate) assignments: u64,
    /// Results.
    pub(crate) results: u64,
    /// Entries of ledgers.
    pub(crate) ledger_entries: u64,
    /// Operations that went on meanwhile, so that ledgers could not be compared with them; the next time may.
    pub(crate) changed_meanwhile: u64,
}

/// How clocks are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Clocks {
    /// How far the clock of the host was from the right time, seconds, by chrony.
    pub(crate) host_offset_seconds: Option<f64>,
    /// Why that is not known.
    pub(crate) host_unknown: Option<String>,
    /// Probes whose clocks are known, by their results of the last day.
    pub(crate) probes: u64,
    /// How far the furthest of them was from the hub's, seconds.
    pub(crate) probes_furthest_seconds: Option<f64>,
}

impl Clocks {
    pub(super) fn of(host: HostClock, probes: usize, furthest_us: Option<i64>) -> Self {
        let (host_offset_seconds, host_unknown) = match host {
            HostClock::Off(seconds) => (Some(seconds), None),
            HostClock::Unknown(why) => (None, Some(why)),
        };
        Self {
            host_offset_seconds,
            host_unknown,
            probes: u64::try_from(probes).unwrap_or(u64::MAX),
            probes_furthest_seconds: furthest_us.map(super::clocks::seconds),
        }
    }
}

/// What a look at everything found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DiagnosticsReport)]
pub struct Report {
    /// Who looked: a hub, or the command.
    pub(crate) by: String,
    /// When it began.
    pub(crate) started_at: DateTime<Utc>,
    /// When it ended.
    pub(crate) finished_at: DateTime<Utc>,
    /// How much was looked at.
    pub(crate) looked_at: LookedAt,
    /// How clocks are.
    pub(crate) clocks: Clocks,
    /// How many findings there are.
    pub(crate) total: u64,
    /// The same by rule; rules without any are left out.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) by_rule: Totals,
    /// The first 1,000 of them.
    pub(crate) findings: Vec<Finding>,
    /// What was put right before it, in words.
    pub(crate) repaired: Vec<String>,
    /// Whether results are forgotten by age, or were once: then fewer of them prove nothing.
    pub(crate) results_are_forgotten: bool,
}

impl Report {
    /// Reads what [`Report::json`] wrote.
    pub(crate) fn read(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// As JSON text on one line.
    ///
    /// # Errors
    /// None in practice.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// As indented JSON text, for people.
    ///
    /// # Errors
    /// None in practice.
    pub fn pretty_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.total == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LookedAt {
            users,
            probes,
            operations,
            assignments,
            results,
            ledger_entries,
            changed_meanwhile,
        } = self.looked_at;
        writeln!(
            f,
            "Looked at {users} users, {probes} probes, {operations} operations, {assignments} assignments, {results} results \
             and {ledger_entries} entries of ledgers, from {} to {}.",
            shown(self.started_at),
            shown(self.finished_at)
        )?;
        if changed_meanwhile > 0 {
            writeln!(
                f,
                "{changed_meanwhile} operations went on meanwhile; their ledgers are compared the next time."
            )?;
        }
        if self.results_are_forgotten {
            writeln!(
                f,
                "Results are forgotten by age, so that fewer of them are no finding."
            )?;
        }
        self.clocks.fmt(f)?;
        for line in &self.repaired {
            writeln!(f, "put right: {line}")?;
        }
        for finding in self.findings.iter().take(SHOWN) {
            writeln!(f, "{finding}")?;
        }
        if self.total > u64::try_from(SHOWN).unwrap_or(u64::MAX) {
            for (rule, count) in &self.by_rule {
                writeln!(f, "{:>8}  {}", count, rule.as_str())?;
            }
            writeln!(f, "The first {SHOWN} are shown; --json shows more.")?;
        }
        match self.total {
            0 => write!(f, "Everything is as it must be."),
            1 => write!(f, "1 finding."),
            total => write!(f, "{total} findings."),
        }
    }
}

impl fmt::Display for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host_offset_seconds, &self.host_unknown) {
            (Some(seconds), _) => writeln!(f, "The clock of this host is {seconds:+.6} s off.")?,
            (None, why) => writeln!(
                f,
                "How far the clock of this host is off is not known: {}.",
                why.as_deref().unwrap_or("nobody asked")
            )?,
        }
        match self.probes_furthest_seconds {
            Some(seconds) => writeln!(
                f,
                "The clocks of {} probes are known, the furthest is {seconds:+.6} s off.",
                self.probes
            ),
            None => writeln!(
                f,
                "No probe's clock is known: none has sent a result today."
            ),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.as_str())?;
        f.write_str(":")?;
        if let Some(user) = self.user {
            write!(f, " user {user}")?;
        }
        if let Some(operation) = self.operation {
            write!(f, " operation {operation}")?;
        }
        if let Some(probe) = self.probe {
            write!(f, " probe {probe}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.repairable {
            f.write_str(" (--repair may put it right)")?;
        }
        Ok(())
    }
}

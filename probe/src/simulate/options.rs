//! What a simulated fleet is told at start, checked: plain data.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use clap::ValueEnum;
use probe_protocol::Rejection;
use serde::Serialize;

use crate::{
    config::{HubUrl, Token},
    runner::Runner,
};

/// Most source addresses of a range: all of them are kept in a list.
const MOST_SOURCES: usize = 65_536;

/// What a fleet is told at start.
#[derive(Clone)]
pub struct Settings {
    /// Hubs; probes are spread over them in turn.
    pub hubs: Vec<HubUrl>,
    /// One probe for each.
    pub tokens: Vec<Token>,
    /// Whether hubs on other machines are meant.
    pub any_hub: bool,
    /// Which probes speak as agents of the replaced system.
    pub old: Share,
    /// Addresses that probes connect from; none is a choice by where the hubs are.
    pub sources: Option<Sources>,
    /// First connections a second; 0 is all at once.
    pub connect_rate: u32,
    /// When it ends by itself.
    pub length: Option<Duration>,
    /// How often probes come and go, and how well.
    pub weather: Weather,
    /// Which probes lie.
    pub liars: Share,
    /// How they lie; each liar has one way.
    pub lies: Vec<Lie>,
    /// When results are made.
    pub pace: Pace,
    /// Results that a probe may have under way; the hub's own limit counts where it is lower.
    pub window: usize,
    /// What makes real results; none is scripted ones.
    pub runner: Option<Arc<dyn Runner>>,
    /// The same number is the same decisions: who lies, which result is lost, when a probe leaves.
    pub seed: u64,
}

/// How often probes come and go, and how well they are connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Share of the probes that leave in a minute, and come back seconds later.
    pub churn: f64,
    /// How long everything takes that a probe says.
    pub latency: Duration,
    /// Share of the results that are lost with their connection at their first try.
    pub loss: Share,
    /// Which probes read one message a second at most.
    pub slow_readers: Share,
    /// How often all leave at once and come back at once.
    pub storm: Option<Duration>,
}

/// A part of all: 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

/// The text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 to 1")]
pub struct NotAShare;

impl Share {
    /// As a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// How many of so many, to the next whole one; one at least unless the share is 0.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        let exact = self.0 * all as f64;
        // Within 0 and `all`, which is a usize.
        let whole = exact.round() as usize;
        if self.0 > 0.0 {
            whole.clamp(1, all.max(1)).min(all)
        } else {
            0
        }
    }
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let number: f64 = text.parse().map_err(|_| NotAShare)?;
        (0.0..=1.0)
            .contains(&number)
            .then_some(Self(number))
            .ok_or(NotAShare)
    }
}

/// Addresses to connect from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(pub Vec<IpAddr>);

/// The text names no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be addresses or ranges of IPv4 addresses, as 127.0.0.2-127.0.0.9,127.0.1.1")]
pub struct NotSources;

impl FromStr for Sources {
    type Err = NotSources;

    fn from_str(text: &str) -> Result<Self, NotSources> {
        let mut all = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                None => all.push(part.trim().parse().map_err(|_| NotSources)?),
                Some((first, last)) => {
                    let [first, last] = [first, last].map(|one| one.trim().parse());
                    let (first, last): (std::net::Ipv4Addr, std::net::Ipv4Addr) = (
                        first.map_err(|_| NotSources)?,
                        last.map_err(|_| NotSources)?,
                    );
                    let (first, last) = (u32::from(first), u32::from(last));
                    let count = last.checked_sub(first).ok_or(NotSources)? as usize;
                    if count >= MOST_SOURCES {
                        return Err(NotSources);
                    }
                    all.extend((first..=last).map(|one| IpAddr::V4(one.into())));
                }
            }
        }
        Ok(Self(all))
    }
}

/// When results are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// As the schedule says.
    Schedule,
    /// All that the schedule plans, as fast as they are acknowledged.
    FlatOut,
}

/// Where results come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Results {
    /// Samples.
    Scripted,
    /// Measurements of this machine.
    Real,
}

/// A way to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Beside each result one of an operation that there is not; it must be refused.
    Forged,
    /// Contents that are not what they are called; they must be stored as they came.
    Garbled,
    /// Each result twice; both must be acknowledged, one stored.
    Duplicate,
    /// After each result one that was measured too late or is over the plan; it must be refused.
    Late,
    /// With each result a frame longer than the hub takes; it must end the session with code 1009.
    Oversized,
}

impl Lie {
    /// All ways.
    pub const ALL: &[Self] = &[
        Self::Forged,
        Self::Garbled,
        Self::Duplicate,
        Self::Late,
        Self::Oversized,
    ];

    /// Whether the hub must store what is sent.
    pub(super) const fn is_to_be_stored(self) -> bool {
        match self {
            Self::Garbled | Self::Duplicate => true,
            Self::Forged | Self::Late | Self::Oversized => false,
        }
    }

    /// Whether it may be refused for this.
    pub(super) const fn may_be_refused(self, reason: Rejection) -> bool {
        match self {
            Self::Forged => matches!(reason, Rejection::UnknownOperation | Rejection::NotAssigned),
            Self::Late => matches!(
                reason,
                Rejection::OverPlan | Rejection::AfterStop | Rejection::Cancelled
            ),
            // As honest ones: somebody cancelled the operation.
            Self::Garbled | Self::Duplicate => matches!(reason, Rejection::Cancelled),
            Self::Oversized => false,
        }
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forged => "forged",
            Self::Garbled => "garbled",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Oversized => "oversized",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_all() {
        let share = |text: &str| text.parse::<Share>();
        assert_eq!(share("0.1").map(|share| share.of(300)), Ok(30));
        assert_eq!(share("1").map(|share| share.of(7)), Ok(7));
        assert_eq!(share("0").map(|share| share.of(7)), Ok(0));
        // Who asks for liars gets one.
        assert_eq!(share("0.01").map(|share| share.of(7)), Ok(1));
        assert_eq!(share("0.5").map(|share| share.of(0)), Ok(0));
        for wrong in ["", "-0.1", "1.1", "10%", "nan", "inf"] {
            assert_eq!(share(wrong), Err(NotAShare), "{wrong}");
        }
    }

    #[test]
    fn sources_are_addresses_and_ranges() {
        let count = |text: &str| text.parse::<Sources>().map(|sources| sources.0.len());
        assert_eq!(count("127.0.0.2-127.0.0.9"), Ok(8));
        assert_eq!(count("127.0.0.2"), Ok(1));
        assert_eq!(count("::1,127.0.0.2-127.0.0.3"), Ok(3));
        for wrong in [
            "",
            "127.0.0.9-127.0.0.2",
            "127.0.0.2-",
            "here",
            "0.0.0.0-255.255.255.255",
            "::1-::2",
        ] {
            assert_eq!(count(wrong), Err(NotSources), "{wrong}");
        }
    }
}

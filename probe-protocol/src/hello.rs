//! The first frame of each end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Kind, OperationId, ProbeId, TargetPolicy};

/// The first frame of a probe: who it is and what it can do and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Name of the agent program, for people.
    pub agent: String,
    /// Version of the agent program, for people.
    pub version: String,
    /// Kinds of measurement this probe can run. Reading leaves out kinds this end does not know, so that a newer
    /// probe can serve an older hub.
    #[serde(deserialize_with = "known_kinds")]
    pub capabilities: Vec<Kind>,
    /// Credits it can have in use at the same time: the sum of one run's price over the operations it holds.
    pub total_credits: u32,
    /// Credits in use now.
    #[serde(default)]
    pub in_use_credits: u32,
    /// Assignments it holds, also those that ended and whose `finished` was not answered yet.
    #[serde(default)]
    pub assignments: Vec<OperationId>,
}

fn known_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Kind>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let known = |word: &String| Kind::ALL.iter().copied().find(|kind| kind.as_str() == word);
    Ok(words.iter().filter_map(known).collect())
}

/// The hub's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The probe, as the token says.
    pub probe: ProbeId,
    /// This session's number on this instance.
    pub session: u64,
    /// The instance that serves it.
    pub instance: String,
    /// The hub's clock.
    pub hub_time: DateTime<Utc>,
    /// What the probe must keep to.
    pub limits: Limits,
}

/// What the probe must keep to in this session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest frame the hub takes, bytes.
    pub max_frame: u32,
    /// Results that may be under way unanswered.
    pub max_unanswered: u32,
    /// The hub pings at least this often, seconds; a probe that hears nothing for twice this long reconnects.
    pub heartbeat_s: u32,
    /// Addresses a probe may measure, also after it resolved a name.
    pub target_policy: TargetPolicy,
}

//! Probes as the hub knows them.

use chrono::{DateTime, Utc};
use probe_protocol::{Kind, ProbeId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Invalid, fields::Fields};

/// The generation of a probe's first tokens.
pub(crate) const FIRST_GENERATION: u32 = 1;

/// Where a probe stands, degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    /// East is positive.
    #[schema(minimum = -180, maximum = 180, example = -58.37)]
    pub(crate) longitude: f64,
    /// North is positive.
    #[schema(minimum = -90, maximum = 90, example = -34.6)]
    pub(crate) latitude: f64,
}

/// A vantage point: an agent somewhere that measures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Probe {
    /// Identifier.
    pub(crate) id: ProbeId,
    /// Who hosts it and is rewarded.
    pub(crate) owner: UserId,
    /// For people.
    pub(crate) name: Option<String>,
    /// Where it stands.
    pub(crate) location: Location,
    /// Which token is valid: a token carries the generation it was made in, from [`FIRST_GENERATION`] on.
    pub(crate) token_generation: u32,
    /// When registered.
    pub(crate) created_at: DateTime<Utc>,
    /// When it last said hello.
    pub(crate) last_seen: Option<DateTime<Utc>>,
    /// What it said of itself at its last hello; none before the first.
    pub(crate) agent: Option<Agent>,
    /// Sum of one run's price over its unfinished assignments.
    pub(crate) load: i64,
    /// Results it sent that were not taken, since it was registered.
    pub(crate) refused_results: u64,
    /// How many sessions it has had; the newest has this number.
    pub(crate) sessions: u64,
}

/// What the hub knows of a probe while it is connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Presence {
    /// Credits that it says are in use.
    pub(crate) in_use: u32,
    /// Whether it left an operation unanswered that was handed to it; it gets no others until it answers.
    pub(crate) sick: bool,
}

/// What a probe's agent said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    /// Program.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Kinds it can run.
    pub(crate) capabilities: Vec<Kind>,
    /// Credits it can have in use.
    pub(crate) total_credits: u32,
}

impl Probe {
    /// Share of its credits that is free, 0 to 1; a sick probe has none.
    pub(crate) fn availability(&self, presence: Presence) -> f64 {
        let total = self.agent.as_ref().map_or(0, |agent| agent.total_credits);
        if total == 0 || presence.sick {
            return 0.0;
        }
        let in_use = self
            .load
            .max(i64::from(presence.in_use))
            .clamp(0, i64::from(total));
        1.0 - in_use as f64 / f64::from(total)
    }
}

/// What a user registers a probe with, or changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProbeCard {
    /// For people.
    pub(crate) name: Option<String>,
    /// Where it stands.
    pub(crate) location: Option<Location>,
}

/// Longest name, characters.
const LONGEST_NAME: usize = 100;

impl ProbeCard {
    /// Reads a registration: the location is required.
    pub(crate) fn for_registration(body: &Value) -> Result<(Option<String>, Location), Invalid> {
        let mut fields = Fields::of(body);
        let card = Self::read(&mut fields);
        if card.location.is_none() && body.get("location").is_none_or(Value::is_null) {
            fields.missing("location");
        }
        let read = card.location.map(|location| (card.name, location));
        fields.finish(read)
    }

    /// Reads a change: what is left out stays.
    pub(crate) fn for_change(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body);
        let card = Self::read(&mut fields);
        fields.finish(Some(card))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        let name: Option<String> = fields.optional("name");
        if let Some(name) = &name
            && (name.trim().is_empty()
                || name.chars().count() > LONGEST_NAME
                || name.chars().any(char::is_control))
        {
            fields.wrong(
                "name",
                format!(
                    "must have 1 to {LONGEST_NAME} characters, none of them control characters"
                ),
            );
        }
        let location = fields.nested("location", |fields| {
            let longitude = degrees(fields, "longitude", 180.0);
            let latitude = degrees(fields, "latitude", 90.0);
            Some(Location {
                longitude: longitude?,
                latitude: latitude?,
            })
        });
        Self { name, location }
    }
}

fn degrees(fields: &mut Fields<'_>, name: &'static str, most: f64) -> Option<f64> {
    let value: f64 = fields.required(name)?;
    if (-most..=most).contains(&value) {
        return Some(value);
    }
    fields.wrong(name, format!("must be a number from -{most} to {most}"));
    None
}

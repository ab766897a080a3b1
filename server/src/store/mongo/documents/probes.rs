//! Probes.

use bson::{DateTime as Date, Document, doc, oid::ObjectId};
use probe_protocol::Kind;
use serde::{Deserialize, Serialize};

use super::{date, time};
use crate::{
    domain::{Agent, Capacity, Limits, Location, Probe},
    store::Standing,
};

/// A place as GeoJSON has it (RFC 7946): longitude first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::store::mongo) struct Point {
    #[serde(rename = "type")]
    kind: PointWord,
    coordinates: (f64, f64),
}

/// The word `Point`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum PointWord {
    Point,
}

impl From<Location> for Point {
    fn from(location: Location) -> Self {
        Self {
            kind: PointWord::Point,
            coordinates: (location.longitude, location.latitude),
        }
    }
}

impl From<Point> for Location {
    fn from(point: Point) -> Self {
        let (longitude, latitude) = point.coordinates;
        Self {
            longitude,
            latitude,
        }
    }
}

/// What a probe's agent said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::store::mongo) struct AgentDoc {
    name: String,
    version: String,
    capabilities: Vec<Kind>,
    total_credits: u32,
}

impl From<&Agent> for AgentDoc {
    fn from(agent: &Agent) -> Self {
        Self {
            name: agent.name.clone(),
            version: agent.version.clone(),
            capabilities: agent.capabilities.clone(),
            total_credits: agent.total_credits,
        }
    }
}

impl From<AgentDoc> for Agent {
    fn from(document: AgentDoc) -> Self {
        Self {
            name: document.name,
            version: document.version,
            capabilities: document.capabilities,
            total_credits: document.total_credits,
        }
    }
}

/// A probe. Its load is not kept: it is the sum of what is open on it, and a counter here would make everybody who opens
/// or ends something on the same probe wait for each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct ProbeDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ObjectId,
    pub(in crate::store::mongo) owner: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) name: Option<String>,
    pub(in crate::store::mongo) location: Point,
    pub(in crate::store::mongo) token_generation: u32,
    pub(in crate::store::mongo) refused_results: i64,
    /// Documents of earlier versions have none.
    #[serde(default)]
    pub(in crate::store::mongo) sessions: i64,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) created_at: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) deleted_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "super::read_some_date")]
    pub(in crate::store::mongo) last_seen: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) agent: Option<AgentDoc>,
}

impl From<&Probe> for ProbeDoc {
    fn from(probe: &Probe) -> Self {
        Self {
            id: probe.id.object_id(),
            owner: probe.owner.object_id(),
            name: probe.name.clone(),
            location: probe.location.into(),
            token_generation: probe.token_generation,
            refused_results: i64::try_from(probe.refused_results).unwrap_or(i64::MAX),
            sessions: i64::try_from(probe.sessions).unwrap_or(i64::MAX),
            created_at: date(probe.created_at),
            deleted_at: None,
            last_seen: probe.last_seen.map(date),
            agent: probe.agent.as_ref().map(Into::into),
        }
    }
}

impl ProbeDoc {
    /// The probe, with the sum of what is open on it.
    pub(in crate::store::mongo) fn with_load(self, load: i64) -> Probe {
        Probe {
            id: self.id.into(),
            owner: self.owner.into(),
            name: self.name,
            location: self.location.into(),
            token_generation: self.token_generation,
            created_at: time(self.created_at),
            last_seen: self.last_seen.map(time),
            agent: self.agent.map(Into::into),
            load,
            refused_results: u64::try_from(self.refused_results).unwrap_or_default(),
            sessions: u64::try_from(self.sessions).unwrap_or_default(),
        }
    }
}

/// What is needed to know how much a probe can take.
#[derive(Debug, Deserialize)]
pub(in crate::store::mongo) struct CapacityDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ObjectId,
    pub(in crate::store::mongo) agent: Option<LimitsDoc>,
}

/// What an agent said that it can do.
#[derive(Debug, Deserialize)]
pub(in crate::store::mongo) struct LimitsDoc {
    capabilities: Vec<Kind>,
    total_credits: u32,
}

impl CapacityDoc {
    /// The fields of it.
    pub(in crate::store::mongo) fn fields() -> Document {
        doc! { "agent.capabilities": 1, "agent.total_credits": 1 }
    }

    /// The same with the sum of what is open on the probe.
    pub(in crate::store::mongo) fn with_load(self, load: i64) -> Capacity {
        Capacity {
            probe: self.id.into(),
            limits: self.agent.map(|said| Limits {
                capabilities: said.capabilities,
                total_credits: said.total_credits,
            }),
            load,
        }
    }
}

/// What is needed to know which session of a probe is good.
#[derive(Debug, Deserialize)]
pub(in crate::store::mongo) struct StandingDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    token_generation: u32,
    /// Documents of earlier versions have none.
    #[serde(default)]
    sessions: u64,
}

impl From<StandingDoc> for Standing {
    fn from(document: StandingDoc) -> Self {
        Self {
            probe: document.id.into(),
            token_generation: document.token_generation,
            sessions: document.sessions,
        }
    }
}

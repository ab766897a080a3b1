//! `/probes` and `/probes/me`.

use async_trait::async_trait;
use axum::{extract::State, http::StatusCode, response::Response};
use chrono::Utc;
use probe_protocol::{ProbeId, UserId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::{Http, auth::Caller, body::JsonBody, error::ApiError, limits::Gate, probes},
    Old, answer,
    error::OldError,
    stream::{self, Source},
};
use crate::{
    domain::{Invalid, Location, Presence, Probe, probe::ProbeCard},
    store::{NewProbe, Span},
};

/// Probes read from the store at a time.
const AT_ONCE: usize = 1000;

/// A probe in the old words: who it is and where it stands.
pub(super) fn view(probe: &Probe) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("identifier".to_owned(), json!(probe.id));
    map.insert("owner_id".to_owned(), json!(probe.owner));
    map.insert("location".to_owned(), json!(probe.location));
    map
}

/// `POST /probes`: 201 with the token the probe connects with.
pub(super) async fn register(
    State(http): State<Http>,
    Old(Caller(user)): Old<Caller>,
    Old(gate): Old<Gate>,
    Old(JsonBody(body)): Old<JsonBody>,
) -> Result<Response, OldError> {
    gate.creates(&user).await?;
    let at = |axis| body.get("location").and_then(|location| location.get(axis));
    let card = json!({ "location": { "longitude": at("longitude"), "latitude": at("latitude") } });
    let (name, location) = ProbeCard::for_registration(&card).map_err(wrong)?;
    let probe = NewProbe {
        owner: user.id,
        name,
        location,
        created_at: Utc::now(),
    };
    let probe = probes::create(&http, probe, None).await?;
    let token = probes::token_of(&http, &probe)?;
    Ok(answer(StatusCode::CREATED, json!({ "token": token })))
}

/// The longitude comes first where both are wrong.
fn wrong(Invalid(errors): Invalid) -> OldError {
    let is_longitude = |pointer: &str| pointer == "/location/longitude";
    OldError::bad(if errors.iter().any(|error| is_longitude(&error.pointer)) {
        "location.longitude is not a number"
    } else {
        "location.latitude is not a number"
    })
}

/// `GET /probes`: everyone's, oldest first. Nobody has to log in.
pub(super) async fn list(State(http): State<Http>) -> Result<Response, OldError> {
    stream::array(Probes::of(http, None)).await
}

/// `GET /probes/me`: the caller's, with their tokens.
pub(super) async fn mine(
    State(http): State<Http>,
    Old(Caller(user)): Old<Caller>,
) -> Result<Response, OldError> {
    stream::array(Probes::of(http, Some(user.id))).await
}

/// Probes, page by page.
struct Probes {
    http: Http,
    /// Whose; only an owner sees tokens.
    owner: Option<UserId>,
    last: Option<ProbeId>,
}

impl Probes {
    fn of(http: Http, owner: Option<UserId>) -> Self {
        Self {
            http,
            owner,
            last: None,
        }
    }

    fn item(&self, probe: &Probe, presence: Option<Presence>) -> Result<String, ApiError> {
        let token = match self.owner {
            Some(_) => Some(probes::token_of(&self.http, probe)?),
            None => None,
        };
        let Location {
            latitude,
            longitude,
        } = probe.location;
        Ok(serde_json::to_string(&Item {
            availability: presence.map(|presence| probe.availability(presence)),
            connected: presence.is_some(),
            identifier: probe.id,
            location: Place {
                latitude,
                longitude,
            },
            owner_id: probe.owner,
            token,
        })?)
    }
}

/// A probe of the list: members in the order of their names, as everything at the old paths. There may be thousands.
#[derive(Debug, Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<f64>,
    connected: bool,
    identifier: ProbeId,
    location: Place,
    owner_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Where it stands.
#[derive(Debug, Serialize)]
struct Place {
    latitude: f64,
    longitude: f64,
}

#[async_trait]
impl Source for Probes {
    async fn next(&mut self) -> Result<Vec<String>, ApiError> {
        let span = Span::After(self.last);
        let who = probes::who(&self.http);
        let store = &self.http.store;
        let probes = store.seen_probes(self.owner, span, AT_ONCE, who).await?;
        self.last = probes.last().map(|(probe, _)| probe.id).or(self.last);
        let pairs = probes.iter();
        pairs
            .map(|(probe, presence)| self.item(probe, *presence))
            .collect()
    }
}

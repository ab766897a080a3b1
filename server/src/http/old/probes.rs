//! `/probes` and `/probes/me`.

use async_trait::async_trait;
use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use chrono::Utc;
use futures::FutureExt as _;
use probe_protocol::{ProbeId, UserId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Http, auth::Caller, body::JsonBody, error::ApiError, limits::Gate, probes, sharing::Sharing,
    },
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
pub(super) async fn list(http: Http, pages: Pages) -> Result<Response, OldError> {
    stream::array(Probes::of(http, Whose::Everyones(pages))).await
}

/// `GET /probes/me`: the caller's, with their tokens.
pub(super) async fn mine(
    State(http): State<Http>,
    Old(Caller(user)): Old<Caller>,
) -> Result<Response, OldError> {
    stream::array(Probes::of(http, Whose::Of(user.id))).await
}

/// Some probes of a list.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// As JSON.
    items: Option<Bytes>,
    last: Option<ProbeId>,
}

/// Pages of everyone's probes, after the one that is named. Those who read them at the same time read the same ones: whoever
/// waited for a page together asks for the next one together.
pub(super) type Pages = Sharing<Option<ProbeId>, Result<Page, ApiError>>;

/// Probes, page by page.
struct Probes {
    http: Http,
    whose: Whose,
    last: Option<ProbeId>,
}

enum Whose {
    Everyones(Pages),
    /// Only an owner sees tokens.
    Of(UserId),
}

impl Probes {
    fn of(http: Http, whose: Whose) -> Self {
        Self {
            http,
            whose,
            last: None,
        }
    }
}

#[async_trait]
impl Source for Probes {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let (http, after) = (self.http.clone(), self.last);
        let page = match &self.whose {
            Whose::Of(owner) => page(http, Some(*owner), after).await?,
            Whose::Everyones(pages) => {
                let page = page(http, None, after).boxed();
                let failed = || ApiError::Internal("a page could not be made".to_owned());
                pages.get(after, page).await.ok_or_else(failed)??
            }
        };
        self.last = page.last;
        Ok(page.items)
    }
}

async fn page(http: Http, owner: Option<UserId>, after: Option<ProbeId>) -> Result<Page, ApiError> {
    let who = probes::who(&http);
    let span = Span::After(after);
    let probes = http.store.seen_probes(owner, span, AT_ONCE, who).await?;
    let mut items = Vec::new();
    for (probe, presence) in &probes {
        if !items.is_empty() {
            items.push(b',');
        }
        let token = owner.map(|_| probes::token_of(&http, probe)).transpose()?;
        serde_json::to_writer(&mut items, &Item::of(probe, *presence, token))?;
    }
    Ok(Page {
        last: probes.last().map(|(probe, _)| probe.id).or(after),
        items: (!items.is_empty()).then_some(items.into()),
    })
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

impl Item {
    fn of(probe: &Probe, presence: Option<Presence>, token: Option<String>) -> Self {
        let Location {
            latitude,
            longitude,
        } = probe.location;
        Self {
            availability: presence.map(|presence| probe.availability(presence)),
            connected: presence.is_some(),
            identifier: probe.id,
            location: Place {
                latitude,
                longitude,
            },
            owner_id: probe.owner,
            token,
        }
    }
}

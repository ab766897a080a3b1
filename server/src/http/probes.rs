//! `/api/v1/probes`: registering probes, seeing who is there, tokens.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use probe_protocol::{Kind, ProbeId, UserId};
use serde::Serialize;

use super::{
    Http,
    auth::Caller,
    body::{Idempotency, JsonBody, Page, Params, PathId},
    error::{ApiError, Problem},
    limits::Gate,
};
use crate::{
    bus::Event,
    domain::{Agent, Location, Presence, Probe, User, probe::ProbeCard},
    store::{IdempotencyKey, NewProbe, Span, Who},
    tokens::ProbeClaims,
    views::time,
};

/// A probe as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProbeView {
    id: ProbeId,
    owner: UserId,
    name: Option<String>,
    location: Location,
    #[serde(serialize_with = "time::write")]
    created_at: DateTime<Utc>,
    /// When it last connected.
    #[serde(serialize_with = "time::write_some")]
    last_seen: Option<DateTime<Utc>>,
    connected: bool,
    /// Share of its credits that is free, 0 to 1; only while it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<f64>,
    /// Whether it is connected and leaves an operation unanswered; it gets no others meanwhile.
    sick: bool,
    /// Results it sent that were not taken: of operations that were not its own, that had ended, beyond the plan.
    refused_results: u64,
    /// What it said of itself when it last connected.
    agent: Option<AgentView>,
}

/// What a probe's agent said of itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AgentView {
    name: String,
    version: String,
    /// Kinds it can run.
    capabilities: Vec<Kind>,
    /// Credits it can have in use at the same time.
    total_credits: u32,
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> Self {
        let Agent {
            name,
            version,
            capabilities,
            total_credits,
        } = agent;
        Self {
            name,
            version,
            capabilities,
            total_credits,
        }
    }
}

impl ProbeView {
    fn of(probe: Probe, presence: Option<Presence>) -> Self {
        let availability = presence.map(|presence| probe.availability(presence));
        let Probe {
            id,
            owner,
            name,
            location,
            created_at,
            last_seen,
            agent,
            refused_results,
            ..
        } = probe;
        let agent = agent.map(AgentView::from);
        Self {
            id,
            owner,
            name,
            location,
            created_at,
            last_seen,
            connected: presence.is_some(),
            availability,
            sick: presence.is_some_and(|presence| presence.sick),
            refused_results,
            agent,
        }
    }
}

/// A probe with the token it connects with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProbeWithToken {
    probe: ProbeView,
    /// What the agent connects with; valid until it is rotated or the probe is deleted.
    token: String,
}

/// What a probe is registered with or changed to; a change leaves out what stays.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct ProbeBody {
    /// For people.
    #[schema(min_length = 1, max_length = 100, example = "lab, second floor")]
    name: Option<String>,
    location: Location,
}

/// A change of a probe.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct ProbeChangeBody {
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    location: Option<Location>,
}

/// Registers a probe; both faces do.
pub(crate) async fn create(
    http: &Http,
    probe: NewProbe,
    key: Option<IdempotencyKey>,
) -> Result<Probe, ApiError> {
    let store = http.store.clone();
    let created = super::to_its_end(async move { store.create_probe(probe, key).await }).await??;
    Ok(created.into_inner())
}

/// The token that a probe connects with.
pub(crate) fn token_of(http: &Http, probe: &Probe) -> Result<String, ApiError> {
    Ok(http.tokens.for_probe(ProbeClaims {
        identifier: probe.id,
        generation: probe.token_generation,
    })?)
}

fn with_token(http: &Http, probe: Probe) -> Result<Json<ProbeWithToken>, ApiError> {
    let token = token_of(http, &probe)?;
    Ok(Json(ProbeWithToken {
        probe: seen(http, probe),
        token,
    }))
}

fn seen(http: &Http, probe: Probe) -> ProbeView {
    let presence = http.roster.presence(&[probe.id]).pop().flatten();
    ProbeView::of(probe, presence)
}

/// The caller's own probe, or any for a superuser; others learn nothing of it.
async fn own(http: &Http, user: &User, id: ProbeId) -> Result<Probe, ApiError> {
    let probe = http.store.probe(id).await?.ok_or(ApiError::NotFound)?;
    if user.may_read(probe.owner) {
        Ok(probe)
    } else {
        Err(ApiError::Forbidden)
    }
}

/// Registers a probe. The token is shown here and when it is rotated, never again.
#[utoipa::path(post, operation_id = "register_probe", path = "/api/v1/probes", tag = "probes",
    security(("token" = [])), request_body = ProbeBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200)),
    responses((status = 201, body = ProbeWithToken,
            links(("show" = (operation_id = "show_probe", parameters(("id" = "$response.body#/probe/id")))))),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 408, response = Problem),
        (status = 409, response = Problem), (status = 413, response = Problem), (status = 429, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn register(
    State(http): State<Http>,
    Caller(user): Caller,
    gate: Gate,
    idempotency: Idempotency,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<ProbeWithToken>), ApiError> {
    gate.creates(&user).await?;
    let (name, location) = ProbeCard::for_registration(&body)?;
    let probe = NewProbe {
        owner: user.id,
        name,
        location,
        created_at: Utc::now(),
    };
    let key = idempotency.of(user.id, "probe", &body);
    let probe = create(&http, probe, key).await?;
    Ok((StatusCode::CREATED, with_token(&http, probe)?))
}

/// Probes, newest first.
#[utoipa::path(get, operation_id = "list_probes", path = "/api/v1/probes", tag = "probes",
    security(("token" = [])),
    params(("mine" = Option<bool>, Query, description = "only the caller's"),
        ("connected" = Option<bool>, Query, description = "true: only those that are connected"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = Page<ProbeView>),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn list(
    State(http): State<Http>,
    Caller(user): Caller,
    mut params: Params,
) -> Result<Json<Page<ProbeView>>, ApiError> {
    let (limit, before) = (params.limit(), params.cursor::<ProbeId>());
    let owner = params.flag("mine").unwrap_or(false).then_some(user.id);
    let connected = params.flag("connected").unwrap_or(false);
    params.finish()?;
    let probes = if connected {
        let probes = connected_page(&http, owner, before, limit + 1).await?;
        let ids: Vec<ProbeId> = probes.iter().map(|probe| probe.id).collect();
        let presences = http.roster.presence(&ids);
        probes.into_iter().zip(presences).collect()
    } else {
        http.store
            .seen_probes(owner, Span::Before(before), limit + 1, who(&http))
            .await?
    };
    Ok(Json(Page::of(
        probes,
        limit,
        |(probe, _)| probe.id.to_string(),
        |(probe, presence)| ProbeView::of(probe, presence),
    )))
}

/// What the roster knows.
pub(crate) fn who(http: &Http) -> Who {
    let roster = http.roster.clone();
    Arc::new(move |ids| roster.presence(ids))
}

/// Who is connected is known to the roster, not to the store: it names the page's probes.
async fn connected_page(
    http: &Http,
    owner: Option<UserId>,
    before: Option<ProbeId>,
    limit: usize,
) -> Result<Vec<Probe>, ApiError> {
    let connected = http.roster.connected();
    let ids = connected
        .into_iter()
        .filter(|id| before.is_none_or(|before| *id < before));
    // Whose they are is known to the store, so all of them are asked for where it matters.
    let ids = if owner.is_none() {
        ids.take(limit).collect()
    } else {
        ids.collect()
    };
    let mut probes = http.store.probes_by_id(ids).await?;
    probes.retain(|probe| owner.is_none_or(|owner| probe.owner == owner));
    probes.sort_unstable_by_key(|probe| std::cmp::Reverse(probe.id));
    probes.truncate(limit);
    Ok(probes)
}

/// One probe.
#[utoipa::path(get, operation_id = "show_probe", path = "/api/v1/probes/{id}", tag = "probes",
    security(("token" = [])), params(("id" = ProbeId, Path)),
    responses((status = 200, body = ProbeView),
        (status = 401, response = Problem), (status = 404, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn show(
    State(http): State<Http>,
    PathId(id): PathId<ProbeId>,
    Caller(_user): Caller,
) -> Result<Json<ProbeView>, ApiError> {
    let probe = http.store.probe(id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(seen(&http, probe)))
}

/// Changes a probe of the caller.
#[utoipa::path(patch, operation_id = "change_probe", path = "/api/v1/probes/{id}", tag = "probes",
    security(("token" = [])), params(("id" = ProbeId, Path)),
    request_body = ProbeChangeBody,
    responses((status = 200, body = ProbeView),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem), (status = 408, response = Problem), (status = 413, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn change(
    State(http): State<Http>,
    PathId(id): PathId<ProbeId>,
    Caller(user): Caller,
    JsonBody(body): JsonBody,
) -> Result<Json<ProbeView>, ApiError> {
    let card = ProbeCard::for_change(&body)?;
    let probe = own(&http, &user, id).await?;
    let changed = http
        .store
        .change_probe(probe.id, card)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok(Json(seen(&http, changed)))
}

/// Deletes a probe of the caller: its session ends, what it had not done is given back to those who asked.
#[utoipa::path(delete, operation_id = "delete_probe", path = "/api/v1/probes/{id}", tag = "probes",
    security(("token" = [])), params(("id" = ProbeId, Path)),
    responses((status = 204),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn delete(
    State(http): State<Http>,
    PathId(id): PathId<ProbeId>,
    Caller(user): Caller,
) -> Result<StatusCode, ApiError> {
    let probe = own(&http, &user, id).await?;
    if http.launch.delete_probe(probe.id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
}

/// Makes a new token; the old one is dead at once, its session ends.
#[utoipa::path(post, operation_id = "rotate_token", path = "/api/v1/probes/{id}/token", tag = "probes",
    security(("token" = [])), params(("id" = ProbeId, Path)),
    responses((status = 201, body = ProbeWithToken),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn rotate(
    State(http): State<Http>,
    PathId(id): PathId<ProbeId>,
    Caller(user): Caller,
) -> Result<(StatusCode, Json<ProbeWithToken>), ApiError> {
    let probe = own(&http, &user, id).await?;
    let (store, bus) = (http.store.clone(), http.bus.clone());
    let rotated = super::to_its_end(async move {
        let rotated = store.rotate_token(probe.id).await;
        if matches!(rotated, Ok(Some(_))) {
            bus.publish(Event::Revoked(probe.id));
        }
        rotated
    });
    let rotated = rotated.await??.ok_or(ApiError::NotFound)?;
    Ok((StatusCode::CREATED, with_token(&http, rotated)?))
}

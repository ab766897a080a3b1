//! The edge: the table of routes, the layers around them, and what handlers share.
//!
//! A handler extracts, calls, shapes. It holds no rule: those are in `domain`, and what a request writes goes through
//! `launch` or straight to one store method.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use ipnet::IpNet;
use probe_protocol::TargetPolicy;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::MapRequest;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    bus::{Bus, InstanceId},
    dispatch::Dispatch,
    ingest::{Inbox, WeakInbox},
    launch::Launch,
    live::LiveHub,
    names::Names,
    passwords::Passwords,
    roster::Roster,
    session::Lingering,
    store::Store,
    throttle::Throttle,
    tokens::Tokens,
};

pub(crate) mod access;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod cors;
pub(crate) mod diagnostics;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod limits;
pub(crate) mod metrics;
pub(crate) mod old;
pub(crate) mod operations;
pub(crate) mod probes;
pub(crate) mod results;
pub(crate) mod sharing;
pub(crate) mod users;

use error::ApiError;
use sharing::Sharing;

/// Longest a request may take until its answer starts. Streams and websockets go on after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest path and query of a request, bytes: twenty times the longest of ours, which has a token in it.
const LONGEST_URL: usize = 8192;

/// What handlers share. A cheap handle.
pub(crate) type Http = Arc<Shared>;

/// What handlers share.
pub(crate) struct Shared {
    /// Where truth is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Who wants to know.
    pub(crate) bus: Arc<dyn Bus>,
    /// Who is connected.
    pub(crate) roster: Roster,
    /// The way down.
    pub(crate) dispatch: Dispatch,
    /// Creates and cancels operations.
    pub(crate) launch: Launch,
    /// Who watches.
    pub(crate) live: LiveHub,
    /// Signs and verifies tokens.
    pub(crate) tokens: Tokens,
    /// Hashes passwords.
    pub(crate) passwords: Passwords,
    /// How often someone may try something; `None` is as often as they like.
    pub(crate) throttle: Option<Throttle>,
    /// Whose word on who is calling counts.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whose pages may call.
    pub(crate) origins: cors::Origins,
    /// Whether the hub itself speaks TLS, and nothing else.
    pub(crate) by_tls: bool,
    /// Which addresses may be measured.
    pub(crate) target_policy: TargetPolicy,
    /// Resolves names for old agents, if the hub does that.
    pub(crate) names: Option<Names>,
    /// Whether everyone may read an operation at its old path.
    pub(crate) public_operations: bool,
    /// Whether everything may be deleted at once.
    pub(crate) is_expendable: bool,
    /// Whether metrics are served at an address of their own.
    pub(crate) metrics_elsewhere: bool,
    /// This process.
    pub(crate) instance: InstanceId,
    /// Cancelled when the hub stops.
    pub(crate) stop: CancellationToken,
    /// Every session holds a token of it.
    pub(crate) sessions: TaskTracker,
    /// Turns of probes that are settled.
    pub(crate) settling: Arc<Semaphore>,
    /// Room for sessions without a place.
    pub(crate) lingering: Lingering,
    /// Room for streams.
    pub(crate) streams: Arc<Semaphore>,
    /// Ingest, as long as the hub runs: handlers must not keep it alive when it stops.
    pub(crate) inbox: WeakInbox,
}

impl Shared {
    /// Where sessions put what they hear; `None` while the hub stops.
    pub(crate) fn inbox(&self) -> Option<Inbox> {
        self.inbox.upgrade().filter(|_| !self.stop.is_cancelled())
    }
}

/// Everything that is served, and its description.
pub(crate) fn router(http: Http) -> Router {
    let served = if http.metrics_elsewhere {
        with_health()
    } else {
        routes()
    };
    let (router, mut api) = served.split_for_parts();
    describe_answers(&mut api);
    // Its validator would be somebody else's server.
    let documentation = SwaggerUi::new("/documentation")
        .url("/api/openapi.json", api)
        .config(Config::default().validator_url("none"));
    let served = router
        .layer(middleware::from_fn_with_state(
            Sharing::default(),
            sharing::answer,
        ))
        .merge(connect::routes())
        .merge(documentation)
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(|_| panicked().into_response()))
        .merge(old::routes())
        .layer(middleware::from_fn(limits::tell))
        .layer(middleware::from_fn_with_state(http.clone(), cors::allow))
        .layer(middleware::from_fn_with_state(
            http.clone(),
            headers::protect,
        ))
        .layer(middleware::from_fn(access::record))
        .with_state(http);
    // Around the router, because a layer of its own comes after it has looked at the path.
    Router::new().fallback_service(MapRequest::new(served, old::one_slash))
}

/// The description of the API, OpenAPI 3.1.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = routes().into_openapi();
    describe_answers(&mut api);
    api
}

/// OpenAPI wants a description of every answer; where there is nothing to say, it is the status in words.
fn describe_answers(api: &mut utoipa::openapi::OpenApi) {
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    let status = status
                        .parse()
                        .ok()
                        .and_then(|code| axum::http::StatusCode::from_u16(code).ok());
                    let reason = status.and_then(|status| status.canonical_reason());
                    response.description = reason.unwrap_or("Error").to_owned();
                }
            }
        }
    }
}

/// What is served at METRICS_ADDRESS.
pub(crate) fn watch_router(http: Http) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn(access::record))
        .with_state(http)
}

fn routes() -> OpenApiRouter<Http> {
    with_health().routes(routes!(metrics::show))
}

/// Without metrics, which may have an address of their own.
fn with_health() -> OpenApiRouter<Http> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(users::register))
        .routes(routes!(users::log_in))
        .routes(routes!(users::me))
        .routes(routes!(users::ledger))
        .routes(routes!(users::grant))
        .routes(routes!(probes::register, probes::list))
        .routes(routes!(probes::show, probes::change, probes::delete))
        .routes(routes!(probes::rotate))
        .routes(routes!(operations::create, operations::list))
        .routes(routes!(operations::show, operations::cancel))
        .routes(routes!(results::list))
        .routes(routes!(results::raw))
        .routes(routes!(events::stream))
        .routes(routes!(diagnostics::show))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Pladmed", description = "Schedules measurements on probes and keeps their results."),
    components(responses(error::Problem)),
    modifiers(&Security)
)]
struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Answers for a handler that takes too long, and for one whose URL is.
async fn in_time(request: Request<Body>, next: Next) -> Response {
    if let Err(error) = short(&request) {
        return error.into_response();
    }
    let answer = timeout(ANSWER_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|_| took_too_long().into_response())
}

/// Holds a request's URL to its length.
fn short<B>(request: &Request<B>) -> Result<(), ApiError> {
    let url = request.uri().path_and_query();
    match url {
        Some(url) if url.as_str().len() > LONGEST_URL => Err(ApiError::UrlTooLong(LONGEST_URL)),
        _ => Ok(()),
    }
}

fn took_too_long() -> ApiError {
    ApiError::Busy("this took too long; try again")
}

fn panicked() -> ApiError {
    ApiError::Internal("a handler panicked".into())
}

/// Runs a write in a task of its own, so that a client that goes away cannot drop it half-way.
pub(crate) async fn to_its_end<T: Send + 'static>(
    write: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(write.in_current_span())
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))
}

//! The old paths: what a frontend of the system that this one replaces asks for, at the root and below `/api`.
//!
//! This module translates and holds no rule of its own: bodies become those of version 1, which `domain` judges, what is
//! done is done by the functions that version 1 calls too, and what comes out is put in the old words. Where the old
//! words cannot say what happened, they say the nearest thing and the status is right.

use std::any::Any;

use axum::{
    Router,
    body::Body,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post},
};
use probe_protocol::Kind;
use serde_json::Value;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    ANSWER_WITHIN, Http, auth::Caller, body::JsonBody, error::ApiError, limits::Gate, short,
    to_its_end, took_too_long,
};
use crate::bus::Event;
use error::OldError;
use probes::Pages;

mod accounts;
mod error;
mod operations;
mod probes;
mod stream;

/// All old paths, each at the root and below `/api`, where proxies that strip nothing have it.
pub(crate) fn routes() -> Router<Http> {
    let (mut router, pages) = (Router::new(), Pages::default());
    for prefix in ["", "/api"] {
        for (path, methods) in table(&pages) {
            router = router.route(&format!("{prefix}{path}"), methods);
        }
    }
    router
        .method_not_allowed_fallback(async || OldError::from(ApiError::MethodNotAllowed))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(panicked))
}

fn table(pages: &Pages) -> [(&'static str, MethodRouter<Http>); 13] {
    let pages = pages.clone();
    let all_probes = async move |State(http)| probes::list(http, pages.clone()).await;
    [
        (
            "/register",
            takes("OPTIONS, POST", post(accounts::register)),
        ),
        ("/login", takes("OPTIONS, POST", post(accounts::log_in))),
        ("/users/me", takes("GET, HEAD, OPTIONS", get(accounts::me))),
        ("/credits", takes("OPTIONS, POST", post(accounts::grant))),
        (
            "/probes",
            takes(
                "GET, HEAD, OPTIONS, POST",
                get(all_probes).post(probes::register),
            ),
        ),
        ("/probes/me", takes("GET, HEAD, OPTIONS", get(probes::mine))),
        ("/traceroute", measures(Kind::Traceroute)),
        ("/ping", measures(Kind::Ping)),
        ("/dns", measures(Kind::Dns)),
        (
            "/operation",
            takes("GET, HEAD, OPTIONS", get(operations::show)),
        ),
        (
            "/operations",
            takes("GET, HEAD, OPTIONS", get(operations::list)),
        ),
        (
            "/operations/me",
            takes("GET, HEAD, OPTIONS", get(operations::mine)),
        ),
        ("/delete_all", takes("DELETE, OPTIONS", delete(delete_all))),
    ]
}

/// A path that also says which methods it takes.
fn takes(allowed: &'static str, methods: MethodRouter<Http>) -> MethodRouter<Http> {
    methods.options(async move || [(header::ALLOW, HeaderValue::from_static(allowed))])
}

/// The path at which one kind of operation is asked for.
fn measures(kind: Kind) -> MethodRouter<Http> {
    let create = async move |State(http): State<Http>,
                             Old(Caller(user)): Old<Caller>,
                             Old(gate): Old<Gate>,
                             Old(JsonBody(body)): Old<JsonBody>| {
        gate.creates(&user).await?;
        operations::create(&http, &user, kind, &body).await
    };
    takes("OPTIONS, POST", post(create))
}

/// An extractor of version 1 that fails in the old words.
struct Old<E>(E);

impl<E: FromRequestParts<Http, Rejection = ApiError>> FromRequestParts<Http> for Old<E> {
    type Rejection = OldError;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, OldError> {
        Ok(Self(E::from_request_parts(parts, http).await?))
    }
}

impl FromRequest<Http> for Old<JsonBody> {
    type Rejection = OldError;

    async fn from_request(request: Request<Body>, http: &Http) -> Result<Self, OldError> {
        Ok(Self(JsonBody::from_request(request, http).await?))
    }
}

/// An answer: JSON on one line, keys sorted at every level, a newline at the end.
fn answer(status: StatusCode, value: Value) -> Response {
    let text = compact(value) + "\n";
    (status, [(header::CONTENT_TYPE, JSON)], text).into_response()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON on one line, keys sorted at every level.
fn compact(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}

/// Deletes everything, where nothing is worth keeping; elsewhere there is no such path. Nobody has to log in.
async fn delete_all(State(http): State<Http>) -> Result<StatusCode, OldError> {
    if !http.is_expendable {
        return Ok(StatusCode::NOT_FOUND);
    }
    let (store, bus) = (http.store.clone(), http.bus.clone());
    to_its_end(async move {
        let probes = store.delete_all().await?;
        tracing::info!(probes = probes.len(), "everything was deleted");
        for probe in probes {
            bus.publish(Event::Revoked(probe));
        }
        Ok::<_, ApiError>(())
    })
    .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers for a handler that takes too long, and for one whose URL is, in the old words.
async fn in_time(request: Request<Body>, next: Next) -> Response {
    if let Err(error) = short(&request) {
        return OldError::from(error).into_response();
    }
    let answer = timeout(ANSWER_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|_| OldError::from(took_too_long()).into_response())
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    OldError::from(super::panicked()).into_response()
}

/// A path that begins with several slashes as if it began with one: proxies that are set up as the old system's pages
/// say make such paths.
pub(crate) fn one_slash<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    if uri.path().starts_with("//") {
        let path = uri.path().trim_start_matches('/');
        let query = uri.query().map(|query| format!("?{query}"));
        let rewritten = format!("/{path}{}", query.unwrap_or_default());
        let mut parts = uri.clone().into_parts();
        // What is left of a path is a path.
        parts.path_and_query = rewritten.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

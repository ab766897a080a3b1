//! `/healthz` and `/readyz`, for load balancers and supervisors.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    Http,
    error::{ApiError, Problem},
};
use crate::store::StoreError;

/// Longest the store may take to say that it is there.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// How the hub is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// This process; another one after a restart.
    instance: String,
    version: &'static str,
}

/// The process runs.
#[utoipa::path(get, operation_id = "is_alive", path = "/healthz", tag = "health",
    responses((status = 200, body = Health)))]
pub(crate) async fn alive(State(http): State<Http>) -> Json<Health> {
    Json(Health {
        status: "ok",
        instance: http.instance.to_string(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The hub can serve: it is not stopping and its store answers.
#[utoipa::path(get, operation_id = "is_ready", path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, response = Problem)))]
pub(crate) async fn ready(State(http): State<Http>) -> Result<Json<Health>, ApiError> {
    if http.stop.is_cancelled() {
        return Err(ApiError::Busy("the hub is stopping"));
    }
    let late = || StoreError::Unavailable("it did not answer in time".into());
    timeout(PING_WITHIN, http.store.ping())
        .await
        .map_err(|_| late())??;
    Ok(alive(State(http)).await)
}

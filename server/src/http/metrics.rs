//! `/metrics`: everything that is counted and measured, for Prometheus.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
};

use super::Http;
use crate::metrics;

/// Version 0.0.4 of the text format, which all versions of Prometheus read.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the hub counts and measures, as Prometheus reads it.
#[utoipa::path(get, operation_id = "metrics", path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub(crate) async fn show(State(http): State<Http>) -> ([(HeaderName, HeaderValue); 1], String) {
    let sessions = http.roster.registry().sessions();
    let waiting = sessions.iter().map(|session| session.waiting());
    let (sum, most) = waiting.fold((0, 0), |(sum, most), frames| {
        (sum + frames, most.max(frames))
    });
    metrics::outboxes(sum, most);
    ([(header::CONTENT_TYPE, TEXT)], metrics::text())
}

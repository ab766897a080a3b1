//! `/api/v1/admin/diagnostics`: what was found when everything was looked at last.

use axum::{Json, extract::State};

use super::{
    Http,
    auth::Admin,
    error::{ApiError, Problem},
};
use crate::diagnosis::{self, Report};

/// The newest report on the database, made once a day by one of the hubs. For superusers.
#[utoipa::path(get, operation_id = "show_diagnostics", path = "/api/v1/admin/diagnostics", tag = "admin",
    security(("token" = [])),
    responses((status = 200, body = Report),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn show(
    State(http): State<Http>,
    _admin: Admin,
) -> Result<Json<Report>, ApiError> {
    let report = diagnosis::newest(&*http.store).await?;
    report.map(Json).ok_or(ApiError::NotFound)
}

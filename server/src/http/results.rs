//! `/api/v1/operations/{id}/results`: results by number, as pages, as lines, raw.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use probe_protocol::{ContentFormat, OperationId};
use serde::Serialize;

use super::{
    Http,
    auth::Caller,
    body::{MOST_LIMIT, Params, PathId, PathSeq},
    error::{ApiError, Problem},
    operations::{allowed, readable},
};
use crate::{
    store::{ResultRow, Store, StoreError},
    views::ResultView,
};

/// Bytes of documents after which a page ends, whatever its limit.
pub(crate) const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A page of results.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ResultPage<'a> {
    /// Results in the order of their numbers.
    items: Vec<ResultView<'a>>,
    /// What to ask `after` for the next page; none where these are the newest.
    next: Option<u64>,
}

/// Results of an operation, oldest first. With `Accept: application/x-ndjson` all of them, one a line.
#[utoipa::path(get, operation_id = "list_results", path = "/api/v1/operations/{id}/results", tag = "results",
    security(("token" = [])),
    params(("id" = OperationId, Path),
        ("after" = Option<u64>, Query, format = "uint64", description = "only results with a larger number"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "of a page; lines have no limit unless given")),
    responses((status = 200, content((ResultPage = "application/json"), (String = "application/x-ndjson"))),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn list(
    State(http): State<Http>,
    PathId(id): PathId<OperationId>,
    Caller(user): Caller,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, ApiError> {
    let lines = wants_lines(&headers);
    let after = params.optional("after", "a number").unwrap_or(0);
    let most = if lines {
        params.optional("limit", "a number")
    } else {
        Some(params.limit())
    };
    params.finish()?;
    if lines {
        readable(&http, &user, id).await?;
        let body = Body::from_stream(lines_of(http, id, after, most.unwrap_or(usize::MAX)));
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response());
    }
    let limit = most.unwrap_or(MOST_LIMIT);
    let found = http
        .store
        .operation_with_results(id, user.limited_to(), after, limit, PAGE_BYTES)
        .await?;
    let (operation, rows) = found.ok_or(ApiError::NotFound)?;
    let operation = allowed(&user, operation)?;
    let last = rows.last().map(|row| row.seq);
    let next = last.filter(|last| *last < operation.last_seq);
    Ok(Json(ResultPage {
        items: views(id, &rows)?,
        next,
    })
    .into_response())
}

fn views(id: OperationId, rows: &[ResultRow]) -> Result<Vec<ResultView<'_>>, ApiError> {
    Ok(rows
        .iter()
        .map(|row| ResultView::of(id, row))
        .collect::<Result<_, _>>()?)
}

/// Whether all results are wanted, one a line.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    accept.split(',').any(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/x-ndjson")
    })
}

/// Rows read from the store at a time while lines are streamed.
const LINES_AT_ONCE: usize = 500;

/// The results that exist now, page by page, as lines; a client that reads slowly costs one page of memory.
fn lines_of(
    http: Http,
    id: OperationId,
    after: u64,
    most: usize,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold((http, after, most), move |(http, after, most)| async move {
        let rows = http
            .store
            .results(id, after, LINES_AT_ONCE.min(most), PAGE_BYTES)
            .await?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            return Ok(None);
        };
        let mut text = Vec::new();
        for row in &rows {
            let written =
                ResultView::of(id, row).and_then(|view| serde_json::to_writer(&mut text, &view));
            written.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            text.push(b'\n');
        }
        let left = most.saturating_sub(rows.len());
        Ok(Some((Bytes::from(text), (http, last, left))))
    })
}

/// The raw content of one result, as the probe sent it: a warts file, compressed text or JSON.
#[utoipa::path(get, operation_id = "show_raw_result", path = "/api/v1/operations/{id}/results/{seq}/raw", tag = "results",
    security(("token" = [])),
    params(("id" = OperationId, Path), ("seq" = u64, Path, format = "uint64")),
    responses((status = 200, content((String = "application/octet-stream"), (String = "application/gzip"), (serde_json::Value = "application/json"))),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn raw(
    State(http): State<Http>,
    PathId(id): PathId<OperationId>,
    PathSeq(seq): PathSeq,
    Caller(user): Caller,
) -> Result<Response, ApiError> {
    let operation = readable(&http, &user, id).await?;
    let (format, bytes) = http
        .store
        .raw(operation.plan.id, seq)
        .await?
        .ok_or(ApiError::NotFound)?;
    let (kind, ending) = match format {
        ContentFormat::Warts => ("application/octet-stream", "warts"),
        ContentFormat::Gzip => ("application/gzip", "txt.gz"),
        ContentFormat::Json => ("application/json", "json"),
    };
    let name = format!(
        "attachment; filename=\"{}-{seq}.{ending}\"",
        operation.plan.id
    );
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Results after a number, for streams.
pub(crate) async fn after(
    store: &dyn Store,
    id: OperationId,
    after: u64,
) -> Result<Vec<ResultRow>, StoreError> {
    store.results(id, after, LINES_AT_ONCE, PAGE_BYTES).await
}

//! `/api/v1/operations/{id}/events`: an operation as it happens, as server-sent events.
//!
//! Results come from the store up to now, then live; every result carries its number as the event's id, so that a client
//! that comes back with `Last-Event-ID` goes on exactly there. Live events are hints: a number that does not follow the
//! last one sent sends the stream back to the store.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use probe_protocol::{OperationId, ProbeId};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    Http,
    auth::Caller,
    body::{Params, PathId},
    error::{ApiError, Problem},
    operations::{detail, readable},
    results,
};
use crate::{
    domain::{AssignmentState, Invalid},
    live::{Live, Subscription},
    store::StoreError,
    views::ResultView,
};

/// Streams open at the same time: each costs a socket and some kilobytes.
pub(crate) const MOST_STREAMS: usize = 4096;
/// A comment is sent after so much silence, so that proxies keep the connection and dead ones are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Data of an `assignment` event.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AssignmentEvent {
    probe: ProbeId,
    state: AssignmentState,
}

/// An operation as it happens: `operation` first (as GET of it answers), then `result` events with their number as id,
/// `assignment` when a state changes, and `end` after the last result once all assignments have ended.
#[utoipa::path(get, operation_id = "stream_events", path = "/api/v1/operations/{id}/events", tag = "results",
    security(("token" = [])),
    params(("id" = OperationId, Path),
        ("after" = Option<u64>, Query, format = "uint64", description = "only results with a larger number"),
        ("Last-Event-ID" = Option<u64>, Header, format = "uint64", description = "the same, as browsers send it when they reconnect")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn stream(
    State(http): State<Http>,
    PathId(id): PathId<OperationId>,
    Caller(user): Caller,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let after = params.optional("after", "a number");
    params.finish()?;
    let after = last_event_id(&headers)?.or(after).unwrap_or(0);
    let permit = http
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| ApiError::Busy("too many streams"))?;
    let operation = readable(&http, &user, id).await?;
    let id = operation.plan.id;
    // Subscribed before anything is read, so that nothing falls between.
    let live = http.live.subscribe(id);
    let ended = operation.ended_at.is_some();
    let first = event("operation", &detail(&http, operation).await?)?;
    let stop = http.stop.clone();
    let watcher = Watcher {
        http,
        id,
        last: after,
        live,
        ready: VecDeque::from([first]),
        behind: true,
        ended,
        over: false,
        stop,
        _permit: permit,
    };
    Ok(Sse::new(stream::unfold(watcher, Watcher::step))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers
        .get("last-event-id")
        .filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Invalid::one("Last-Event-ID", "must be a number").into())
}

fn event(name: &str, data: &impl Serialize) -> Result<Event, serde_json::Error> {
    Ok(Event::default()
        .event(name)
        .data(serde_json::to_string(data)?))
}

/// One client's place in an operation.
struct Watcher {
    http: Http,
    id: OperationId,
    /// Number of the last result that was put into `ready`.
    last: u64,
    live: Subscription,
    ready: VecDeque<Event>,
    /// Whether the store may hold results that were not sent.
    behind: bool,
    /// Whether all assignments have ended.
    ended: bool,
    /// Whether the end was told.
    over: bool,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    // The client comes back with the last number it saw.
                    tracing::warn!(operation.id = %self.id, %error, "a stream was cut off");
                    return None;
                }
                continue;
            }
            if self.ended {
                return self.end();
            }
            let stop = self.stop.clone();
            let heard = tokio::select! {
                heard = self.live.next() => heard,
                () = stop.cancelled() => None,
            };
            self.hear(heard?);
        }
    }

    /// The last event; the stream is over after it.
    fn end(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let first_time = !std::mem::replace(&mut self.over, true);
        first_time.then(|| (Ok(Event::default().event("end").data("{}")), self))
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let rows = results::after(&*self.http.store, self.id, self.last).await?;
        // An empty page is the end, whatever a page's limit in bytes was.
        self.behind = !rows.is_empty();
        for row in rows {
            let view = ResultView::of(self.id, &row).and_then(|view| serde_json::to_string(&view));
            let json = view.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            self.push(row.seq, &json);
        }
        Ok(())
    }

    fn push(&mut self, seq: u64, json: &str) {
        self.last = seq;
        self.ready.push_back(
            Event::default()
                .event("result")
                .id(seq.to_string())
                .data(json),
        );
    }

    fn hear(&mut self, heard: Live) {
        match heard {
            Live::Result { seq, json } if seq == self.last + 1 => self.push(seq, &json),
            Live::Result { seq, .. } => self.behind = seq > self.last,
            Live::Assignment { probe, state } => {
                if let Ok(event) = event("assignment", &AssignmentEvent { probe, state }) {
                    self.ready.push_back(event);
                }
            }
            // Results of the same batch are committed: one look at the store finds them before the end is told.
            Live::Ended => (self.ended, self.behind) = (true, true),
            Live::Gap => self.behind = true,
        }
    }
}

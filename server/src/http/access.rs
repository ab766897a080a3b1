//! What is known of every request: its name, who asked about what, how it ended and when. One line of the log and one
//! count for each; the query stays out of both, for it may hold a token.

use std::{cell::RefCell, fmt::Display, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tokio::task_local;
use tracing::{Instrument as _, Span, field};
use uuid::Uuid;

use crate::metrics;

/// Carries a request's name from proxy to hub and back to the client.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that is taken from a client, bytes: any usual one fits, a token does not.
const LONGEST_ID: usize = 64;
/// Stands for a path that nothing is served at.
const NO_ROUTE: &str = "none";

/// Names a request, has it answered, and notes how.
pub(super) async fn record(request: Request, next: Next) -> Response {
    let (id, header) = name(request.headers());
    let method = word(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // Of the highest level, so that whatever is logged of the request has its name.
    let span = tracing::error_span!(
        "request", request.id = %id, method, path = request.uri().path(),
        user.id = field::Empty, account.id = field::Empty, probe.id = field::Empty, operation.id = field::Empty,
    );
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (took, status) = (began.elapsed(), response.status());
    let latency_ms = took.as_micros() as f64 / 1000.0;
    span.in_scope(|| {
        let status = status.as_u16();
        tracing::debug!(status, latency_ms, "request answered");
    });
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics::answered(method, route, status.as_u16(), took);
    response.headers_mut().insert(REQUEST_ID, header);
    response
}

/// A field of the log and what stands in it.
pub(super) type Note = (&'static str, String);

task_local! {
    /// What an answer is about that is made for several.
    static NOTED: RefCell<Vec<Note>>;
}

/// Notes in the log what the request that is answered now is about.
pub(super) fn about(field: &'static str, id: impl Display) {
    let note = (field, id.to_string());
    let noted = NOTED.try_with(|noted| noted.borrow_mut().push(note.clone()));
    if noted.is_err() {
        repeat(&[note]);
    }
}

/// Has an answer made for several, and keeps what it is [`about`] for the log of each.
pub(super) async fn noting<T>(work: impl Future<Output = T>) -> (T, Vec<Note>) {
    let noting = async {
        let done = work.await;
        (done, NOTED.with(RefCell::take))
    };
    NOTED.scope(RefCell::default(), noting).await
}

/// Notes in the log what an answer is about that was made for several.
pub(super) fn repeat(about: &[Note]) {
    for (name, id) in about {
        Span::current().record(*name, field::display(id));
    }
}

/// The client's name for a request, if it is short and harmless, else a new one; also as a header.
fn name(headers: &HeaderMap) -> (String, HeaderValue) {
    let is_harmless = |c: u8| c.is_ascii_alphanumeric() || b"-_.:".contains(&c);
    let given = headers.get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().copied().all(is_harmless)
    });
    if let Some(header) = given
        && let Ok(id) = header.to_str()
    {
        return (id.to_owned(), header.clone());
    }
    let id = Uuid::new_v4().simple().to_string();
    let header = HeaderValue::from_str(&id);
    // Hexadecimal digits are a good header.
    (id, header.unwrap_or(HeaderValue::from_static("")))
}

/// The methods that are served; clients may make up others without end.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

//! Lets pages of other origins call the hub (the Fetch standard, section 3.3): of any origin, as the frontend of the
//! replaced system was used to, or of those that the operator names. No cookie is used here, so an origin gains nothing
//! by it that it could not have without a browser.
//!
//! Not tower-http's layer, because that answers every `OPTIONS` itself, also where there is no path and without
//! `Allow`, and says nothing to requests without an origin, which the old system answered with `*`.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::Http;

/// Methods that a page may use, as far as a path takes them.
const METHODS: HeaderValue =
    HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
/// Headers of answers that a page may read, beside those that it always may.
const READABLE: HeaderValue =
    HeaderValue::from_static("RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate");

/// Whose pages may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Everyone's.
    Any,
    /// Theirs, each as a browser writes it.
    These(Vec<String>),
}

impl Origins {
    /// What to answer: whom this answer is for, if anyone.
    fn answer(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match (self, origin) {
            (Self::Any, None) => Some(HeaderValue::from_static("*")),
            (Self::Any, Some(origin)) => Some(origin.clone()),
            (Self::These(these), Some(origin)) => {
                let is_one = these.iter().any(|one| one.as_bytes() == origin.as_bytes());
                is_one.then(|| origin.clone())
            }
            (Self::These(_), None) => None,
        }
    }
}

/// Marks every answer, errors too: without the mark a browser hides even the status from its page. Where a path does not
/// answer `OPTIONS` itself, a browser's question beforehand is answered here.
pub(crate) async fn allow(
    State(http): State<Http>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let headers = request.headers();
    let allowed = http.origins.answer(headers.get(header::ORIGIN));
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight = request.method() == Method::OPTIONS && headers.contains_key(header::ORIGIN);
    let asks_method = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    let unanswered = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    if is_preflight && asks_method && unanswered {
        response = StatusCode::NO_CONTENT.into_response();
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed else {
        return response;
    };
    let mut add = |name: HeaderName, value| drop(headers.insert(name, value));
    add(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if is_preflight {
        add(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = wanted {
            add(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
    } else {
        add(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    }
    response
}

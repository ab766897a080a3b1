//! Headers of every answer that keep browsers from doing what nobody meant: guessing types, showing the hub in a frame of
//! somebody else's page, telling other sites where a reader came from, keeping tokens in a cache.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Request, header},
    middleware::Next,
    response::Response,
};

use super::Http;

/// Where the pages that show the API stand.
const PAGES: &str = "/documentation";
/// What the pages need: their own scripts, styles and pictures, and the hub.
const FOR_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What answers of the API need: nothing, as they are no pages.
const FOR_DATA: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A year, in which browsers come by TLS alone (RFC 6797, section 6.1).
const TLS_ONLY: &str = "max-age=31536000";

const ALWAYS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Adds them.
pub(crate) async fn protect(
    State(http): State<Http>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let is_page = request.uri().path().starts_with(PAGES);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = if is_page { FOR_PAGES } else { FOR_DATA };
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    if http.by_tls {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(TLS_ONLY),
        );
    }
    if !is_page {
        keep_nothing(headers);
    }
    response
}

/// Answers of the API hold tokens, or are old a moment later. Streams say themselves how they may be kept.
fn keep_nothing(headers: &mut HeaderMap) {
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

//! Lets frontends of any origin call the old paths, as they were used to (the Fetch standard, section 3.3). No cookie
//! is used there, so an origin gains nothing by it that it could not have without a browser.
//!
//! Not tower-http's layer, because that answers every `OPTIONS` itself, also where there is no path and without
//! `Allow`, and says nothing to requests without an origin, which the old system answered with `*`.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};

/// Methods that a frontend may use, as far as a path takes them.
const METHODS: HeaderValue =
    HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// Marks every answer, errors too: without the mark a browser hides even the status from its page.
pub(super) async fn allow(request: Request<Body>, next: Next) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight = request.method() == Method::OPTIONS && origin.is_some();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let origin = origin.unwrap_or(HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = wanted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
    }
    response
}

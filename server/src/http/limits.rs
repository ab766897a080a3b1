//! Rate limits at the edge: whom an attempt counts for, and what the answer says of the limits (`RateLimit` and
//! `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers). The counting itself is `throttle`'s.
//!
//! A handler that is limited takes a [`Gate`]; what that counts is noted beside the request, so that every answer tells
//! it, also one to a wrong password.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Request, request::Parts},
    middleware::Next,
    response::Response,
};

use super::{Http, client::Client, error::ApiError};
use crate::{
    domain::User,
    throttle::{Counted, MINUTE_S, Throttle},
};

/// What the limits are.
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of them.
pub(crate) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Where a request's attempts are noted.
#[derive(Debug, Clone, Default)]
struct Noted(Arc<Mutex<Vec<Counted>>>);

impl Noted {
    fn add(&self, counted: Counted) {
        // Nothing panics while it holds the lock.
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push(counted);
    }

    fn take(&self) -> Vec<Counted> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lets one request in, or not.
pub(crate) struct Gate {
    /// `None` where nothing is limited.
    throttle: Option<Throttle>,
    client: IpAddr,
    noted: Noted,
}

impl FromRequestParts<Http> for Gate {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, ApiError> {
        let Client(client) = Client::from_request_parts(parts, http).await?;
        Ok(Self {
            throttle: http.throttle.clone(),
            client,
            noted: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

impl Gate {
    /// One attempt to register.
    ///
    /// # Errors
    /// [`ApiError::TooMany`].
    pub(crate) async fn registers(&self) -> Result<(), ApiError> {
        match &self.throttle {
            Some(throttle) => self.count(throttle.from_address(self.client).await),
            None => Ok(()),
        }
    }

    /// One attempt to log in to an account, whether or not there is one.
    ///
    /// # Errors
    /// [`ApiError::TooMany`].
    pub(crate) async fn logs_in(&self, email: &str) -> Result<(), ApiError> {
        self.registers().await?;
        match &self.throttle {
            Some(throttle) => self.count(throttle.on_account(email).await),
            None => Ok(()),
        }
    }

    /// One attempt to create an operation or a probe.
    ///
    /// # Errors
    /// [`ApiError::TooMany`].
    pub(crate) async fn creates(&self, user: &User) -> Result<(), ApiError> {
        match &self.throttle {
            Some(throttle) => self.count(throttle.by_user(user.id).await),
            None => Ok(()),
        }
    }

    fn count(&self, counted: Counted) -> Result<(), ApiError> {
        self.noted.add(counted);
        Ok(counted.let_in()?)
    }
}

/// Tells in the answer what was counted for it.
pub(crate) async fn tell(mut request: Request<Body>, next: Next) -> Response {
    let noted = Noted::default();
    request.extensions_mut().insert(noted.clone());
    let mut response = next.run(request).await;
    let counted = noted.take();
    if !counted.is_empty() {
        let headers = response.headers_mut();
        for (name, text) in [
            (POLICY, list(&counted, policy)),
            (LEFT, list(&counted, left)),
        ] {
            // Words and numbers are always a header.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
    response
}

fn list(counted: &[Counted], item: impl Fn(&Counted) -> String) -> String {
    counted.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn policy(counted: &Counted) -> String {
    let name = counted.kind.word();
    format!("\"{name}\";q={};w={MINUTE_S}", counted.per_minute)
}

fn left(counted: &Counted) -> String {
    let (name, remaining) = (counted.kind.word(), counted.remaining.unwrap_or(0));
    format!("\"{name}\";r={remaining};t={}", counted.reset_s)
}

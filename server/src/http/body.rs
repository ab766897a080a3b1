//! Reads what requests carry: JSON bodies whatever their content type says, query parameters, idempotency keys, cursors.

use std::{collections::HashMap, fmt::Display, str::FromStr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::request::Parts,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use probe_protocol::{OperationId, ProbeId, UserId};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{access, error::ApiError};
use crate::{
    domain::{FieldError, Invalid},
    store::IdempotencyKey,
};

/// Longest body, bytes: ten thousand probe ids take a third of it.
pub(crate) const MOST_BYTES: usize = 1024 * 1024;
/// Longest a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(20);
/// Longest idempotency key, bytes.
const LONGEST_KEY: usize = 200;
/// Items of a page where the client does not say.
const USUAL_LIMIT: usize = 100;
/// Most items of a page.
pub(crate) const MOST_LIMIT: usize = 1000;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, _state: &S) -> Result<Self, ApiError> {
        let read = timeout(BODY_WITHIN, to_bytes(request.into_body(), MOST_BYTES));
        let bytes = read
            .await
            .map_err(|_| ApiError::TooSlow)?
            .map_err(|error| {
                let cause = std::error::Error::source(&error);
                let too_long =
                    cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
                if too_long {
                    ApiError::BodyTooLarge(MOST_BYTES)
                } else {
                    ApiError::MalformedBody("it was cut short".into())
                }
            })?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::MalformedBody(error.to_string()))?;
        Ok(Self(value))
    }
}

/// The `Idempotency-Key` header.
#[derive(Debug)]
pub(crate) struct Idempotency(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let key = value
            .to_str()
            .ok()
            .filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
        let detail = format!("must be 1 to {LONGEST_KEY} printable ASCII characters");
        key.map(|key| Self(Some(key.to_owned())))
            .ok_or_else(|| Invalid::one("Idempotency-Key", detail).into())
    }
}

impl Idempotency {
    /// The key for a request of this user: what it asks for, in words and body.
    pub(crate) fn of(self, user: UserId, what: &str, body: &Value) -> Option<IdempotencyKey> {
        let digest = Sha256::new()
            .chain_update(what)
            .chain_update([0])
            .chain_update(body.to_string())
            .finalize();
        let fingerprint = BASE64.encode(digest);
        self.0.map(|key| IdempotencyKey {
            user,
            key,
            fingerprint,
        })
    }
}

/// The identifier in a path; what is no identifier names nothing.
#[derive(Debug)]
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr + Logged> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id: T = path_part(parts, state, "id").await?;
        access::about(T::FIELD, id);
        Ok(Self(id))
    }
}

/// An identifier and the field that shows it in the log.
pub(crate) trait Logged: Copy + Display {
    /// The field.
    const FIELD: &'static str;
}

impl Logged for OperationId {
    const FIELD: &'static str = "operation.id";
}

impl Logged for ProbeId {
    const FIELD: &'static str = "probe.id";
}

impl Logged for UserId {
    /// Not `user.id`, which is who asks.
    const FIELD: &'static str = "account.id";
}

/// The number of a result in a path.
#[derive(Debug)]
pub(crate) struct PathSeq(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for PathSeq {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        path_part(parts, state, "seq").await.map(Self)
    }
}

async fn path_part<T: FromStr>(
    parts: &mut Parts,
    state: &(impl Send + Sync),
    name: &str,
) -> Result<T, ApiError> {
    let path = RawPathParams::from_request_parts(parts, state).await;
    let path = path.map_err(|_| ApiError::NotFound)?;
    let text = path.iter().find(|(key, _)| *key == name);
    text.and_then(|(_, text)| text.parse().ok())
        .ok_or(ApiError::NotFound)
}

/// Query parameters, each read once; the rest is reported as unknown.
#[derive(Debug)]
pub(crate) struct Params {
    given: HashMap<String, String>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| Invalid::one("?", error.to_string()))?;
        let mut params = Self {
            given: HashMap::new(),
            errors: Vec::new(),
        };
        for (name, value) in pairs {
            if params.given.insert(name.clone(), value).is_some() {
                params.wrong(&name, "is given twice");
            }
        }
        Ok(params)
    }
}

impl Params {
    /// A parameter that may be left out.
    pub(crate) fn optional<T: FromStr>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let text = self.given.remove(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.wrong(name, &format!("must be {wanted}"));
        }
        value
    }

    /// `limit`: how many items a page may have.
    pub(crate) fn limit(&mut self) -> usize {
        let limit = self
            .optional("limit", &format!("a number from 1 to {MOST_LIMIT}"))
            .unwrap_or(USUAL_LIMIT);
        if !(1..=MOST_LIMIT).contains(&limit) {
            self.wrong("limit", &format!("must be a number from 1 to {MOST_LIMIT}"));
        }
        limit
    }

    /// `cursor`: where the page before ended.
    pub(crate) fn cursor<T: FromStr>(&mut self) -> Option<T> {
        let text = self.given.remove("cursor")?;
        let bytes = BASE64.decode(&text).ok();
        let value = bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.parse().ok());
        if value.is_none() {
            self.wrong("cursor", "is not a cursor of this list");
        }
        value
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.optional(name, "true or false")
    }

    /// Fails with everything that was wrong or unknown.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.given.keys().cloned().collect();
        for name in unknown {
            self.wrong(&name, "is not a known parameter");
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Invalid(self.errors).into())
        }
    }

    fn wrong(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError {
            pointer: format!("?{name}"),
            detail: detail.into(),
        });
    }
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The items, newest first.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page; none at the end.
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows that were asked for with one more than `limit`, to know whether there are more.
    pub(crate) fn of<R>(
        mut rows: Vec<R>,
        limit: usize,
        id: impl Fn(&R) -> String,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| BASE64.encode(id(row)));
        Self {
            items: rows.into_iter().map(view).collect(),
            next,
        }
    }
}

//! Answers that are errors: `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! What went wrong inside is logged here, once, and the client gets a fixed text.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use probe_protocol::ProbeId;
use serde::Serialize;

use crate::{
    domain::{FieldError, Invalid, LeftOut, Refusal},
    launch::LaunchError,
    passwords::PasswordError,
    store::StoreError,
    throttle::TooMany,
    tokens::TokenError,
};

/// Seconds after which a client may try again when the store is away.
const RETRY_AFTER_S: u64 = 5;

/// Every way a request of the API can fail.
#[derive(Debug, Clone)]
pub(crate) enum ApiError {
    /// The body is no JSON, or cut short.
    MalformedBody(String),
    /// The body is longer than so many bytes.
    BodyTooLarge(usize),
    /// The body did not arrive in time.
    TooSlow,
    /// The URL is longer than so many bytes.
    UrlTooLong(usize),
    /// Fields are wrong.
    Invalid(Invalid),
    /// No token, or a bad one.
    Unauthorized(&'static str),
    /// E-mail address or password is wrong.
    WrongCredentials,
    /// The user may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// A rule refuses it.
    Refused(Refusal),
    /// An address is taken.
    EmailTaken,
    /// An idempotency key came with another request.
    KeyReused,
    /// Too many attempts to log in, register or create something.
    TooMany(TooMany),
    /// Too many at the same time.
    Busy(&'static str),
    /// The store does not answer.
    Unavailable(StoreError),
    /// A bug, or a store that cannot be read.
    Internal(String),
}

/// An error as it is sent.
#[derive(Debug, Serialize, utoipa::ToSchema, utoipa::ToResponse)]
#[response(description = "an error", content_type = "application/problem+json")]
pub(crate) struct Problem {
    /// Always `about:blank`: the `code` tells.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Which error, for programs; never changes.
    #[schema(example = "invalid_input")]
    code: &'static str,
    /// What happened, for people.
    detail: String,
    /// Every wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Probes that could not take the operation, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOutView>,
}

/// A probe that was left out of an operation.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct LeftOutView {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// Why.
    pub(crate) reason: LeftOut,
}

impl From<(ProbeId, LeftOut)> for LeftOutView {
    fn from((probe, reason): (ProbeId, LeftOut)) -> Self {
        Self { probe, reason }
    }
}

impl ApiError {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MalformedBody(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UrlTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::Unauthorized(_) | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(Refusal::NotEnoughCredits { .. }) => StatusCode::PAYMENT_REQUIRED,
            Self::Refused(Refusal::NoAvailableProbe(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::EmailTaken | Self::KeyReused => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Which error, for programs; the same text for ever.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::MalformedBody(_) => "malformed_body",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::TooSlow => "request_timeout",
            Self::UrlTooLong(_) => "url_too_long",
            Self::Invalid(_) => "invalid_input",
            Self::Unauthorized(_) => "unauthorized",
            Self::WrongCredentials => "wrong_credentials",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Refused(Refusal::NotEnoughCredits { .. }) => "not_enough_credits",
            Self::Refused(Refusal::NoAvailableProbe(_)) => "no_available_probe",
            Self::EmailTaken => "email_taken",
            Self::KeyReused => "idempotency_key_reused",
            Self::TooMany(_) => "too_many_attempts",
            Self::Busy(_) => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What happened, for people.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::MalformedBody(why) => format!("the body cannot be read: {why}"),
            Self::BodyTooLarge(most) => format!("the body is longer than {most} bytes"),
            Self::TooSlow => "the body did not arrive in time".into(),
            Self::UrlTooLong(most) => format!("the URL is longer than {most} bytes"),
            Self::Invalid(invalid) => invalid.to_string(),
            Self::Unauthorized(why) | Self::Busy(why) => (*why).into(),
            Self::WrongCredentials => "wrong e-mail address or password".into(),
            Self::Forbidden => "you may not do this".into(),
            Self::NotFound => "there is no such thing here".into(),
            Self::MethodNotAllowed => "this path does not take this method".into(),
            Self::Refused(Refusal::NotEnoughCredits { price, balance }) => {
                format!("this costs {price} credits and you have {balance}")
            }
            Self::Refused(Refusal::NoAvailableProbe(_)) => {
                "no probe can take this operation".into()
            }
            Self::EmailTaken => "that e-mail address is already registered".into(),
            Self::KeyReused => "that Idempotency-Key was used for a different request".into(),
            Self::TooMany(too_many) => too_many.to_string(),
            Self::Unavailable(_) => "the hub cannot do this at the moment; try again".into(),
            Self::Internal(_) => "the hub failed; this was logged".into(),
        }
    }

    fn lists(self) -> (Vec<FieldError>, Vec<LeftOutView>) {
        match self {
            Self::Invalid(Invalid(errors)) => (errors, Vec::new()),
            Self::Refused(Refusal::NoAvailableProbe(left_out)) => (
                Vec::new(),
                left_out.into_iter().map(LeftOutView::from).collect(),
            ),
            _ => (Vec::new(), Vec::new()),
        }
    }
}

impl ApiError {
    /// Seconds after which trying again may help, where it may.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooMany(too_many) => Some(too_many.retry_after_s),
            Self::Busy(_) | Self::Unavailable(_) => Some(RETRY_AFTER_S),
            _ => None,
        }
    }

    /// Logs what went wrong inside; for whoever answers, once.
    pub(crate) fn log(&self) {
        match self {
            Self::Internal(cause) => tracing::error!(%cause, "a request failed"),
            Self::Unavailable(cause) => tracing::warn!(%cause, "a request could not be served"),
            _ => {}
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let (status, retry_after_s) = (self.status(), self.retry_after_s());
        let (code, detail) = (self.code(), self.detail());
        let (errors, left_out) = self.lists();
        let title = status.canonical_reason().unwrap_or("Error");
        let problem = Problem {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            code,
            detail,
            errors,
            left_out,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Contended => Self::Unavailable(error),
            // No request does what needs a lease.
            StoreError::Corrupt(_) | StoreError::LeaseLost => Self::Internal(error.to_string()),
            StoreError::EmailTaken => Self::EmailTaken,
            StoreError::KeyReused => Self::KeyReused,
            StoreError::BalanceTooLarge => {
                Self::Invalid(Invalid::one("/credits", error.to_string()))
            }
        }
    }
}

impl From<LaunchError> for ApiError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Refused(refusal) => Self::Refused(refusal),
            LaunchError::Store(error) => error.into(),
            LaunchError::Interrupted => Self::Internal(error.to_string()),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Self::Unauthorized(match error {
            TokenError::Expired => "the token has expired; log in again",
            TokenError::Invalid => "the token is not valid",
        })
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy("too many logins at the same time; try again"),
            PasswordError::Failed => Self::Internal(error.to_string()),
        }
    }
}

impl From<TooMany> for ApiError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

//! Errors in the old words: `{"Error": text}`. 401 means that the caller has to log in, and nothing else: the old
//! frontend forgets its login whenever it sees one.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{super::error::ApiError, answer};
use crate::domain::Refusal;

/// Whatever is wrong with a body.
pub(super) const BAD_DATA: &str = "Invalid data provided";

/// An error as it is sent.
#[derive(Debug)]
pub(super) struct OldError {
    status: StatusCode,
    text: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

impl OldError {
    /// An error with one of the old texts.
    pub(super) fn new(status: StatusCode, text: &'static str) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after_s: None,
        }
    }

    /// 400.
    pub(super) fn bad(text: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub(super) fn missing(text: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }
}

impl<E: Into<ApiError>> From<E> for OldError {
    fn from(error: E) -> Self {
        let error = error.into();
        error.log();
        let (status, text) = match &error {
            ApiError::MalformedBody(_) | ApiError::Invalid(_) => {
                (StatusCode::BAD_REQUEST, BAD_DATA.into())
            }
            ApiError::Unauthorized(_) | ApiError::Forbidden => (
                StatusCode::UNAUTHORIZED,
                "No authorization to access this content".into(),
            ),
            ApiError::WrongCredentials => {
                (StatusCode::NOT_FOUND, "Invalid email or password".into())
            }
            ApiError::Refused(Refusal::NoAvailableProbe(_)) => {
                (StatusCode::NOT_FOUND, "No available probes".into())
            }
            ApiError::Refused(Refusal::NotEnoughCredits { .. }) => {
                (StatusCode::BAD_REQUEST, "Not enough credits".into())
            }
            ApiError::EmailTaken => (
                StatusCode::BAD_REQUEST,
                "That email is already registered".into(),
            ),
            ApiError::BodyTooLarge(_)
            | ApiError::TooSlow
            | ApiError::UrlTooLong(_)
            | ApiError::NotFound
            | ApiError::MethodNotAllowed
            | ApiError::KeyReused
            | ApiError::TooMany(_)
            | ApiError::Busy(_)
            | ApiError::Unavailable(_)
            | ApiError::Internal(_) => (error.status(), error.detail().into()),
        };
        Self {
            status,
            text,
            retry_after_s: error.retry_after_s(),
        }
    }
}

impl IntoResponse for OldError {
    fn into_response(self) -> Response {
        let mut response = answer(self.status, json!({ "Error": self.text }));
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

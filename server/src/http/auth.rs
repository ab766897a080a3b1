//! Who is calling: extractors that turn a token into a user.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{Http, access, error::ApiError};
use crate::{domain::User, tokens::Named};

/// A logged-in user, fresh from the store.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) User);

/// A logged-in superuser.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) User);

impl FromRequestParts<Http> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthorized(
            "log in and send Authorization: Bearer <token>",
        ))?;
        let user = match http.tokens.user(token)? {
            Named::Id(id) => http.store.user(id).await?,
            Named::Email(email) => http.store.credentials(email).await?.map(|(user, _)| user),
        };
        let user = user.ok_or(ApiError::Unauthorized("the token's user does not exist"))?;
        access::about("user.id", user.id);
        Ok(Self(user))
    }
}

impl FromRequestParts<Http> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, ApiError> {
        let Caller(user) = Caller::from_request_parts(parts, http).await?;
        if user.is_superuser {
            Ok(Self(user))
        } else {
            Err(ApiError::Forbidden)
        }
    }
}

/// The token of `Authorization: Bearer`, or of the old system's `access_token` in both spellings.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let old = || {
        ["access_token", "access-token"]
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok())
    };
    bearer.or_else(old).filter(|token| !token.is_empty())
}

//! `/api/v1/users` and `/api/v1/sessions`: registering, logging in, balances.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};
use serde::Serialize;
use serde_json::Value;

use super::{
    Http,
    auth::{Admin, Caller},
    body::{Idempotency, JsonBody, Page, Params, PathId},
    error::{ApiError, Problem},
    limits::Gate,
};
use crate::{
    domain::{Invalid, User, credits::LedgerReason, fields::Fields, user::Credentials},
    passwords::Verified,
    store::{IdempotencyKey, LedgerEntry, NewUser},
};

/// A user as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UserView {
    id: UserId,
    email: String,
    /// Balance, credits.
    credits: i64,
    is_superuser: bool,
    created_at: DateTime<Utc>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User {
            id,
            email,
            credits,
            is_superuser,
            created_at,
        } = user;
        Self {
            id,
            email,
            credits,
            is_superuser,
            created_at,
        }
    }
}

/// What someone registers or logs in with.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct CredentialsBody {
    #[schema(example = "ana@example.com")]
    email: String,
    /// At least 8 characters with an upper-case and a lower-case letter, a digit and one of !"@#$%^&*()-+?_=,/
    #[schema(example = "Correct-horse-1", max_length = 1024)]
    password: String,
}

/// A login.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionView {
    /// Send it as `Authorization: Bearer <token>`.
    token: String,
    /// When it ends.
    expires_at: DateTime<Utc>,
    user: UserView,
}

/// Credits to give.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct GrantBody {
    /// Credits to add.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 1000)]
    credits: i64,
}

/// One change of a balance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LedgerView {
    /// Number of the entry; later ones are larger.
    id: i64,
    /// Credits; negative where the balance fell.
    amount: i64,
    /// Balance after it.
    balance: i64,
    reason: LedgerReason,
    operation: Option<OperationId>,
    probe: Option<ProbeId>,
    at: DateTime<Utc>,
}

impl From<LedgerEntry> for LedgerView {
    fn from(entry: LedgerEntry) -> Self {
        let LedgerEntry {
            id,
            amount,
            balance,
            reason,
            operation,
            probe,
            at,
        } = entry;
        Self {
            id,
            amount,
            balance,
            reason,
            operation,
            probe,
            at,
        }
    }
}

/// Most credits of one grant: far above any use, far below where sums overflow.
const MOST_GRANTED: i64 = 1_000_000_000_000;

/// Creates an account; both faces do.
pub(crate) async fn create_account(
    http: &Http,
    gate: &Gate,
    credentials: Credentials,
) -> Result<User, ApiError> {
    gate.registers().await?;
    let password_hash = http.passwords.hash(credentials.password).await?;
    let user = NewUser {
        email: credentials.email,
        password_hash,
        is_superuser: false,
        created_at: Utc::now(),
    };
    let store = http.store.clone();
    let user = super::to_its_end(async move { store.create_user(user).await }).await??;
    tracing::info!(user.id = %user.id, "user registered");
    Ok(user)
}

/// A login that was let in.
pub(crate) struct Session {
    /// Who.
    pub(crate) user: User,
    /// The token.
    pub(crate) token: String,
    /// When it ends.
    pub(crate) expires_at: DateTime<Utc>,
}

/// Checks a login and makes a token; both faces do.
pub(crate) async fn open_session(
    http: &Http,
    gate: &Gate,
    credentials: Credentials,
) -> Result<Session, ApiError> {
    gate.logs_in(&credentials.email).await?;
    let known = http.store.credentials(credentials.email).await?;
    let stored = known.as_ref().map(|(_, hash)| hash.clone());
    let verified = http.passwords.verify(credentials.password, stored).await?;
    let Some((user, _)) = known.filter(|_| verified != Verified::No) else {
        return Err(ApiError::WrongCredentials);
    };
    if let Verified::Rehashed(hash) = verified {
        http.store.set_password_hash(user.id, hash).await?;
    }
    let (token, expires_at) = http.tokens.for_user(user.id, &user.email, Utc::now())?;
    Ok(Session {
        user,
        token,
        expires_at,
    })
}

/// Reads how many credits to give.
pub(crate) fn read_grant(body: &Value) -> Result<i64, Invalid> {
    let mut fields = Fields::of(body);
    let credits: Option<i64> = fields.required("credits");
    if credits.is_some_and(|credits| !(1..=MOST_GRANTED).contains(&credits)) {
        fields.wrong(
            "credits",
            format!("must be a whole number from 1 to {MOST_GRANTED}"),
        );
    }
    fields.finish(credits)
}

/// Gives credits; both faces do.
pub(crate) async fn give(
    http: &Http,
    admin: &User,
    id: UserId,
    credits: i64,
    key: Option<IdempotencyKey>,
) -> Result<User, ApiError> {
    let store = http.store.clone();
    let granted =
        super::to_its_end(async move { store.grant(id, credits, Utc::now(), key).await }).await??;
    let user = granted.ok_or(ApiError::NotFound)?;
    tracing::info!(user.id = %id, admin.id = %admin.id, credits, "credits granted");
    Ok(user)
}

/// Registers a user.
#[utoipa::path(post, operation_id = "register_user", path = "/api/v1/users", tag = "users",
    request_body = CredentialsBody,
    responses((status = 201, body = UserView),
        (status = 400, response = Problem), (status = 408, response = Problem), (status = 409, response = Problem),
        (status = 413, response = Problem), (status = 429, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn register(
    State(http): State<Http>,
    gate: Gate,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    let credentials = Credentials::for_registration(&body)?;
    let user = create_account(&http, &gate, credentials).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Logs in.
#[utoipa::path(post, operation_id = "log_in", path = "/api/v1/sessions", tag = "users",
    request_body = CredentialsBody,
    responses((status = 201, body = SessionView),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 408, response = Problem),
        (status = 413, response = Problem), (status = 429, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn log_in(
    State(http): State<Http>,
    gate: Gate,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<SessionView>), ApiError> {
    let credentials = Credentials::for_login(&body)?;
    let Session {
        user,
        token,
        expires_at,
    } = open_session(&http, &gate, credentials).await?;
    Ok((
        StatusCode::CREATED,
        Json(SessionView {
            token,
            expires_at,
            user: user.into(),
        }),
    ))
}

/// The caller.
#[utoipa::path(get, operation_id = "show_me", path = "/api/v1/users/me", tag = "users",
    security(("token" = [])),
    responses((status = 200, body = UserView),
        (status = 401, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn me(Caller(user): Caller) -> Json<UserView> {
    Json(user.into())
}

/// The caller's ledger, newest first: every change of the balance.
#[utoipa::path(get, operation_id = "list_ledger", path = "/api/v1/users/me/credits", tag = "users",
    security(("token" = [])),
    params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = Page<LedgerView>),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn ledger(
    State(http): State<Http>,
    Caller(user): Caller,
    mut params: Params,
) -> Result<Json<Page<LedgerView>>, ApiError> {
    let (limit, before) = (params.limit(), params.cursor());
    params.finish()?;
    let entries = http.store.ledger(user.id, before, limit + 1).await?;
    Ok(Json(Page::of(
        entries,
        limit,
        |entry| entry.id.to_string(),
        LedgerView::from,
    )))
}

/// Gives credits to a user. For superusers.
#[utoipa::path(post, operation_id = "grant_credits", path = "/api/v1/users/{id}/credits", tag = "users",
    security(("token" = [])),
    params(("id" = UserId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200)), request_body = GrantBody,
    responses((status = 201, body = UserView),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 404, response = Problem), (status = 408, response = Problem), (status = 409, response = Problem),
        (status = 413, response = Problem), (status = 503, response = Problem)))]
pub(crate) async fn grant(
    State(http): State<Http>,
    PathId(id): PathId<UserId>,
    Admin(admin): Admin,
    idempotency: Idempotency,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    let credits = read_grant(&body)?;
    let key = idempotency.of(admin.id, &format!("grant {id}"), &body);
    let user = give(&http, &admin, id, credits, key).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

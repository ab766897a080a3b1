//! `/register`, `/login`, `/users/me` and `/credits`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{
    super::{
        Http,
        auth::{Admin, Caller},
        body::JsonBody,
        error::ApiError,
        limits::Gate,
        users,
    },
    Old, answer,
    error::{BAD_DATA, OldError},
};
use crate::{
    domain::{Invalid, User, user::Credentials},
    old_words,
};

fn view(user: &User) -> Value {
    json!({
        "_id": user.id,
        "email": user.email,
        "credits": user.credits,
        "is_superuser": user.is_superuser,
    })
}

/// A text that is there and not empty.
fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The body of version 1, whatever else is in this one.
fn credentials(body: &Value) -> Result<Value, OldError> {
    let email = text(body, "email").ok_or(OldError::bad("Missing email field"))?;
    let password = text(body, "password").ok_or(OldError::bad("Missing password field"))?;
    Ok(json!({ "email": email, "password": password }))
}

/// `POST /register`: 201 with the user.
pub(super) async fn register(
    State(http): State<Http>,
    Old(gate): Old<Gate>,
    Old(JsonBody(body)): Old<JsonBody>,
) -> Result<Response, OldError> {
    let credentials = Credentials::for_registration(&credentials(&body)?).map_err(wrong)?;
    let user = users::create_account(&http, &gate, credentials).await?;
    Ok(answer(StatusCode::CREATED, view(&user)))
}

/// The address comes first where both are wrong.
fn wrong(Invalid(errors): Invalid) -> OldError {
    OldError::bad(if errors.iter().any(|error| error.pointer == "/email") {
        "Email address has invalid format, or MX domain does not exist"
    } else {
        "Password must have at least 8 characters, 1 uppercase character, 1 lowercase, 1 digit and 1 special character"
    })
}

/// `POST /login`: 200 with a token.
pub(super) async fn log_in(
    State(http): State<Http>,
    Old(gate): Old<Gate>,
    Old(JsonBody(body)): Old<JsonBody>,
) -> Result<Response, OldError> {
    // What cannot be anyone's password is nobody's.
    let credentials = Credentials::for_login(&credentials(&body)?)
        .map_err(|_| OldError::from(ApiError::WrongCredentials))?;
    let session = users::open_session(&http, &gate, credentials).await?;
    let token = json!({ "access_token": session.token });
    Ok(answer(StatusCode::OK, token))
}

/// `GET /users/me`.
pub(super) async fn me(Old(Caller(user)): Old<Caller>) -> Response {
    answer(StatusCode::OK, view(&user))
}

/// `POST /credits`: adds to a balance; 200 with the user. For superusers.
pub(super) async fn grant(
    State(http): State<Http>,
    Old(Admin(admin)): Old<Admin>,
    Old(JsonBody(body)): Old<JsonBody>,
) -> Result<Response, OldError> {
    let id = text(&body, "id").ok_or(OldError::bad(BAD_DATA))?;
    let credits = body.get("credits").map(old_words::whole);
    let credits = users::read_grant(&json!({ "credits": credits }))?;
    let nobody = || OldError::missing("User doesn't exist");
    let id = id.parse().map_err(|_| nobody())?;
    let user = match users::give(&http, &admin, id, credits, None).await {
        Err(ApiError::NotFound) => return Err(nobody()),
        given => given?,
    };
    Ok(answer(StatusCode::OK, view(&user)))
}

//! HTTP as the frontend of the replaced system speaks it: the old paths, the token in the header `access_token`, and
//! answers held to the letter of the old form.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    api::{Answer, Api, must},
    hub::Hub,
    user::TestUser,
    wait::{SOON, within},
};

/// What every refused token is answered with.
pub const NO_AUTHORIZATION: &str = "No authorization to access this content";

/// Speaks to a hub at the old paths, perhaps with a token. A cheap handle.
#[derive(Debug, Clone)]
pub struct OldApi {
    api: Api,
    token: Option<String>,
}

impl OldApi {
    /// Speaks as nobody in particular.
    #[must_use]
    pub fn new(hub: &Hub) -> Self {
        Self {
            api: hub.api().clone(),
            token: None,
        }
    }

    /// Speaks as a user who is logged in.
    #[must_use]
    pub fn of(hub: &Hub, user: &TestUser) -> Self {
        Self {
            token: user.api.token().map(str::to_owned),
            ..Self::new(hub)
        }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// A request to be filled; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.api.request(method, path);
        match &self.token {
            Some(token) => request.header("access_token", token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        must(self.request(Method::GET, path)).await
    }

    /// POST of JSON, as a browser sends it.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    /// POST of any text that claims to be JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        must(request.body(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        must(self.request(Method::DELETE, path)).await
    }

    /// Logs in at the old path; the answer.
    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post("/login", &body).await
    }

    /// Registers at the old path; the answer.
    pub async fn register(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post("/register", &body).await
    }
}

impl Answer {
    /// The value of a header, if it is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The body of an answer at an old path: this status, and JSON as it was always written there: its type without
    /// parameters, no blanks, keys in order, a line feed at the end.
    ///
    /// # Panics
    /// When anything about it differs.
    #[track_caller]
    #[must_use]
    pub fn expect_old(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{}",
            self.text()
        );
        let (text, body) = (self.text(), self.json());
        let line = text.strip_suffix('\n');
        assert!(line.is_some_and(|line| !has_blanks(line)), "{text:?}");
        assert!(is_sorted(&body), "{text}");
        body
    }

    /// Holds an error at an old path to its status and text.
    ///
    /// # Panics
    /// When anything about it differs.
    #[track_caller]
    pub fn expect_error(&self, status: u16, text: &str) {
        assert_eq!(self.expect_old(status), json!({"Error": text}));
    }

    /// Holds an error at an old path to its status and form; its text, which is not fixed.
    ///
    /// # Panics
    /// When anything else about it differs.
    #[track_caller]
    pub fn expect_refusal(&self, status: u16) -> String {
        let body = self.expect_old(status);
        let text = body["Error"].as_str().unwrap_or_default().to_owned();
        assert!(!text.is_empty(), "{body}");
        assert_eq!(body, json!({"Error": text}));
        text
    }
}

/// Whether JSON text has blanks outside of its texts.
fn has_blanks(text: &str) -> bool {
    let (mut within, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if within => escaped = true,
            '"' => within = !within,
            c if !within && c.is_whitespace() => return true,
            _ => {}
        }
    }
    false
}

/// Whether the keys of every object are in order, as they were read.
fn is_sorted(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.keys().is_sorted() && object.values().all(is_sorted),
        Value::Array(items) => items.iter().all(is_sorted),
        _ => true,
    }
}

/// Sends a request as it is written, over a connection of its own that must end after the answer: the request has to
/// say `Connection: close`. The answer as it came, with its head.
///
/// # Panics
/// When the connection fails or stays open.
pub async fn exchange(hub: &Hub, request: impl Into<Bytes>) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(hub.address()).await.expect("the hub");
        stream.write_all(&request.into()).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    };
    within(SOON, "an answer and its end", talk).await
}

/// A token with these claims, signed as the replaced system signs: HS256 with a key of any length.
///
/// # Panics
/// Never.
#[must_use]
pub fn sign(key: &str, claims: &Value) -> String {
    let signed = content(&json!({"typ": "JWT", "alg": "HS256"}), claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

/// A token that says it needs no signature.
#[must_use]
pub fn unsigned(claims: &Value) -> String {
    content(&json!({"typ": "JWT", "alg": "none"}), claims) + "."
}

fn content(head: &Value, claims: &Value) -> String {
    let [head, claims] = [head, claims].map(|part| BASE64.encode(part.to_string()));
    format!("{head}.{claims}")
}

/// The head and the claims of a token.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn claims(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = BASE64.decode(part).ok()?;
        serde_json::from_slice(&bytes).ok()
    });
    let mut part = || {
        parts
            .next()
            .flatten()
            .unwrap_or_else(|| panic!("no token: {token}"))
    };
    (part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_can_be_read_again() {
        let said = json!({"email": "a@example.org"});
        let (head, read) = claims(&sign("dev", &said));
        assert_eq!((&head["alg"], read), (&json!("HS256"), said.clone()));
        assert_ne!(sign("dev", &said), sign("other", &said));
        assert!(unsigned(&said).ends_with('.'));
    }

    #[test]
    fn other_forms_of_json_are_told_apart() {
        for text in [
            r#"{"a": 1}"#,
            "[1, 2]",
            " 1",
            "[\n]",
            r#"["\"" ]"#,
            r#"["\\" ]"#,
        ] {
            assert!(has_blanks(text), "{text}");
        }
        for text in [r#"{"a b":" c "}"#, "[1,2]", r#"["\" ","\\"]"#] {
            assert!(!has_blanks(text), "{text}");
        }
        assert!(is_sorted(&json!({"A": [{"b": 1, "c": {}}], "a": 2})));
        for value in [json!({"b": 1, "a": 2}), json!([{"a": {"c": 1, "b": 2}}])] {
            assert!(!is_sorted(&value), "{value}");
        }
    }
}

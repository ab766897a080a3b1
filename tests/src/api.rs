//! HTTP as users speak it.

use std::{sync::Once, time::Duration};

use bytes::Bytes;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

use crate::trust::Trust;

/// Longest an answer may take: longer than the hub's own limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// Speaks to a hub, perhaps with a token. A cheap handle.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: Client,
    token: Option<String>,
}

/// What the hub answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Api {
    /// Speaks to the hub at a URL without a final slash.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(base: &str) -> Self {
        set_up_crypto();
        Self::by(base, Client::builder())
    }

    /// The same with TLS, trusting like this.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn trusting(base: &str, trust: &Trust) -> Self {
        Self::by(
            base,
            Client::builder().tls_backend_preconfigured(trust.config()),
        )
    }

    fn by(base: &str, client: ClientBuilder) -> Self {
        Self {
            base: base.to_owned(),
            client: client.no_proxy().build().expect("an HTTP client"),
            token: None,
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

    /// The token.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request to be filled; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        must(self.request(Method::GET, path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        must(self.request(Method::POST, path).json(body)).await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        must(self.request(Method::PATCH, path).json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        must(self.request(Method::DELETE, path)).await
    }
}

/// Picks a provider of cryptography, which clients want even for plain HTTP.
pub(crate) fn set_up_crypto() {
    static CRYPTO: Once = Once::new();
    // An error means that someone set one up before.
    CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Sends a request; an error where the hub is away.
///
/// # Errors
/// When no whole answer came.
pub async fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.timeout(ANSWER_WITHIN).send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        body: response.bytes().await?,
    })
}

/// Sends a request that must be answered.
///
/// # Panics
/// When no whole answer came.
pub async fn must(request: RequestBuilder) -> Answer {
    send(request)
        .await
        .unwrap_or_else(|error| panic!("no answer: {error:?}"))
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }

    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// When it has another one.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The body of an error, held to the form of all errors.
    ///
    /// # Panics
    /// When it has another status, code or form.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        let kind = self
            .headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        assert_eq!(kind, Some("application/problem+json"), "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        problem
    }

    /// The pointers of the wrong fields that an error of input names, sorted.
    ///
    /// # Panics
    /// When it is no such error.
    #[track_caller]
    #[must_use]
    pub fn wrong_fields(&self) -> Vec<String> {
        let problem = self.expect_problem(400, "invalid_input");
        let errors = problem["errors"].as_array().expect("a list of errors");
        let mut pointers: Vec<String> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
            .collect();
        assert!(errors.iter().all(|error| {
            error["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        }));
        pointers.sort();
        pointers
    }
}

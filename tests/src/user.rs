//! Users and their probes.

use probe_protocol::{OperationId, ProbeId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{Answer, Api, must},
    events::EventStream,
    hub::Hub,
};

/// A user who is logged in.
#[derive(Debug, Clone)]
pub struct TestUser {
    /// Speaks with the user's token.
    pub api: Api,
    /// Identifier.
    pub id: String,
    /// Address.
    pub email: String,
}

/// A registered probe.
#[derive(Debug, Clone)]
pub struct TestProbe {
    /// Identifier.
    pub id: ProbeId,
    /// What it connects with.
    pub token: String,
}

impl TestUser {
    /// Registers a user and logs in.
    pub async fn register(api: &Api, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let _ = api.post("/api/v1/users", &body).await.expect(201);
        Self::log_in(api, email, password).await
    }

    /// Logs in.
    pub async fn log_in(api: &Api, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let session = api.post("/api/v1/sessions", &body).await.expect(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            api: api.with_token(&text(&session["token"])),
            id: text(&session["user"]["id"]),
            email: email.to_owned(),
        }
    }

    /// The same user at another hub of the platform: tokens are good everywhere.
    ///
    /// # Panics
    /// Never: users have tokens.
    #[must_use]
    pub fn at(&self, hub: &Hub) -> Self {
        let token = self.api.token().expect("a token");
        Self {
            api: hub.api().with_token(token),
            ..self.clone()
        }
    }

    /// As a superuser, gives credits to someone.
    pub async fn grant(&self, to: &Self, credits: i64) {
        let body = json!({"credits": credits});
        let _ = self
            .api
            .post(&format!("/api/v1/users/{}/credits", to.id), &body)
            .await
            .expect(201);
    }

    /// The balance.
    pub async fn credits(&self) -> i64 {
        let me = self.api.get("/api/v1/users/me").await.expect(200);
        me["credits"].as_i64().expect("a balance")
    }

    /// Registers a probe.
    pub async fn probe(&self, name: &str) -> TestProbe {
        let body = json!({"name": name, "location": {"longitude": -77.0, "latitude": -12.0}});
        let made = self.api.post("/api/v1/probes", &body).await.expect(201);
        TestProbe {
            id: made["probe"]["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an identifier"),
            token: made["token"].as_str().expect("a token").to_owned(),
        }
    }

    /// Asks for an operation, whatever the answer.
    pub async fn order(&self, order: &Value) -> Answer {
        self.api.post("/api/v1/operations", order).await
    }

    /// Asks for an operation under an idempotency key.
    pub async fn order_as(&self, key: &str, order: &Value) -> Answer {
        must(
            self.api
                .request(Method::POST, "/api/v1/operations")
                .header("idempotency-key", key)
                .json(order),
        )
        .await
    }

    /// Creates an operation.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn launch(&self, order: &Value) -> OperationId {
        let made = self.order(order).await.expect(201);
        made["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an identifier")
    }

    /// An operation as it stands.
    pub async fn operation(&self, id: OperationId) -> Value {
        self.api
            .get(&format!("/api/v1/operations/{id}"))
            .await
            .expect(200)
    }

    /// The states of an operation's assignments, in the order of the probes' identifiers.
    pub async fn states(&self, id: OperationId) -> Vec<String> {
        let operation = self.operation(id).await;
        let assignments = operation["assignments"]
            .as_array()
            .expect("assignments")
            .iter();
        assignments
            .map(|one| one["state"].as_str().expect("a state").to_owned())
            .collect()
    }

    /// Cancels an operation; how it stands then.
    pub async fn cancel(&self, id: OperationId) -> Value {
        self.api
            .delete(&format!("/api/v1/operations/{id}"))
            .await
            .expect(200)
    }

    /// All results of an operation, read page by page.
    ///
    /// # Panics
    /// When a page is not as it should be.
    pub async fn results(&self, id: OperationId) -> Vec<Value> {
        let mut results = Vec::new();
        let mut after = 0;
        loop {
            let page = self
                .api
                .get(&format!(
                    "/api/v1/operations/{id}/results?limit=1000&after={after}"
                ))
                .await
                .expect(200);
            results.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return results,
            }
        }
    }

    /// The live stream of an operation, from the beginning.
    pub async fn events(&self, id: OperationId) -> EventStream {
        EventStream::open(&self.api, id, None)
            .await
            .expect("a stream")
    }
}

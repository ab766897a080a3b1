//! What the tests of the old paths share: a hub with a user and a probe that takes on everything, and orders as the
//! old frontend writes them.

use chrono::{TimeDelta, Utc};
use probe_protocol::{Assign, Hello, HubFrame, OperationId, ProbeFrame};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, FakeProbe, Hub, OldApi, TestProbe, TestUser,
    probe::hello,
    wait::{SOON, within},
};
use tokio::{sync::mpsc, task::JoinHandle};

/// More than any test spends.
pub(crate) const RICH: i64 = 1_000_000_000;

/// Every old path with its methods, those that need a token marked.
pub(crate) const ROUTES: &[(Method, &str, bool)] = &[
    (Method::POST, "/register", false),
    (Method::POST, "/login", false),
    (Method::GET, "/users/me", true),
    (Method::POST, "/credits", true),
    (Method::POST, "/probes", true),
    (Method::GET, "/probes", false),
    (Method::GET, "/probes/me", true),
    (Method::POST, "/traceroute", true),
    (Method::POST, "/ping", true),
    (Method::POST, "/dns", true),
    (Method::GET, "/operation", false),
    (Method::GET, "/operations/me", true),
    (Method::GET, "/operations", true),
];

/// A hub, a rich user who speaks at the old paths, and a probe of theirs that takes on whatever it is offered.
pub(crate) struct Bench {
    pub(crate) hub: Hub,
    pub(crate) user: TestUser,
    pub(crate) old: OldApi,
    pub(crate) card: TestProbe,
    pub(crate) worker: Worker,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings of the hub.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let hub = Hub::start_with(settings).await;
        let user = hub.user("ana", RICH).await;
        let card = user.probe("p").await;
        let worker = Worker::start(&hub, &card, 1_000_000).await;
        Self {
            old: OldApi::of(&hub, &user),
            hub,
            user,
            card,
            worker,
        }
    }

    /// An order of this kind for the probe, without mistakes.
    pub(crate) fn order(&self, kind: &str) -> Value {
        order(kind, &[&self.card])
    }

    /// Sends an order of this kind with some parameters changed or added.
    pub(crate) async fn ask(&self, kind: &str, change: &Value) -> Answer {
        self.post(kind, &with_params(self.order(kind), change))
            .await
    }

    /// Sends an order; `kind` is its path.
    pub(crate) async fn post(&self, kind: &str, order: &Value) -> Answer {
        self.old.post(&format!("/{kind}"), order).await
    }

    /// Sends an order with some parameters changed or added that must be taken; what was answered and what the probe
    /// was told.
    pub(crate) async fn launch(&mut self, kind: &str, change: &Value) -> (Value, Assign) {
        let made = self.ask(kind, change).await.expect_old(201);
        let assign = self.worker.offered(id_of(&made)).await;
        (made, assign)
    }

    /// The user's balance as the old path shows it.
    pub(crate) async fn balance(&self) -> i64 {
        let me = self.old.get("/users/me").await.expect_old(200);
        me["credits"].as_i64().expect("a whole balance")
    }
}

/// The identifier of an operation.
pub(crate) fn id_of(operation: &Value) -> OperationId {
    let id = operation["_id"].as_str().and_then(|id| id.parse().ok());
    id.unwrap_or_else(|| panic!("no identifier in {operation}"))
}

/// An order as the old frontend sends it: it runs in every minute of the next ten.
pub(crate) fn order(kind: &str, probes: &[&TestProbe]) -> Value {
    let ids: Vec<_> = probes.iter().map(|probe| probe.id).collect();
    let mut params = json!({
        "cron": "* * * * *",
        "stop_time": stop_in(TimeDelta::minutes(10)),
        "times_per_minute": 1,
    });
    match kind {
        "dns" => params["fqdns"] = json!(["example.org"]),
        _ => params["ips"] = json!(["127.0.0.1"]),
    }
    json!({"probes": ids, "params": params, "result_format": "json"})
}

/// The order with some parameters changed or added.
pub(crate) fn with_params(mut order: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().expect("parameters") {
        order["params"][name] = value.clone();
    }
    order
}

/// The order without one of its parameters.
pub(crate) fn without_param(mut order: Value, name: &str) -> Value {
    let params = order["params"].as_object_mut().expect("parameters");
    assert!(params.remove(name).is_some(), "there is no {name}");
    order
}

/// A time as the old paths write it, in UTC: so much after the minute that runs now.
pub(crate) fn stop_in(later: TimeDelta) -> String {
    (Utc::now() + later).format("%d/%m/%Y %H:%M").to_string()
}

/// A connected probe that accepts whatever it is offered and can tell what that was.
pub(crate) struct Worker {
    offers: mpsc::UnboundedReceiver<Assign>,
    reading: JoinHandle<()>,
}

impl Worker {
    /// Connects with so many credits.
    pub(crate) async fn start(hub: &Hub, card: &TestProbe, total_credits: u32) -> Self {
        let hello = Hello {
            total_credits,
            ..hello(Vec::new())
        };
        let probe = FakeProbe::connect_as(hub, &card.token, hello).await;
        let (sender, offers) = mpsc::unbounded_channel();
        Self {
            offers,
            reading: tokio::spawn(work(probe, sender)),
        }
    }

    /// What the probe was told of an operation; what it was told before is forgotten.
    pub(crate) async fn offered(&mut self, operation: OperationId) -> Assign {
        let looking = async {
            loop {
                let assign = self.offers.recv().await.expect("a probe with a session");
                if assign.operation == operation {
                    return assign;
                }
            }
        };
        within(SOON, "an offer", looking).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn work(mut probe: FakeProbe, offers: mpsc::UnboundedSender<Assign>) {
    loop {
        // Idle is no mistake here, so the deadline of `FakeProbe::until` is not for this.
        match probe.socket.hear().await {
            tests::Heard::Frame(HubFrame::Assign(assign)) => {
                let operation = assign.operation;
                if offers.send(assign).is_err() {
                    return;
                }
                probe.say(&ProbeFrame::Accepted { operation }).await;
            }
            tests::Heard::Frame(_) => {}
            tests::Heard::Closed(_) | tests::Heard::Broken => return,
        }
    }
}

//! What the demo asks of the hub, through the public API like anybody else.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, TimeDelta, Utc};
use probe_protocol::{Kind, OperationId};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Api, api};
use tokio::time::sleep;

use crate::Failure;

/// What the probe is called.
pub(crate) const PROBE_NAME: &str = "demo";

/// Credits for the user: a day of the demo's pings costs 8,640.
const CREDITS: i64 = 100_000;
/// How long the ping goes on.
const PING_FOR: TimeDelta = TimeDelta::days(1);
/// Longest the agent may take to connect: it looks at its tools first.
const CONNECTED_WITHIN: Duration = Duration::from_secs(45);
/// How often the hub is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What someone logs in with.
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// A login with a password of its own: other users of this machine can reach the hub too.
pub(crate) fn login(email: &str) -> Login {
    let password = format!("Demo-1-{:08x}", rand::random::<u32>());
    Login {
        email: email.to_owned(),
        password,
    }
}

/// Who there is.
pub(crate) struct World {
    /// Speaks as the user.
    pub(crate) user: Api,
    /// The user's token.
    pub(crate) token: String,
    pub(crate) probe: String,
    pub(crate) probe_token: String,
}

/// An operation that was created.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: OperationId,
    pub(crate) kind: Kind,
}

/// Registers a user, gives credits, registers a probe.
pub(crate) async fn people(hub: &str, admin: &Login, user: &Login) -> Result<World, Failure> {
    let nobody = Api::new(hub);
    let body = |login: &Login| json!({"email": login.email, "password": login.password});
    let registered = post(&nobody, "/api/v1/users", body(user)).await?;
    let token = text(&post(&nobody, "/api/v1/sessions", body(user)).await?["token"])?;
    let admin_token = text(&post(&nobody, "/api/v1/sessions", body(admin)).await?["token"])?;
    let path = format!("/api/v1/users/{}/credits", text(&registered["id"])?);
    post(
        &nobody.with_token(&admin_token),
        &path,
        json!({"credits": CREDITS}),
    )
    .await?;
    let user = nobody.with_token(&token);
    let here = json!({"longitude": -58.37, "latitude": -34.6});
    let created = post(
        &user,
        "/api/v1/probes",
        json!({"name": PROBE_NAME, "location": here}),
    )
    .await?;
    let (probe, probe_token) = (text(&created["probe"]["id"])?, text(&created["token"])?);
    Ok(World {
        user,
        token,
        probe,
        probe_token,
    })
}

/// Waits for the probe; the kinds it can run. `ended` says how the agent ended, if it has.
pub(crate) async fn connected(
    world: &World,
    mut ended: impl FnMut() -> Option<String>,
) -> Result<Vec<Kind>, Failure> {
    let path = format!("/api/v1/probes/{}", world.probe);
    let started = Instant::now();
    while started.elapsed() < CONNECTED_WITHIN {
        let probe = call(&world.user, Method::GET, &path, None).await?;
        // It counts as connected a moment before what it said of itself is stored.
        let kinds = &probe["agent"]["capabilities"];
        if probe["connected"] == true && !kinds.is_null() {
            return serde_json::from_value(kinds.clone()).map_err(odd);
        }
        if let Some(why) = ended() {
            return Err(Failure(why));
        }
        sleep(ASK_EVERY).await;
    }
    Err(Failure("the probe did not connect in time".into()))
}

/// Orders what this probe can run: a ping six times a minute, a traceroute and a question of dns once, now.
pub(crate) async fn order(
    world: &World,
    kinds: &[Kind],
    dns_port: u16,
) -> Result<Vec<Order>, Failure> {
    let mut orders = Vec::new();
    for kind in kinds {
        let mut body = match kind {
            Kind::Ping => {
                let stop_time = (Utc::now() + PING_FOR).to_rfc3339_opts(SecondsFormat::Secs, true);
                let schedule =
                    json!({"cron": "* * * * *", "times_per_minute": 6, "stop_time": stop_time});
                json!({"targets": ["127.0.0.1"], "params": {"probecount": 3}, "schedule": schedule})
            }
            Kind::Traceroute => json!({"targets": ["127.0.0.1"]}),
            Kind::Dns => {
                json!({"targets": ["host.example"], "params": {"server": "127.0.0.1", "port": dns_port, "type": "a"}})
            }
        };
        body["kind"] = json!(kind);
        body["probes"] = json!([world.probe]);
        let created = post(&world.user, "/api/v1/operations", body).await?;
        let id = text(&created["id"])?.parse().map_err(odd)?;
        orders.push(Order { id, kind: *kind });
    }
    Ok(orders)
}

async fn post(api: &Api, path: &str, body: Value) -> Result<Value, Failure> {
    call(api, Method::POST, path, Some(body)).await
}

/// The body of a good answer.
pub(crate) async fn call(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Failure> {
    let mut request = api.request(method.clone(), path);
    if let Some(body) = &body {
        request = request.json(body);
    }
    let answer = api::send(request)
        .await
        .map_err(|error| Failure(format!("{method} {path}: {error}")))?;
    if (200..300).contains(&answer.status) {
        return Ok(answer.json());
    }
    Err(Failure(format!(
        "{method} {path}: {} {}",
        answer.status,
        answer.text()
    )))
}

fn text(value: &Value) -> Result<String, Failure> {
    value.as_str().map(str::to_owned).ok_or_else(|| odd(value))
}

fn odd(what: impl Display) -> Failure {
    Failure(format!("the hub answered something unexpected: {what}"))
}

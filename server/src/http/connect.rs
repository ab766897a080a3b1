//! `/probe/v1`: a probe connects: token → upgrade → hello → seat → settle → session.
//!
//! Join, then read what is pending: in the other order an operation that is launched in between would be missed.
//! Nothing here is a rule; the session gets all it needs and its end is logged here, once.

use std::time::Duration;

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::HeaderMap,
    response::Response,
};
use chrono::Utc;
use probe_protocol::{Close, Hello, HubFrame, Limits, MAX_FRAME, ProbeFrame, SUBPROTOCOL, Welcome};
use tokio::time::timeout;

use super::{Http, auth::bearer, body::Params, error::ApiError};
use crate::{
    bus::Event,
    domain::Invalid,
    ingest::Inbox,
    registry::{Down, SessionHandle},
    session::{self, Ended, Session},
    store::Settled,
    tokens::ProbeClaims,
};

/// A probe that does not say hello for so long is no probe.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Results a probe may have under way unanswered: two batches of a round trip on a slow line.
const MOST_UNANSWERED: u32 = 64;
/// Assignments offered before the session starts to listen; the sweep offers the rest.
const OFFERS_AT_ONCE: usize = 100;
/// Longest name or version of an agent that is kept, characters.
const LONGEST_AGENT: usize = 100;

/// Upgrades a probe's request, if its token is good.
pub(crate) async fn connect(
    State(http): State<Http>,
    headers: HeaderMap,
    mut params: Params,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    // Where a probe that cannot set headers puts its token.
    let query: Option<String> = params.optional("token", "a token");
    let token = bearer(&headers).or(query.as_deref());
    let claims = http
        .tokens
        .probe(token.ok_or(ApiError::Unauthorized("a probe token is required"))?)?;
    if !is_valid(&http, claims).await? {
        return Err(ApiError::Unauthorized(
            "the token was rotated or the probe deleted",
        ));
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Err(Invalid::one("Upgrade", rejection.to_string()).into()),
    };
    let upgrade = session::configure(upgrade.protocols([SUBPROTOCOL]));
    if upgrade.selected_protocol().is_none() {
        let detail = format!("must be {SUBPROTOCOL}");
        return Err(Invalid::one("Sec-WebSocket-Protocol", detail).into());
    }
    let Some(inbox) = http.inbox() else {
        return Err(ApiError::Busy("the hub is stopping"));
    };
    let token = http.sessions.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _token = token;
        serve(http, claims, socket, inbox).await;
    }))
}

async fn is_valid(http: &Http, claims: ProbeClaims) -> Result<bool, ApiError> {
    let probe = http.store.probe(claims.identifier).await?;
    Ok(probe.is_some_and(|probe| probe.token_generation == claims.generation))
}

async fn serve(http: Http, claims: ProbeClaims, mut socket: WebSocket, inbox: Inbox) {
    let probe = claims.identifier;
    let hello = match timeout(HELLO_WITHIN, hear_hello(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(None)) => return,
        Ok(Err(Some(close))) => return refuse(&mut socket, claims, close).await,
        Err(_) => return refuse(&mut socket, claims, Close::HelloTimeout).await,
    };
    let connection = http.registry.next_connection();
    let (handle, ends) = SessionHandle::new(probe, connection, hello.in_use_credits);
    let seat = http.registry.join(handle.clone());
    if http.stop.is_cancelled() {
        handle.stop(Close::Restart);
    }
    let first = match settle(&http, claims, &handle, hello).await {
        Ok(first) => first,
        Err(close) => {
            drop(seat);
            return refuse(&mut socket, claims, close).await;
        }
    };
    tracing::info!(probe.id = %probe, session = connection.0, "probe connected");
    let ended = Session::new(socket, handle, ends, inbox).run(first).await;
    drop(seat);
    match ended {
        Ended::ByHub(close) => {
            tracing::info!(probe.id = %probe, session = connection.0, code = close.code(), "probe session closed: {}", close.word());
        }
        Ended::ByProbe => {
            tracing::info!(probe.id = %probe, session = connection.0, "probe disconnected")
        }
        Ended::TooBig => {
            tracing::warn!(probe.id = %probe, session = connection.0, "probe sent a frame longer than {MAX_FRAME} bytes")
        }
    }
}

async fn refuse(socket: &mut WebSocket, claims: ProbeClaims, close: Close) {
    tracing::info!(probe.id = %claims.identifier, code = close.code(), "probe refused: {}", close.word());
    session::close_socket(socket, close.code(), close.word()).await;
}

/// The first frame. `Err(None)` when the probe went away.
async fn hear_hello(socket: &mut WebSocket) -> Result<Hello, Option<Close>> {
    loop {
        let frame = match socket.recv().await {
            Some(Ok(Message::Text(text))) => ProbeFrame::from_text(&text),
            Some(Ok(Message::Binary(bytes))) => ProbeFrame::from_binary(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        };
        return match frame {
            Ok(ProbeFrame::Hello(hello)) => Ok(shortened(hello)),
            _ => Err(Some(Close::ProtocolError)),
        };
    }
}

fn shortened(mut hello: Hello) -> Hello {
    for text in [&mut hello.agent, &mut hello.version] {
        *text = text
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_AGENT)
            .collect();
    }
    hello.capabilities.sort_unstable();
    hello.capabilities.dedup();
    hello
}

/// Brings store and probe to the same state; what the probe must hear first.
async fn settle(
    http: &Http,
    claims: ProbeClaims,
    handle: &SessionHandle,
    hello: Hello,
) -> Result<Vec<Down>, Close> {
    let away = |error: &dyn std::fmt::Display| {
        tracing::warn!(probe.id = %handle.probe, %error, "a probe could not be settled");
        Close::Unavailable
    };
    // Since the upgrade the token may have been rotated; from the join on a revocation reaches the seat.
    match is_valid(http, claims).await {
        Ok(true) => {}
        Ok(false) => return Err(Close::Revoked),
        Err(_) => return Err(Close::Unavailable),
    }
    let (store, probe) = (http.store.clone(), handle.probe);
    let write = async move { store.settle(probe, hello, Utc::now(), OFFERS_AT_ONCE).await };
    let settled = super::to_its_end(write)
        .await
        .map_err(|_| Close::Unavailable)?
        .map_err(|error| away(&error))?;
    for change in &settled.changed {
        http.bus.publish(Event::Changed(*change));
    }
    first_frames(http, handle, &settled).map_err(|error| away(&error))
}

fn first_frames(
    http: &Http,
    handle: &SessionHandle,
    settled: &Settled,
) -> Result<Vec<Down>, probe_protocol::FrameError> {
    let welcome = HubFrame::Welcome(Welcome {
        probe: handle.probe,
        session: handle.connection.0,
        instance: http.instance.to_string(),
        hub_time: Utc::now(),
        limits: Limits {
            max_frame: u32::try_from(MAX_FRAME).unwrap_or(u32::MAX),
            max_unanswered: MOST_UNANSWERED,
            heartbeat_s: u32::try_from(session::HEARTBEAT.as_secs()).unwrap_or(u32::MAX),
            target_policy: http.target_policy,
        },
    });
    let mut first = vec![Down {
        frame: welcome.to_text()?.into(),
        delivers: None,
    }];
    for operation in &settled.cancel {
        let frame = HubFrame::Cancel {
            operation: *operation,
        }
        .to_text()?;
        first.push(Down {
            frame: frame.into(),
            delivers: None,
        });
    }
    first.extend(
        settled
            .offers
            .iter()
            .filter_map(|plan| http.dispatch.frame(plan)),
    );
    Ok(first)
}

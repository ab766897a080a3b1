//! Probes connect here, each over the wire that it speaks: token → upgrade → who are you → seat → settle → session.
//!
//! Join, then read what is pending: in the other order an operation that is launched in between would be missed.
//! Nothing here is a rule; the session gets all it needs and its end is logged here, once.

use std::time::Duration;

use axum::{Router, extract::ws::WebSocket, routing::get};
use chrono::Utc;
use probe_protocol::{Close, HubFrame, Limits, MAX_FRAME, SUBPROTOCOL, Welcome};
use tokio::time::{sleep, timeout};

use super::{Http, error::ApiError};
use crate::{
    bus::Event,
    domain::{Agent, Holdings},
    ingest::Inbox,
    metrics::{self, OpenSession},
    registry::{ConnectionId, Down, Seat, SessionHandle},
    session::{self, Ended, Session, Wire},
    store::Settled,
    tokens::ProbeClaims,
};

mod socketio;
mod v1;

/// A probe that does not introduce itself for so long is no probe.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Results a probe may have under way unanswered: two batches of a round trip on a slow line.
const MOST_UNANSWERED: u32 = 64;
/// How often a session without a place looks whether it is free.
const LOOK_FOR_PLACE_EVERY: Duration = Duration::from_secs(2);
/// Probes that are settled at the same time: as many as a store takes in one transaction, and as many that gather meanwhile.
/// All of them may come at once, and a store that works on all at once is done with none of them before they give up and
/// come again.
pub(crate) const MOST_SETTLING: usize = 256;
/// Longest a probe waits for its turn; then it is told to come later, before it gives up and the work is in vain.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Assignments offered before the session starts to listen; the sweep offers the rest.
const OFFERS_AT_ONCE: usize = 100;

/// Where probes connect.
pub(crate) fn routes() -> Router<Http> {
    Router::new()
        .route(probe_protocol::PATH, get(v1::connect))
        .route(socketio::PATH, get(socketio::connect))
}

/// The probe that a token names, if the token is good.
async fn admit(http: &Http, token: Option<&str>) -> Result<ProbeClaims, ApiError> {
    let claims = http
        .tokens
        .probe(token.ok_or(ApiError::Unauthorized("a probe token is required"))?)?;
    // Not the whole probe: what is open on it would be added up, and all probes may come at once.
    let standings = http.store.standings(vec![claims.identifier]).await?;
    if standings
        .iter()
        .any(|standing| standing.token_generation == claims.generation)
    {
        return Ok(claims);
    }
    Err(ApiError::Unauthorized(
        "the token was rotated or the probe deleted",
    ))
}

/// Who connected, and what it says of itself.
struct Arrival {
    claims: ProbeClaims,
    agent: Agent,
    in_use: u32,
    holdings: Holdings,
}

/// A probe that has its place and knows what is open.
struct Seated<W> {
    claims: ProbeClaims,
    connection: ConnectionId,
    seat: Seat,
    session: Box<Session<W>>,
    first: Vec<Down>,
}

/// Runs the session that `begins` comes to, if there is one, to its end. What the beginning needed is given back before:
/// of ten thousand sessions, nearly all are past it.
async fn serve<W: Wire>(http: Http, begins: impl Future<Output = Option<Seated<W>>> + Send) {
    let Some(seated) = Box::pin(begins).await else {
        return;
    };
    let Seated {
        claims,
        connection,
        seat,
        mut session,
        first,
    } = seated;
    tracing::info!(probe.id = %claims.identifier, session = connection.0, wire = W::NAME, "probe connected");
    let open = OpenSession::of(W::KIND);
    let ended = session.run(first, linger(&http, seat)).await;
    drop(open);
    log_end::<W>(claims, connection.0, ended);
}

/// Seats a probe and settles what was open; `None` where it is refused. `wire` makes its wire.
async fn seat<W: Wire>(
    http: &Http,
    arrival: Arrival,
    mut socket: WebSocket,
    inbox: Inbox,
    wire: impl FnOnce(&SessionHandle) -> W,
) -> Option<Seated<W>> {
    let (claims, probe) = (arrival.claims, arrival.claims.identifier);
    let registry = http.roster.registry();
    let (handle, ends) = registry.session(probe, claims.generation, arrival.in_use);
    let (connection, seat) = (handle.connection, registry.join(handle.clone()));
    if http.stop.is_cancelled() {
        handle.stop(Close::Restart);
    }
    let settled = match settle(http, arrival).await {
        Ok(settled) => settled,
        Err(close) => {
            drop(seat);
            refuse::<W>(&mut socket, claims, close).await;
            return None;
        }
    };
    http.roster.seat(&handle, settled.session);
    let mut first = first(http, &handle, &settled);
    let offers = settled.offers.iter();
    first.extend(offers.filter_map(|plan| http.dispatch.offer(plan)));
    let session = Session::new(socket, wire(&handle), handle, ends, inbox);
    Some(Seated {
        claims,
        connection,
        seat,
        session: Box::new(session),
        first,
    })
}

/// How long a session stays that lost its place to a newer one: until the hub stops or the place is free again, which it
/// is soon where the newer one was a connection that the probe itself had given up.
async fn linger(http: &Http, seat: Seat) {
    let probe = seat.probe();
    drop(seat);
    let free = async {
        loop {
            sleep(LOOK_FOR_PLACE_EVERY).await;
            if !http.roster.is_connected(probe) {
                return;
            }
        }
    };
    tokio::select! {
        () = http.lingering.until(&http.stop) => {}
        () = free => {}
    }
}

/// Says goodbye to a probe that gets no session.
async fn refuse<W: Wire>(socket: &mut WebSocket, claims: ProbeClaims, close: Close) {
    tracing::info!(probe.id = %claims.identifier, code = close.code(), "probe refused: {}", close.word());
    metrics::hello_failed(W::KIND, close.word());
    let (code, reason) = W::goodbye(close);
    session::close_socket(socket, code, reason).await;
}

/// What the probe hears before its operations.
fn first(http: &Http, handle: &SessionHandle, settled: &Settled) -> Vec<Down> {
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
    let cancel = settled.cancel.iter();
    let cancel = cancel.map(|&operation| HubFrame::Cancel { operation });
    let frames = [welcome].into_iter().chain(cancel).map(Box::new);
    frames.map(Down::Say).collect()
}

fn log_end<W: Wire>(claims: ProbeClaims, session: u64, ended: Ended) {
    let probe = claims.identifier;
    match ended {
        Ended::ByHub(close) => {
            tracing::info!(probe.id = %probe, session, code = close.code(), "probe session closed: {}", close.word());
            metrics::session_closed(W::KIND, close);
        }
        Ended::ByProbe => {
            tracing::info!(probe.id = %probe, session, "probe disconnected");
            metrics::session_left(W::KIND);
        }
        Ended::TooBig => {
            tracing::warn!(probe.id = %probe, session, "probe sent a frame that is too long");
            metrics::session_said_too_much(W::KIND);
        }
    }
}

/// Brings store and probe to the same state.
async fn settle(http: &Http, arrival: Arrival) -> Result<Settled, Close> {
    let ProbeClaims {
        identifier: probe,
        generation,
    } = arrival.claims;
    let Ok(Ok(turn)) = timeout(TURN_WITHIN, http.settling.clone().acquire_owned()).await else {
        return Err(Close::Unavailable);
    };
    let store = http.store.clone();
    let Arrival {
        agent, holdings, ..
    } = arrival;
    let write = async move {
        // Until it is done, whether the probe is still there or not.
        let _turn = turn;
        let now = Utc::now();
        store
            .settle(probe, generation, agent, holdings, now, OFFERS_AT_ONCE)
            .await
    };
    let settled = super::to_its_end(write)
        .await
        .map_err(|_| Close::Unavailable)?
        .map_err(|error| {
            tracing::warn!(probe.id = %probe, %error, "a probe could not be settled");
            Close::Unavailable
        })?
        // Since the upgrade the token was rotated; from the join on a revocation reaches the seat.
        .ok_or(Close::Revoked)?;
    for change in &settled.changed {
        http.bus.publish(Event::Changed(*change));
    }
    Ok(settled)
}

//! `/probe/v1`: probes that speak `probe-protocol`.

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use probe_protocol::{Close, Hello, MAX_FRAME, ProbeFrame};
use tokio::time::timeout;

use super::{
    super::{Http, auth::bearer, body::Params, error::ApiError},
    Arrival, HELLO_WITHIN, SUBPROTOCOL, Seated, admit, refuse, seat, serve,
};
use crate::{
    domain::{Agent, Holdings, Invalid},
    ingest::Inbox,
    metrics,
    registry::SessionHandle,
    session::{self, Wire as _, v1::V1},
    tokens::ProbeClaims,
};

/// Longest name or version of an agent that is kept, characters.
const LONGEST_AGENT: usize = 100;

/// Upgrades a probe's request, if its token is good.
pub(super) async fn connect(
    State(http): State<Http>,
    headers: HeaderMap,
    params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgraded = let_in(http, headers, params, upgrade).await;
    upgraded.inspect_err(|error| metrics::hello_failed(V1::KIND, error.code()))
}

async fn let_in(
    http: Http,
    headers: HeaderMap,
    mut params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    // Where a probe that cannot set headers puts its token.
    let query: Option<String> = params.optional("token", "a token");
    let claims = admit(&http, bearer(&headers).or(query.as_deref())).await?;
    let upgrade = upgrade.map_err(|rejection| Invalid::one("Upgrade", rejection.to_string()))?;
    let upgrade = session::configure(upgrade.protocols([SUBPROTOCOL]), MAX_FRAME);
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
        serve(http.clone(), greet(http, claims, socket, inbox)).await;
    }))
}

/// Hears who it is and gives it its place; `None` where it gets none.
async fn greet(
    http: Http,
    claims: ProbeClaims,
    mut socket: WebSocket,
    inbox: Inbox,
) -> Option<Seated<V1>> {
    let heard = tokio::select! {
        heard = timeout(HELLO_WITHIN, hear_hello(&mut socket)) => heard.unwrap_or(Err(Some(Close::HelloTimeout))),
        () = http.stop.cancelled() => Err(Some(Close::Restart)),
    };
    let hello = match heard {
        Ok(hello) => hello,
        Err(None) => {
            metrics::hello_failed(V1::KIND, "went_away");
            return None;
        }
        Err(Some(close)) => {
            refuse::<V1>(&mut socket, claims, close).await;
            return None;
        }
    };
    let arrival = Arrival {
        claims,
        in_use: hello.in_use_credits,
        agent: agent(&hello),
        holdings: Holdings::Exactly(hello.assignments),
    };
    let wire = |handle: &SessionHandle| V1::new(handle.clone());
    seat(&http, arrival, socket, inbox, wire).await
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
            Ok(ProbeFrame::Hello(hello)) => Ok(hello),
            _ => Err(Some(Close::ProtocolError)),
        };
    }
}

fn agent(hello: &Hello) -> Agent {
    let short = |text: &str| -> String {
        let plain = text.chars().filter(|c| !c.is_control());
        plain.take(LONGEST_AGENT).collect()
    };
    let mut capabilities = hello.capabilities.clone();
    capabilities.sort_unstable();
    capabilities.dedup();
    Agent {
        name: short(&hello.agent),
        version: short(&hello.version),
        capabilities,
        total_credits: hello.total_credits,
    }
}

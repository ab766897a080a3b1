//! `/socket.io/`: agents of the system that this one replaces. They speak Socket.IO 5 over Engine.IO 4, by websocket
//! from the first request on, and put their token in the query and their credits in headers.
//!
//! Whatever is wrong is refused before the upgrade: such an agent tries again after a refused request, but waits for
//! ever after a refusal in the Socket.IO way.

use axum::{
    extract::{
        Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use chrono::Utc;
use probe_protocol::{Close, Kind};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    super::{Http, error::ApiError},
    Arrival, HELLO_WITHIN, Seated, admit, refuse, seat, serve,
};
use crate::{
    domain::{Agent, Holdings, Invalid},
    ingest::Inbox,
    metrics,
    registry::SessionHandle,
    session::{
        self, Wire as _,
        socketio::{self, SocketIo},
    },
};

/// The path that the client library always uses.
pub(super) use probe_protocol::old::PATH;

/// The version of Engine.IO that is spoken here.
const ENGINE_IO: &str = "4";

/// What stands in the query; the rest (a time against caches) does not matter.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    token: Option<String>,
    transport: Option<String>,
    #[serde(rename = "EIO")]
    engine_io: Option<String>,
}

/// Upgrades an agent's request, if its token and headers are good.
pub(super) async fn connect(
    State(http): State<Http>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgraded = let_in(http, headers, asked, upgrade).await;
    upgraded.inspect_err(|error| metrics::hello_failed(SocketIo::KIND, error.code()))
}

async fn let_in(
    http: Http,
    headers: HeaderMap,
    asked: Asked,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    if asked.engine_io.as_deref() != Some(ENGINE_IO) {
        return Err(Invalid::one("?EIO", format!("must be {ENGINE_IO}")).into());
    }
    if asked.transport.as_deref() != Some("websocket") {
        return Err(Invalid::one("?transport", "must be websocket").into());
    }
    let upgrade = upgrade.map_err(|rejection| Invalid::one("Upgrade", rejection.to_string()))?;
    let claims = admit(&http, asked.token.as_deref()).await?;
    let total_credits = credits(&headers, ["total_credits", "total-credits"])?;
    let in_use = credits(&headers, ["in_use_credits", "in-use-credits"])?;
    let Some(inbox) = http.inbox() else {
        return Err(ApiError::Busy("the hub is stopping"));
    };
    let arrival = Arrival {
        claims,
        agent: Agent {
            name: socketio::AGENT.to_owned(),
            version: String::new(),
            capabilities: Kind::ALL.to_vec(),
            total_credits,
        },
        in_use,
        holdings: Holdings::Worth {
            credits: in_use,
            said_at: Utc::now(),
        },
    };
    let token = http.sessions.token();
    let upgrade = session::configure(upgrade, socketio::LONGEST_FRAME);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _token = token;
        serve(http.clone(), greet(http, arrival, socket, inbox)).await;
    }))
}

/// A header with credits. A proxy that drops headers with underscores is the usual reason why there is none.
fn credits(headers: &HeaderMap, spellings: [&str; 2]) -> Result<u32, Invalid> {
    let header = spellings.iter().find_map(|name| headers.get(*name));
    let text = header.and_then(|value| value.to_str().ok());
    let number: Option<i64> = text.and_then(|text| text.trim().parse().ok());
    let wanted = "must be a whole number; does a proxy drop headers with underscores?";
    let number = number.ok_or_else(|| Invalid::one(spellings[0], wanted))?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Hears it connect and gives it its place; `None` where it gets none.
async fn greet(
    http: Http,
    arrival: Arrival,
    mut socket: WebSocket,
    inbox: Inbox,
) -> Option<Seated<SocketIo>> {
    let heard = tokio::select! {
        heard = timeout(HELLO_WITHIN, hear_connect(&mut socket)) => heard,
        () = http.stop.cancelled() => {
            refuse::<SocketIo>(&mut socket, arrival.claims, Close::Restart).await;
            return None;
        }
    };
    // Who goes away or talks of something else before it has connected is nobody to say goodbye to.
    let failed = match heard {
        Ok(Some(())) => None,
        Ok(None) => Some("went_away"),
        Err(_) => Some(Close::HelloTimeout.word()),
    };
    if let Some(reason) = failed {
        metrics::hello_failed(SocketIo::KIND, reason);
        return None;
    }
    let names = http.names.clone();
    let wire = |handle: &SessionHandle| SocketIo::new(handle.clone(), names);
    seat(&http, arrival, socket, inbox, wire).await
}

/// Opens the Engine.IO session and waits for the Socket.IO connect, which the session answers; what comes before is
/// ignored. `None` when the agent went away.
async fn hear_connect(socket: &mut WebSocket) -> Option<()> {
    socket.send(socketio::open()).await.ok()?;
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) if socketio::is_connect(&text) => {
                return Some(());
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

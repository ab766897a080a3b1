//! The address of its own that metrics and health may have. It outlives the main one: while a hub stops, who watches it
//! sees how far it is.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::AppError;
use crate::{
    http::{self, Http},
    listener,
};

/// Longest the last answers may take when the hub ends.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Listens at an address that a setting names; also where that is, for a port of 0 is a free one.
///
/// # Errors
/// [`AppError::Listen`] when that is not possible.
pub(super) async fn bind(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), AppError> {
    let listen = |cause| AppError::Listen {
        setting,
        address,
        cause,
    };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    Ok((listener, address))
}

/// The listener, if there is one.
pub(super) struct Watched {
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl Watched {
    /// Listens at `address`, where one is set.
    ///
    /// # Errors
    /// [`AppError::Listen`] when that is not possible.
    pub(super) async fn start(address: Option<SocketAddr>, http: &Http) -> Result<Self, AppError> {
        let stop = CancellationToken::new();
        let Some(address) = address else {
            return Ok(Self { stop, server: None });
        };
        let (listener, address) = bind("METRICS_ADDRESS", address).await?;
        tracing::info!(%address, "metrics and health are served");
        let router = http::watch_router(http.clone());
        let (door, patience) = (listener::Door::default(), LAST_ANSWERS_WITHIN);
        let server = listener::serve(listener, door, router, stop.clone(), patience);
        let server = Some(tokio::spawn(server));
        Ok(Self { stop, server })
    }

    /// Ends it.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Some(server) = self.server {
            // It ends by itself in time; should it panic, the hub ends all the same.
            let _ = server.await;
        }
    }
}

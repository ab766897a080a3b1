//! An axum route that sends the same lines to everybody who watches, and that is all.

use std::convert::Infallible;

use axum::{Router, body::Body, http::header::CONTENT_TYPE, routing::get};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};

/// Lines that may wait for one client.
const WAITING: usize = 4096;

/// It; gone when dropped.
#[derive(Debug)]
pub(super) struct Bare {
    url: String,
    lines: broadcast::Sender<Bytes>,
    task: JoinHandle<()>,
}

impl Bare {
    /// Serves whoever asks, at any path.
    pub(super) async fn serve() -> Self {
        let (lines, _) = broadcast::channel::<Bytes>(WAITING);
        let watched = lines.clone();
        let watch = async move || {
            let watched = stream::unfold(watched.subscribe(), async |mut lines| {
                let line = lines.recv().await.ok()?;
                Some((Ok::<_, Infallible>(line), lines))
            });
            (
                [(CONTENT_TYPE, "text/event-stream")],
                Body::from_stream(watched.boxed()),
            )
        };
        let router = Router::new().fallback(get(watch));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self {
            url: format!("http://{address}"),
            lines,
            task,
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Sends this to everybody.
    pub(super) fn send(&self, lines: &str) {
        let told = self.lines.send(Bytes::copy_from_slice(lines.as_bytes()));
        told.expect("somebody who watches");
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! An axum route that returns the same bytes to everybody, and that is all.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use bytes::Bytes;
use tokio::{net::TcpListener, task::JoinHandle};

/// It; gone when dropped.
#[derive(Debug)]
pub(super) struct Bare {
    url: String,
    task: JoinHandle<()>,
}

impl Bare {
    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves this as JSON.
pub(super) async fn serve(body: Bytes) -> Bare {
    let answer = async move || ([(CONTENT_TYPE, "application/json")], body.clone());
    let router = Router::new().route("/", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.expect("a server");
    });
    Bare {
        url: format!("http://{address}/"),
        task,
    }
}

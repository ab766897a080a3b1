//! Follows an operation through its live stream, and comes back to it where it was when the stream breaks.

use std::time::Duration;

use probe_protocol::Kind;
use reqwest::Method;
use serde_json::Value;
use tests::{Api, EventStream};
use tokio::{sync::mpsc::Sender, time::sleep};

use crate::setup::{self, Order};

/// Pause before coming back.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// What is heard of an operation.
pub(crate) enum Heard {
    /// A result, as the API shows it.
    Result { kind: Kind, view: Value },
    /// No more results will come; `why` is how its assignment ended.
    Ended { kind: Kind, why: String },
}

/// Tells what happens to an operation until it ends or nobody listens.
pub(crate) async fn follow(user: Api, order: Order, listener: Sender<Heard>) {
    let kind = order.kind;
    let mut last = None;
    loop {
        if let Ok(mut stream) = EventStream::open(&user, order.id, last).await {
            while let Some(event) = stream.next().await {
                let heard = match event.name.as_str() {
                    "result" => Heard::Result {
                        kind,
                        view: event.json(),
                    },
                    "end" => Heard::Ended {
                        kind,
                        why: how_it_ended(&user, &order).await,
                    },
                    _ => continue,
                };
                last = event.id.or(last);
                let is_end = matches!(heard, Heard::Ended { .. });
                if listener.send(heard).await.is_err() || is_end {
                    return;
                }
            }
        }
        if listener.is_closed() {
            return;
        }
        sleep(COME_BACK_AFTER).await;
    }
}

async fn how_it_ended(user: &Api, order: &Order) -> String {
    let path = format!("/api/v1/operations/{}", order.id);
    let detail = setup::call(user, Method::GET, &path, None)
        .await
        .unwrap_or_default();
    let assignment = &detail["assignments"][0];
    let state = assignment["state"].as_str().unwrap_or("ended");
    match assignment["reason"].as_str() {
        Some(reason) => format!("{state}, {reason}"),
        None => state.to_owned(),
    }
}

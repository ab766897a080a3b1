//! A client that watches an operation to its last result, through streams that are cut anywhere.

use std::{ops::Range, time::Duration};

use probe_protocol::OperationId;
use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;
use tests::{Api, EventStream, wait::within};
use tokio::time::{sleep, timeout};

/// Bytes after which a stream is cut: from before its first event to after many.
const CUT_AFTER: Range<usize> = 0..60_000;
/// Pause before a client comes back to a hub that is away or in trouble.
const RETRY_AFTER: Duration = Duration::from_millis(30);
/// A hub that does not answer in this time stands still; another one may serve.
const OPENED_WITHIN: Duration = Duration::from_secs(15);
/// Longest between two events: nothing comes while a hub or its store is away.
const NEXT_WITHIN: Duration = Duration::from_secs(120);

/// Such a client.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// With the owner's token; each stream is opened at one of them.
    pub(crate) apis: Vec<Api>,
    /// What it watches.
    pub(crate) operation: OperationId,
    /// How many results there will be.
    pub(crate) results: usize,
    /// How often it cuts its stream.
    pub(crate) cuts: usize,
    /// Where it does.
    pub(crate) random: StdRng,
}

impl Watcher {
    /// Sees every result once and in order; how many streams that took.
    ///
    /// # Panics
    /// At a hole or a repeat.
    pub(crate) async fn watch(mut self) -> usize {
        let mut seen: Vec<Value> = Vec::new();
        let mut streams = 0;
        while seen.len() < self.results {
            // The first event is the operation itself: a stream may be cut in the middle of that too.
            let last = (!seen.is_empty()).then_some(seen.len() as u64);
            let api = &self.apis[self.random.random_range(0..self.apis.len())];
            let opening = EventStream::try_open(api, self.operation, last);
            let Ok(Some(mut stream)) = timeout(OPENED_WITHIN, opening).await else {
                sleep(RETRY_AFTER).await;
                continue;
            };
            if streams < self.cuts {
                stream = stream.cut_after(self.random.random_range(CUT_AFTER));
            }
            self.read(&mut stream, &mut seen).await;
            streams += 1;
        }
        let mut codes: Vec<String> = seen
            .iter()
            .map(|result| format!("{} {}", result["probe"], result["code"]))
            .collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), self.results, "a result came twice");
        streams
    }

    async fn read(&self, stream: &mut EventStream, seen: &mut Vec<Value>) {
        while seen.len() < self.results {
            let Some(event) = within(NEXT_WITHIN, "an event", stream.next()).await else {
                return;
            };
            if event.name != "result" {
                continue;
            }
            let (expected, result) = (seen.len() as u64 + 1, event.json());
            assert_eq!(
                (event.id, result["seq"].as_u64()),
                (Some(expected), Some(expected)),
                "a hole or a repeat"
            );
            seen.push(result);
        }
    }
}

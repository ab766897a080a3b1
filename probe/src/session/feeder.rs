//! Reads results from the shelf, oldest first, and hands them to the writer as the window allows. Each goes out once a
//! session; what is not answered goes out again in the next one.

use tokio::sync::mpsc;
use tracing::warn;

use super::window::Window;
use crate::{packing, shelf::ShelfGone, shelf::ShelfHandle};

/// Results read at a time, and bytes after which no further one is: a batch in memory stays small.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;

/// Feeds until the writer is gone.
pub(super) async fn run(
    shelf: &ShelfHandle,
    window: &Window,
    results: mpsc::Sender<Vec<u8>>,
    max_frame: usize,
) -> Result<(), ShelfGone> {
    let mut sent_upto = 0;
    let mut snapshots = shelf.watch();
    loop {
        window.wait().await;
        let count = window.room().clamp(1, BATCH);
        let batch = shelf.call(move |shelf| {
            let newest = shelf.snapshot().newest;
            (shelf.read_after(sent_upto, count, BATCH_BYTES), newest)
        });
        let (batch, newest) = batch.await?;
        if batch.is_empty() {
            sent_upto = newest;
            let more = snapshots.wait_for(|snapshot| snapshot.newest > sent_upto);
            more.await.map_err(|_| ShelfGone)?;
            continue;
        }
        for one in batch {
            window.enter(one.key).await;
            sent_upto = one.sequence;
            let frame = if one.frame.len() > max_frame {
                warn!(
                    bytes = one.frame.len(),
                    "a kept result is longer than this hub takes: sent as a failure"
                );
                packing::replace(&one.frame).unwrap_or(one.frame)
            } else {
                one.frame
            };
            if results.send(frame).await.is_err() {
                return Ok(());
            }
        }
    }
}

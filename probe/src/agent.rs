//! The whole agent: puts the parts together, takes up what was left, and stops in order.
//!
//! Only this file knows all parts. Start: directory, shelf, scheduler (with what was held before), link. Stop: nothing
//! new starts, running measurements get a moment, the session says goodbye.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    assignments::Record,
    clock::SystemClock,
    config::Config,
    data_dir::{DataDir, DataDirError},
    desk::Desk,
    link::{self, Unlinked},
    runner::Runner,
    scheduler::Scheduler,
    shelf::{Shelf, ShelfGone, ShelfHandle},
};

/// How long running measurements may go on after a stop was asked for: a short ping ends by itself, and service
/// managers wait longer than this.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long the goodbye may take after that.
const GOODBYE: Duration = Duration::from_secs(3);

/// Why the agent ended although nobody asked it to work wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    /// The hub told it never to come back.
    Never {
        /// The websocket close code.
        code: u16,
        /// The hub's word for it.
        reason: String,
    },
}

/// The agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Its directory cannot be read.
    #[error("cannot read the data directory: {0}")]
    Load(io::Error),
    /// Its directory failed while it ran.
    #[error(transparent)]
    Shelf(#[from] ShelfGone),
}

/// Opens the data directory; the runner gets its `tmp`.
///
/// # Errors
/// [`DataDirError`]
pub fn open(config: &Config) -> Result<DataDir, DataDirError> {
    DataDir::open(&config.data)
}

/// Runs the agent until `stop` resolves or the hub says never to come back.
///
/// # Errors
/// [`AgentError`]
pub async fn run(
    config: Config,
    dir: DataDir,
    runner: Arc<dyn Runner>,
    stop: impl Future<Output = ()>,
) -> Result<Ended, AgentError> {
    let limit = config.spool_limit;
    let loaded = tokio::task::spawn_blocking(move || Shelf::load(dir, limit)).await;
    let shelf = loaded
        .map_err(|_| ShelfGone)?
        .and_then(ShelfHandle::start)
        .map_err(AgentError::Load)?;
    if config.hub.url.is_exposed() {
        warn!("the token travels unencrypted: use https:// for a hub on another machine");
    }
    let max_concurrent = usize::from(config.max_concurrent);
    let clock = Arc::new(SystemClock);
    let scheduler = Scheduler::new(shelf.clone(), runner, clock, max_concurrent);
    take_up(&shelf, &scheduler).await?;

    let desk = Desk::new(shelf.clone(), scheduler.clone(), config.total_credits);
    let stopping = CancellationToken::new();
    let link = link::keep(&config.hub, &desk, &stopping);
    tokio::pin!(link);
    tokio::select! {
        unlinked = &mut link => {
            scheduler.stop(Duration::ZERO).await;
            match unlinked {
                Unlinked::Stopped => Ok(Ended::Stopped),
                Unlinked::Never { code, reason } => Ok(Ended::Never { code, reason }),
                Unlinked::DataDir => Err(ShelfGone.into()),
            }
        }
        () = stop => {
            info!("stopping");
            // The session goes on meanwhile, so that last results may still be sent.
            tokio::select! {
                () = scheduler.stop(STOP_GRACE) => {}
                _ = &mut link => return Ok(Ended::Stopped),
            }
            stopping.cancel();
            let _ = tokio::time::timeout(GOODBYE, link).await;
            Ok(Ended::Stopped)
        }
    }
}

/// Goes on with the assignments that were held when the last agent on this directory ended.
async fn take_up(shelf: &ShelfHandle, scheduler: &Scheduler) -> Result<(), ShelfGone> {
    let records: Vec<Record> = shelf
        .call(|shelf| shelf.assignments.iter().cloned().collect())
        .await?;
    let live = records.iter().filter(|r| r.ended.is_none()).count();
    let spooled = shelf.now().spooled;
    info!(
        live,
        spooled, "holding {live} assignments and {spooled} unanswered results"
    );
    records
        .into_iter()
        .for_each(|record| scheduler.follow(record));
    Ok(())
}

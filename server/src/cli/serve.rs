//! `pladmed serve`: the hub, until it is told to stop.

use std::process::ExitCode;

use pladmed::{App, Config};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, config, runtime};

/// The stop took longer than STOP_SECONDS.
const EXIT_UNCLEAN: u8 = 3;

/// Runs it.
pub(super) fn run() -> Done {
    let config = config()?;
    pladmed::init_telemetry(&config)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(config));
    // What a stop gave up must not keep the process alive.
    runtime.shutdown_background();
    ended
}

/// Takes as many files as the system gives: every session is one, and programs that do not ask get 1,024 on most systems.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) => tracing::info!(files, "sessions and requests share so many open files"),
        None => tracing::info!("sessions and requests share open files without a limit"),
    }
}

async fn serve(config: Config) -> Done {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let environment = config.environment;
    let app = tokio::select! {
        app = App::start(config) => app?,
        () = told() => {
            tracing::info!("stopped before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tracing::info!(address = %app.address(), ?environment, version = env!("CARGO_PKG_VERSION"), "the hub is ready");
    told().await;
    tracing::info!("stopping");
    let clean = app.stop().await;
    tracing::info!(clean, "stopped");
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_UNCLEAN)
    })
}

//! `pladmed-probe`: arguments, logging, signals and exit codes; all else is in the library.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use pladmed_probe::{
    agent::{self, Ended},
    check,
    config::{
        Config, Hub, HubUrl, LEAST_SPOOL_LIMIT, MAX_CONCURRENT, SPOOL_LIMIT, TOTAL_CREDITS, Token,
    },
    runner::Tools,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

mod simulating;

/// Stopped as asked.
const STOPPED: u8 = 0;
/// Cannot work: the data directory is in use or fails, or the machine can measure nothing.
const CANNOT_WORK: u8 = 1;
// 2 is the argument parser's: wrong configuration.
/// The hub said never to come back: restarting would not help.
const NEVER: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  cannot work: the data directory is in use or fails
  2  wrong configuration
  3  the hub said never to come back: another agent has the same token, or it was revoked";

/// The Pladmed probe agent: measures with scamper and dig, reports to a hub
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect to a hub and measure until stopped
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Show which tools and rights this machine has; exit code 0 when it can run anything, else 1
    Check(ToolArgs),
    /// Be many probes at once, to try a hub: as load, and with probes that come and go, lose results and lie
    #[command(after_help = simulating::HELP)]
    Simulate(Box<simulating::SimulateArgs>),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Base URL of the hub: https://HOST, http://HOST:PORT, wss:// or ws://
    #[arg(long, env = "PLADMED_HUB", value_name = "URL")]
    hub: HubUrl,
    /// The probe's token; prefer the variable, arguments are visible to other users
    #[arg(long, env = "PLADMED_TOKEN", hide_env_values = true)]
    token: Token,
    /// Directory of this agent alone; made if missing
    #[arg(long, env = "PLADMED_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Credits the probe can have in use at the same time
    #[arg(long, env = "PLADMED_TOTAL_CREDITS", default_value_t = TOTAL_CREDITS,
        value_parser = clap::value_parser!(u32).range(1..))]
    total_credits: u32,
    /// Measurements that may run at the same time
    #[arg(long, env = "PLADMED_MAX_CONCURRENT", default_value_t = MAX_CONCURRENT,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrent: u16,
    /// Bytes of unsent results to keep; the oldest are dropped first
    #[arg(long, env = "PLADMED_SPOOL_LIMIT", value_name = "BYTES", default_value_t = SPOOL_LIMIT,
        value_parser = clap::value_parser!(u64).range(LEAST_SPOOL_LIMIT..))]
    spool_limit: u64,
    /// What to log: error, warn, info, debug, trace, or a filter such as pladmed_probe::link=debug
    #[arg(long, env = "PLADMED_LOG_LEVEL", default_value = "info", value_name = "LEVEL",
        value_parser = |text: &str| EnvFilter::try_new(text).map(|_| text.to_owned()))]
    log_level: String,
    #[command(flatten)]
    tools: ToolArgs,
}

#[derive(Debug, Args)]
struct ToolArgs {
    /// scamper to ping and traceroute with; a name is looked for on PATH
    #[arg(
        long,
        env = "PLADMED_SCAMPER",
        default_value = "scamper",
        value_name = "PATH"
    )]
    scamper: PathBuf,
    /// dig to ask name servers with; a name is looked for on PATH
    #[arg(long, env = "PLADMED_DIG", default_value = "dig", value_name = "PATH")]
    dig: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.command {
        Command::Run(args) => run(*args).await,
        Command::Check(tools) => check(&tools).await,
        Command::Simulate(args) => simulating::run(*args).await,
    };
    ExitCode::from(code)
}

async fn check(tools: &ToolArgs) -> u8 {
    let findings = check::look(&tools.scamper, &tools.dig).await;
    print!("{findings}");
    if findings.kinds().is_empty() {
        CANNOT_WORK
    } else {
        STOPPED
    }
}

async fn run(args: RunArgs) -> u8 {
    let filter = EnvFilter::new(&args.log_level);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        error!("cannot set up TLS");
        return CANNOT_WORK;
    }
    let stop = match stop_signal() {
        Ok(stop) => stop,
        Err(cause) => {
            error!(%cause, "cannot listen for signals: {cause}");
            return CANNOT_WORK;
        }
    };
    let config = Config {
        hub: Hub {
            url: args.hub,
            token: args.token,
        },
        data: args.data,
        total_credits: args.total_credits,
        max_concurrent: args.max_concurrent,
        spool_limit: args.spool_limit,
    };
    serve(config, &args.tools, stop).await
}

async fn serve(config: Config, tools: &ToolArgs, stop: impl Future<Output = ()>) -> u8 {
    let dir = match agent::open(&config) {
        Ok(dir) => dir,
        Err(cause) => {
            error!("{cause}");
            return CANNOT_WORK;
        }
    };
    let findings = check::look(&tools.scamper, &tools.dig).await;
    for missing in [findings.scamper.as_ref().err(), findings.dig.as_ref().err()]
        .into_iter()
        .flatten()
    {
        info!("measuring without a tool: {missing}");
    }
    let runner = Arc::new(Tools::new(findings, dir.tmp()));
    match agent::run(config, dir, runner, stop).await {
        Ok(Ended::Stopped) => STOPPED,
        Ok(Ended::Never { code, reason }) => {
            error!(
                code,
                reason,
                "the hub told this probe never to come back: {reason} ({code}). Either another agent runs with the same \
                 token, or the token was revoked: then give this agent the new one"
            );
            NEVER
        }
        Err(cause) => {
            error!("{cause}");
            CANNOT_WORK
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT; listens from now on.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

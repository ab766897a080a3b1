//! `make bench`: how many results a second a hub takes and acknowledges after a durable commit on MongoDB, beside what bare
//! `insert_many` of the same documents with the same write concern reaches on the same server in the same run.
//!
//! `main` → [`rounds`]: in each round [`scene`] sets up a hub on a fresh database, [`load`] keeps it busy with the probes
//! of [`sender`] and measures, [`inserts`] reads the documents that it stored and inserts them again without a hub → [`page`]
//! shows the [`figures`] and writes them down. [`machine`] says on what machine.

use std::{process::ExitCode, time::Duration};

use clap::Parser;

mod figures;
mod inserts;
mod load;
mod machine;
mod page;
mod rounds;
mod scene;
mod sender;

/// Exit code where nothing could be measured.
const NOTHING_MEASURED: u8 = 2;

/// Measures how many results a second a hub on MongoDB takes and acknowledges, beside bare inserts into the same server.
///
/// Prints a table, writes target/bench.json, and puts the figures into docs/benchmarks.md (not with --quick). Exit code 2:
/// nothing could be measured.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// One short round, to see that it works; docs/benchmarks.md stays as it is
    #[arg(long)]
    quick: bool,
    /// Exit code 1 when the target is missed
    #[arg(long)]
    strict: bool,
    /// Rounds; the figures are their medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds in which a round measures the hub
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Probes that are connected
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2000))]
    probes: u16,
    /// Results that each probe keeps unanswered, at most
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    window: u16,
}

/// Seconds of the one round of `--quick`.
const QUICK_SECONDS: u16 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(why) = services::mongod::missing() {
        eprintln!("bench: {why}");
        return ExitCode::from(NOTHING_MEASURED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (rounds, seconds) = if cli.quick {
        (1, QUICK_SECONDS)
    } else {
        (cli.rounds, cli.seconds)
    };
    let plan = rounds::Plan {
        rounds: rounds.into(),
        time: Duration::from_secs(seconds.into()),
        probes: cli.probes.into(),
        window: cli.window.into(),
    };
    let figures = runtime.block_on(rounds::run(&plan));
    let table = page::table(&figures);
    println!("{table}");
    page::keep(&figures);
    if !cli.quick {
        page::publish(&table);
    }
    if cli.strict && !figures.is_on_target() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

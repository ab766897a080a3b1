//! `make bench`: what a hub reaches beside what can be reached without one, measured in the same run.
//!
//! Each section is a module of its own and gives a [`figure::Section`]; [`page`] shows them and writes them down, [`machine`]
//! says on what machine. Rules of all of them: the limit is measured by the same load in the same run, nothing leaves
//! loopback, and everything ends by itself.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};

mod bare_mongo;
mod crowd;
mod figure;
mod growth;
mod http;
mod ingest;
mod instances;
mod machine;
mod page;
mod population;
mod sessions;
mod soak;
mod streams;

use figure::Section;
use machine::Machine;
use page::Report;

/// Measures a hub beside what can be reached without one.
///
/// Prints tables, writes them as JSON, and puts the figures into docs/benchmarks.md where all of them were measured (not
/// with --quick). Exit code 1: a target was missed, with --strict; or the JSON could not be written.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// What to measure; everything but a soak where nothing is named
    sections: Vec<Part>,
    /// Short times, to see that it works; docs/benchmarks.md stays as it is
    #[arg(long)]
    quick: bool,
    /// Exit code 1 when a target is missed
    #[arg(long)]
    strict: bool,
    /// Rounds of ingest; the figures are their medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long a soak lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_080))]
    minutes: u16,
    /// Where the JSON goes; beside this program, as bench.json, where nothing is named
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the bare websocket server that sessions are measured beside
    #[arg(long, hide = true)]
    bare_sockets: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Results that a hub takes
    Ingest,
    /// Answers that it gives
    Http,
    /// Probes that come, are there, and are told
    Sessions,
    /// Customers who watch
    Streams,
    /// Several hubs beside one
    Instances,
    /// What work costs where much else is there
    Growth,
    /// A long time with probes that come and go; only where it is named
    Soak,
}

/// How long a hub is measured at each load, and with `--quick`.
const TIME: [Duration; 2] = [Duration::from_secs(6), Duration::from_secs(2)];
/// How long a path is asked for, and with `--quick`.
const ASKED: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(1)];

impl Part {
    async fn measure(self, cli: &Cli) -> Vec<Section> {
        let quick = usize::from(cli.quick);
        match self {
            Self::Ingest => {
                let rounds = if cli.quick { 1 } else { cli.rounds.into() };
                let plan = ingest::Plan {
                    rounds,
                    time: TIME[quick],
                };
                vec![ingest::on_sqlite(plan).await, ingest::on_mongo(plan).await]
            }
            Self::Http => vec![
                http::on_sqlite(ASKED[quick]).await,
                http::on_mongo(ASKED[quick]).await,
            ],
            Self::Sessions => vec![
                sessions::on_sqlite(cli.quick).await,
                sessions::on_mongo(cli.quick).await,
            ],
            Self::Streams => vec![
                streams::on_sqlite(cli.quick).await,
                streams::on_mongo(cli.quick).await,
            ],
            Self::Instances => vec![instances::measure(TIME[quick], cli.quick).await],
            Self::Growth => vec![
                growth::on_sqlite(cli.quick).await,
                growth::on_mongo(cli.quick).await,
            ],
            Self::Soak => soak::measure(cli.minutes, cli.quick).await,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if cli.bare_sockets {
        runtime.block_on(sessions::bare::serve());
        return ExitCode::SUCCESS;
    }
    let (machine, began) = (Machine::this(), Instant::now());
    let mut sections = Vec::new();
    for part in Part::value_variants() {
        let is_wanted = match cli.sections.is_empty() {
            true => *part != Part::Soak,
            false => cli.sections.contains(part),
        };
        if is_wanted {
            sections.extend(runtime.block_on(part.measure(&cli)));
        }
    }
    let report = Report {
        machine,
        took_s: began.elapsed().as_secs(),
        sections,
    };
    println!("{}", report.markdown());
    let json = cli.json.unwrap_or_else(beside_us);
    if let Err(error) = report.keep(&json) {
        eprintln!("bench: {}: {error}", json.display());
        return ExitCode::FAILURE;
    }
    if cli.sections.is_empty() && !cli.quick {
        report.publish();
    }
    match report.missed() {
        0 => ExitCode::SUCCESS,
        missed => {
            eprintln!("bench: {missed} targets were missed");
            ExitCode::from(u8::from(cli.strict))
        }
    }
}

fn beside_us() -> PathBuf {
    let us = std::env::current_exe().expect("the path of this program");
    us.with_file_name("bench.json")
}

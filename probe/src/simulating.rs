//! `pladmed-probe simulate`: its arguments, what it prints, its exit codes. The fleet is the library's.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use pladmed_probe::{
    check,
    config::{HubUrl, Token},
    runner::Tools,
    simulate::{
        Simulation,
        limits::OpenFiles,
        options::{Lie, Pace, Results, Settings, Share, Sources, Weather},
        summary::{Glance, Summary},
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{CANNOT_WORK, STOPPED, ToolArgs};

/// Wrong arguments: nothing was done.
const USAGE: u8 = 2;
/// What stands for standard input or output.
const STANDARD: &str = "-";
/// Signals that may wait; a third one changes nothing.
const SIGNALS: usize = 2;

/// More on it.
pub(crate) const HELP: &str = "\
Shares are parts of all probes, or of all results, from 0 to 1. Times are seconds unless it is said.

Lies:
  forged     beside each result one of an operation that there is not: must be refused
  garbled    contents that are not what they are called: must be stored as they came
  duplicate  each result twice: both must be acknowledged, one stored
  late       after each result one that was measured too late, or is over the plan: must be refused
  oversized  with each result a frame longer than the hub takes: must end the session with code 1009

On the wire of the replaced system's agents a refusal looks like an acknowledgement.

Exit codes:
  0  all results that had to be stored were acknowledged, all probes were connected, nothing unexpected happened
  1  it was otherwise, or so many probes do not fit into one process
  2  wrong arguments";

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Base URL of a hub; several times: probes are spread over them. Must be on this machine, see --any-hub
    #[arg(long, required = true, value_name = "URL")]
    hub: Vec<HubUrl>,
    /// File with the probes' tokens, one on each line, as `pladmed seed --probes N --tokens FILE` writes it; - reads them
    /// from standard input
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// How many of the tokens become probes: the first ones; all when left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    probes: Option<u32>,
    /// Share of the probes that speak as agents of the replaced system (Socket.IO)
    #[arg(long, value_name = "SHARE", default_value = "0")]
    old: Share,
    /// Addresses to connect from, as 127.0.0.2-127.0.0.9,127.0.1.1; one has about 28,000 ports. When left out: 32 of
    /// 127.0.0.0/8 where the hub is on this machine, else its usual address
    #[arg(long, value_name = "ADDRESSES")]
    sources: Option<Sources>,
    /// Aim at a hub on another machine: this is meant
    #[arg(long)]
    any_hub: bool,
    /// First connections a second; 0 is all at once
    #[arg(long, value_name = "N", default_value_t = 500)]
    connect_rate: u32,
    /// End after so many seconds; else at SIGINT or SIGTERM. Then nothing new is made, and what is unanswered is waited
    /// for; a second signal does not wait
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    length: Option<Duration>,
    /// Share of the probes that leave in a minute, half of them without a goodbye, and come back within 5 s
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = churn)]
    churn: f64,
    /// Milliseconds that all takes that a probe says; it is not part of the measured times
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    latency: u64,
    /// Share of the results whose first try is lost: its connection is cut before the result left, or before its answer
    /// came; the probe comes back and sends all again that was not answered
    #[arg(long, value_name = "SHARE", default_value = "0")]
    loss: Share,
    /// Share of the probes that read one message a second at most
    #[arg(long, value_name = "SHARE", default_value = "0")]
    slow_readers: Share,
    /// Share of the probes that lie
    #[arg(long, value_name = "SHARE", default_value = "0")]
    liars: Share,
    /// How they lie; each liar has one way
    #[arg(long, value_enum, value_name = "KINDS", value_delimiter = ',', default_values_t = Lie::ALL.to_vec())]
    lies: Vec<Lie>,
    /// All leave at once without a goodbye and come back at once, every so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    storm: Option<Duration>,
    /// Samples, or measurements of this machine, 4 at a time
    #[arg(long, value_enum, value_name = "WHICH", default_value = "scripted")]
    results: Results,
    /// When results are made: as the schedule says, or all that it plans as fast as they are acknowledged
    #[arg(long, value_enum, value_name = "WHEN", default_value = "schedule")]
    pace: Pace,
    /// Results that a probe may have under way; the hub's own limit counts where it is lower
    #[arg(long, value_name = "K", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    window: u16,
    /// The same number is the same decisions again: who lies, which result is lost, when a probe leaves; a new one when
    /// left out
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Where the summary goes as JSON; - is standard output
    #[arg(long, value_name = "FILE", default_value = STANDARD)]
    summary: PathBuf,
    #[command(flatten)]
    tools: ToolArgs,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number of seconds above 0".to_owned();
    let number: f64 = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number).map_err(|_| wrong())?;
    // A clock cannot count further than that.
    let fits = !time.is_zero() && time <= Duration::from_secs(u64::from(u32::MAX));
    fits.then_some(time).ok_or_else(wrong)
}

fn churn(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    // More than one session a second would be a flood of connects, which --storm is for.
    let fits = (0.0..=60.0).contains(&number);
    fits.then_some(number)
        .ok_or_else(|| "must be from 0 to 60".to_owned())
}

/// Runs it; the exit code.
pub(crate) async fn run(args: SimulateArgs) -> u8 {
    match simulate(args).await {
        Ok(summary) if summary.ok => STOPPED,
        Ok(_) => CANNOT_WORK,
        Err((code, why)) => {
            eprintln!("pladmed-probe: {why}");
            code
        }
    }
}

async fn simulate(args: SimulateArgs) -> Result<Summary, (u8, String)> {
    let failed = |why: String| (CANNOT_WORK, why);
    let tokens = tokens(&args).map_err(|why| (USAGE, why))?;
    let files = OpenFiles::raise();
    let target = args.summary.clone();
    // For the files of measurements; nothing is made where there are none.
    let work = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return Err(failed("cannot set up TLS".to_owned()));
    }
    let settings = settings(args, tokens, work.path()).await;
    let (seed, hubs) = (settings.seed, settings.hubs.clone());
    let probes = settings.tokens.len();
    let simulation = Simulation::prepare(settings, files)
        .await
        .map_err(|error| {
            let code = if error.is_usage() { USAGE } else { CANNOT_WORK };
            (code, error.to_string())
        })?;
    let shown = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    eprintln!(
        "open files: {} before, {} now: room for {} probes",
        shown(files.before),
        shown(files.now),
        files.probes()
    );
    let hubs: Vec<&str> = hubs.iter().map(HubUrl::as_str).collect();
    let from = match simulation.sources() {
        0 => "the usual address".to_owned(),
        sources => format!("{sources} addresses"),
    };
    eprintln!(
        "{probes} probes, {} of them on the old wire, from {from}, to {}; seed {seed}",
        simulation.old_probes(),
        hubs.join(", ")
    );
    let stop = stop().map_err(|error| failed(format!("cannot listen for signals: {error}")))?;
    let mut line = LiveLine::new();
    let summary = simulation.run(stop, |glance| line.show(&glance)).await;
    line.end();
    tell(&summary, &target)
        .map_err(|error| failed(format!("cannot write the summary: {error}")))?;
    Ok(summary)
}

async fn settings(args: SimulateArgs, tokens: Vec<Token>, work: &Path) -> Settings {
    let runner: Option<Arc<dyn pladmed_probe::runner::Runner>> = match args.results {
        Results::Scripted => None,
        Results::Real => {
            let findings = check::look(&args.tools.scamper, &args.tools.dig).await;
            Some(Arc::new(Tools::new(findings, work.to_owned())))
        }
    };
    Settings {
        hubs: args.hub,
        tokens,
        any_hub: args.any_hub,
        old: args.old,
        sources: args.sources,
        connect_rate: args.connect_rate,
        length: args.length,
        weather: Weather {
            churn: args.churn,
            latency: Duration::from_millis(args.latency),
            loss: args.loss,
            slow_readers: args.slow_readers,
            storm: args.storm,
        },
        liars: args.liars,
        lies: args.lies,
        pace: args.pace,
        window: usize::from(args.window),
        runner,
        seed: args
            .seed
            .unwrap_or_else(|| u64::from(rand::random::<u32>())),
    }
}

/// The tokens that become probes.
fn tokens(args: &SimulateArgs) -> Result<Vec<Token>, String> {
    let shown = args.tokens.display();
    let mut text = String::new();
    let read = if args.tokens == Path::new(STANDARD) {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(&args.tokens)
    };
    let text = read.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let most = args.probes.map_or(usize::MAX, |probes| probes as usize);
    let tokens: Result<Vec<Token>, String> = lines
        .take(most)
        .map(|(number, line)| {
            // The token itself is not shown.
            let parsed = line.parse::<Token>();
            parsed.map_err(|error| format!("{shown}, line {}: {error}", number + 1))
        })
        .collect();
    let tokens = tokens?;
    match args.probes {
        Some(probes) if tokens.len() < probes as usize => Err(format!(
            "{shown} has {} tokens, which are not enough for {probes} probes",
            tokens.len()
        )),
        _ => Ok(tokens),
    }
}

/// Sends something at each SIGTERM and SIGINT; listens from now on.
fn stop() -> io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (asked, stop) = mpsc::channel(SIGNALS);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stop)
}

/// Writes the summary.
fn tell(summary: &Summary, target: &Path) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(summary)?;
    text.push('\n');
    if target == Path::new(STANDARD) {
        io::stdout().write_all(text.as_bytes())
    } else {
        std::fs::write(target, text)
    }
}

/// The line that is shown each second: drawn again and again on a terminal, else one below the other.
struct LiveLine {
    redraws: bool,
}

impl LiveLine {
    fn new() -> Self {
        Self {
            redraws: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, glance: &Glance) {
        if self.redraws {
            // To the line's beginning, and nothing is left of the one before.
            eprint!("\r\x1b[2K{glance}");
        } else {
            eprintln!("{glance}");
        }
    }

    fn end(&mut self) {
        if self.redraws {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_numbers_that_make_sense() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "1m", "nan", "inf", "1e30", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(churn("0.2"), Ok(0.2));
        for wrong in ["-1", "61", "nan", "x"] {
            assert!(churn(wrong).is_err(), "{wrong}");
        }
    }
}

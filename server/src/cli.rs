//! The hub's command line: reads settings from the environment, runs one command, exits. Each command has a file of its own
//! below, with its arguments, its help, and what it says; what it does is the library's.

use std::{
    fmt,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use pladmed::{AppError, Config, ConfigError};

mod backup;
mod check_config;
mod copy;
mod diagnose;
mod healthcheck;
mod import;
mod migrate;
mod pages;
mod progress;
mod reset;
mod restore;
mod seed;
mod serve;
mod superuser;

/// Wrong settings or input: nothing was done.
const EXIT_USAGE: u8 = 2;

/// The Pladmed hub: schedules measurements on probes and keeps their results.
///
/// Settings are environment variables; `pladmed check-config` shows and checks them.
/// Exit codes: 0 done, 1 failed, 2 wrong settings or input, 3 a stop that was not clean.
#[derive(Parser)]
#[command(name = "pladmed", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the hub (the default) until SIGTERM or SIGINT.
    Serve,
    /// Manage superusers.
    Superuser(superuser::Superuser),
    /// Copy everything from one database into a new one, as from the embedded one into MongoDB
    ///
    /// Users, probes, operations, results, the ledger: all of it, with the same identifiers, numbers and times. Tokens and
    /// passwords go on working, under the same SECRET_KEY. The source stays as it is. The target belongs to the
    /// environment of the source.
    ///
    /// No hub may use either of the two meanwhile. The target must be new or empty; no hub starts on it before the copy is
    /// complete and was compared with the source. A copy that was cut off, in whatever way, goes on where it was when the
    /// same command is given again.
    ///
    /// A database is written as
    ///   sqlite:PATH                        embedded: a data folder, or the file pladmed.sqlite in it
    ///   mongodb://USER:PASSWORD@HOST/NAME  the database NAME of MongoDB; mongodb+srv:// too
    #[command(verbatim_doc_comment, after_help = copy::COPY_HELP)]
    Copy(copy::Ends),
    /// Make a staging database out of the live one, with nobody's address, password or token in it
    ///
    /// A copy, with the same identifiers, numbers and times, in which every e-mail address is user-ID@masked.invalid, no
    /// password is right, and no probe's token is good. Targets, results and places of probes stay as they are. The target
    /// belongs to the environment staging, whatever the source belongs to; give its hub a SECRET_KEY of its own.
    ///
    /// What holds for `pladmed copy` holds here too: no hub may use either of the two meanwhile (clone a backup of a
    /// database that is in use), and the same command goes on where it was cut off. What is masked never gets to the
    /// target, at no moment.
    #[command(name = "clone", verbatim_doc_comment, after_help = copy::CLONE_HELP)]
    CloneMasked(copy::Ends),
    /// Import the database of the system that this one replaces, into the one of the settings
    ///
    /// Users, probes and operations with their results, with the same identifiers. Passwords and the tokens of probes go on
    /// working, under the same SECRET_KEY. The source is only read.
    ///
    /// No hub may use the target meanwhile, and none starts on it before the import is complete. An import that was cut
    /// off goes on where it was when the same command is given again.
    #[command(verbatim_doc_comment, after_help = import::HELP)]
    Import(import::Import),
    /// Bring the database up to date, as the start of a hub does, after showing what will be done
    ///
    /// There is no way back: keep a backup. No hub may use an embedded database meanwhile.
    #[command(after_help = migrate::HELP)]
    Migrate(migrate::Migrate),
    /// Fill an empty database with a small world to develop with
    ///
    /// A superuser, two users, probes at real places, operations that have finished, were cancelled or are running, with
    /// results and a ledger in order. Prints whom one can log in as, and the tokens of the probes. Only where
    /// ENVIRONMENT is development or test.
    ///
    /// With --probes a fleet instead, for `pladmed-probe simulate`.
    #[command(after_help = seed::HELP)]
    Seed(seed::Seed),
    /// Delete everything in the database
    ///
    /// Only where ENVIRONMENT is development or test, and on a database that belongs to it. No hub may use it meanwhile.
    #[command(after_help = reset::HELP)]
    Reset(reset::Reset),
    /// Copy the embedded database into one file, also while a hub runs
    ///
    /// The file holds the database as it was at one moment. It is complete or not there.
    #[command(after_help = backup::HELP)]
    Backup(backup::Backup),
    /// Put a backup in the place of the embedded database
    ///
    /// No hub may run meanwhile. The backup is looked through for damage first, and stays as it is.
    #[command(after_help = restore::HELP)]
    Restore(restore::Restore),
    /// Look whether everything in the database is as it must be, also while hubs run
    ///
    /// Balances and ledgers, operations with their assignments and results, counters, references, and clocks. Changes
    /// nothing, unless --repair is given. Hubs look once a day by themselves (DIAGNOSE_AT).
    #[command(after_help = diagnose::HELP)]
    Diagnose(diagnose::Diagnose),
    /// Check the settings and show what each variable does.
    CheckConfig,
    /// Ask the hub that runs here with these settings whether it is ready; exit code 0 when it is, else 1.
    Healthcheck,
    /// Print the description of the HTTP API (OpenAPI 3.1, JSON).
    Openapi {
        /// As a collection for Postman (format v2.1.0) instead.
        #[arg(long)]
        postman: bool,
    },
    /// Print the page on the parameters of operations (Markdown).
    Parameters,
}

/// Why a command ended with another exit code than 0.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Telemetry(#[from] pladmed::TelemetryError),
    #[error("{0}")]
    App(#[from] AppError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Unwell(#[from] healthcheck::Unwell),
    /// Somebody was asked and said no.
    #[error("nothing was done")]
    Declined,
}

/// What a command ends with.
type Done = Result<ExitCode, Failure>;

/// Runs the command that was asked for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(),
        Command::Superuser(arguments) => superuser::run(arguments),
        Command::Copy(ends) => copy::copy(&ends),
        Command::CloneMasked(ends) => copy::clone_masked(&ends),
        Command::Import(arguments) => import::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Seed(arguments) => seed::run(&arguments),
        Command::Reset(arguments) => reset::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Diagnose(arguments) => diagnose::run(&arguments),
        Command::CheckConfig => check_config::run(),
        Command::Healthcheck => healthcheck::run(),
        Command::Openapi { postman: false } => pages::print(pladmed::openapi),
        Command::Openapi { postman: true } => pages::print(pladmed::postman),
        Command::Parameters => pages::print(pladmed::parameters),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("pladmed: {failure}");
        let usage = matches!(
            failure,
            Failure::Config(_) | Failure::App(AppError::Input(_))
        );
        ExitCode::from(if usage { EXIT_USAGE } else { 1 })
    })
}

/// The settings.
fn config() -> Result<Config, Failure> {
    Ok(Config::from_vars(std::env::vars())?)
}

/// Prints lines. Whoever reads them may have enough before the end, as `head` does.
fn show(lines: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{lines}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Asks whoever sits at the terminal before something is done that has no way back.
///
/// # Errors
/// When they do not want it, or nobody can be asked.
fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let wrong = "there is no terminal to ask at; say --yes if it is meant";
        return Err(AppError::Input(wrong.to_owned()).into());
    }
    eprint!("{question} Type yes to go on: ");
    io::stderr().flush()?;
    let mut said = String::new();
    io::stdin().lock().read_line(&mut said)?;
    if said.trim() == "yes" {
        Ok(())
    } else {
        Err(Failure::Declined)
    }
}

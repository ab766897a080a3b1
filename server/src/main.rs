//! The hub's command line: reads settings from the environment, runs one command, exits.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
    time::Instant,
};

use clap::{Args, Parser, Subcommand};
use pladmed::{App, AppError, Config, ConfigError};
use tokio::signal::unix::{SignalKind, signal};

mod healthcheck;
mod progress;

use progress::Progress;

/// Wrong settings or input: nothing was done.
const EXIT_USAGE: u8 = 2;
/// The stop took longer than STOP_SECONDS.
const EXIT_UNCLEAN: u8 = 3;

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
    Superuser(Superuser),
    /// Copy everything from one database into a new one, as from the embedded one into MongoDB
    ///
    /// Users, probes, operations, results, the ledger: all of it, with the same identifiers, numbers and times. Tokens and
    /// passwords go on working, under the same SECRET_KEY. The source stays as it is.
    ///
    /// No hub may use either of the two meanwhile. The target must be new or empty; no hub starts on it before the copy is
    /// complete and was compared with the source. A copy that was cut off, in whatever way, goes on where it was when the
    /// same command is given again.
    ///
    /// A database is written as
    ///   sqlite:PATH                        embedded: a data folder, or the file pladmed.sqlite in it
    ///   mongodb://USER:PASSWORD@HOST/NAME  the database NAME of MongoDB; mongodb+srv:// too
    #[command(verbatim_doc_comment, after_help = COPY_HELP)]
    Copy(Copy),
    /// Import the database of the system that this one replaces, into the one of the settings
    ///
    /// Users, probes and operations with their results, with the same identifiers. Passwords and the tokens of probes go on
    /// working, under the same SECRET_KEY. The source is only read.
    ///
    /// No hub may use the target meanwhile, and none starts on it before the import is complete. An import that was cut
    /// off goes on where it was when the same command is given again.
    #[command(verbatim_doc_comment, after_help = IMPORT_HELP)]
    Import(Import),
    /// Check the settings and show what each variable does.
    CheckConfig,
    /// Ask the hub that runs here with these settings whether it is ready; exit code 0 when it is, else 1.
    Healthcheck,
    /// Print the description of the HTTP API (OpenAPI 3.1, JSON).
    Openapi,
}

/// More on `pladmed copy`.
const COPY_HELP: &str = "\
Shows how it goes on standard error, and what it did, as a table, on standard output.

Exit codes:
  0  done: the target is complete
  1  failed, or the source changed meanwhile: the target is not complete
  2  cannot be done as asked: nothing was done

Example:
  pladmed copy --from sqlite:/var/lib/pladmed --to 'mongodb://db.example.org/pladmed?replicaSet=rs0'";

#[derive(Args)]
struct Copy {
    /// The database to copy from. Of a connection string prefer the variable: arguments are visible to other users.
    #[arg(
        long,
        env = "PLADMED_FROM",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    from: String,
    /// The database to copy into, new or empty.
    #[arg(
        long,
        env = "PLADMED_TO",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    to: String,
}

/// More on `pladmed import`.
const IMPORT_HELP: &str = "\
Shows how it goes, and what could not be taken as it was, on standard error, and what it did, as a table, on standard
output.

Exit codes:
  0  done: the target is complete
  1  failed: the target is not complete
  2  cannot be done as asked: nothing was done

Example, with a dump of a server that is older than MongoDB 4.4:
  mongodump --db pladmed --out dump        # where the old system runs
  pladmed import dump/pladmed --dry-run
  pladmed import dump/pladmed";

#[derive(Args)]
struct Import {
    /// A folder that mongodump wrote, or a connection string, as in mongodb://USER:PASSWORD@HOST/NAME?authSource=admin.
    /// Of a connection string prefer the variable: arguments are visible to other users.
    #[arg(env = "PLADMED_FROM", hide_env_values = true)]
    source: String,
    /// Read and convert everything, tell the same, write nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
struct Superuser {
    #[command(subcommand)]
    command: SuperuserCommand,
}

#[derive(Subcommand)]
enum SuperuserCommand {
    /// Register a superuser, who may grant credits. The hub may be running meanwhile.
    Create {
        /// E-mail address to log in with.
        email: String,
        /// Read the password from standard input, one line; without this, a terminal asks for it.
        #[arg(long)]
        password_stdin: bool,
    },
}

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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => config().and_then(serve),
        Command::Superuser(Superuser {
            command:
                SuperuserCommand::Create {
                    email,
                    password_stdin,
                },
        }) => config().and_then(|config| create_superuser(&config, &email, password_stdin)),
        Command::Copy(Copy { from, to }) => copy(&from, &to),
        Command::Import(arguments) => config().and_then(|config| import(&config, &arguments)),
        Command::CheckConfig => check_config(),
        Command::Healthcheck => config().and_then(|config| {
            healthcheck::ask(config.host, config.port)?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Openapi => print_openapi(),
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

fn config() -> Result<Config, Failure> {
    Ok(Config::from_vars(std::env::vars())?)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

fn serve(config: Config) -> Result<ExitCode, Failure> {
    pladmed::init_telemetry(&config)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(run(config));
    // What a stop gave up must not keep the process alive.
    runtime.shutdown_background();
    ended
}

async fn run(config: Config) -> Result<ExitCode, Failure> {
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

fn create_superuser(config: &Config, email: &str, from_stdin: bool) -> Result<ExitCode, Failure> {
    let password = if from_stdin || !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        rpassword::prompt_password("Password (it is not shown): ")?
    };
    let id = runtime()?.block_on(pladmed::create_superuser(config, email, password))?;
    println!("superuser {email} created, id {id}");
    Ok(ExitCode::SUCCESS)
}

fn copy(from: &str, to: &str) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let mut progress = Progress::on_stderr();
    let copied = runtime()?.block_on(pladmed::copy(from, to, &mut progress))?;
    drop(progress);
    let took = began.elapsed().as_secs_f64();
    println!("{copied}\nThe copy is complete, after {took:.1} s. A hub may start on it.");
    Ok(ExitCode::SUCCESS)
}

fn import(config: &Config, arguments: &Import) -> Result<ExitCode, Failure> {
    let mut progress = Progress::on_stderr();
    let work = pladmed::import(config, &arguments.source, arguments.dry_run, &mut progress);
    let imported = runtime()?.block_on(work)?;
    drop(progress);
    let end = if arguments.dry_run {
        "This was a rehearsal: nothing was written."
    } else {
        "The import is complete. A hub may start on it."
    };
    println!("{imported}\n{end}");
    Ok(ExitCode::SUCCESS)
}

fn check_config() -> Result<ExitCode, Failure> {
    for variable in pladmed::VARIABLES {
        let value = std::env::var(variable.name)
            .ok()
            .filter(|value| !value.is_empty());
        let secret = matches!(
            variable.name,
            "SECRET_KEY" | "MONGO_URI" | "MONGO_PASSWORD" | "REDIS_URL"
        );
        let shown = match &value {
            Some(_) if secret => "(set)",
            Some(value) => value,
            None if variable.default.is_empty() => "(unset)",
            None => variable.default,
        };
        println!("{:18} {shown}\n{:18} {}", variable.name, "", variable.help);
    }
    for warning in config()?.warnings() {
        println!("\nwarning: {warning}");
    }
    println!("\nThe settings are good.");
    Ok(ExitCode::SUCCESS)
}

fn print_openapi() -> Result<ExitCode, Failure> {
    println!("{}", pladmed::openapi()?);
    Ok(ExitCode::SUCCESS)
}

//! The hub's command line: reads settings from the environment, runs one command, exits.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use pladmed::{App, AppError, Config, ConfigError};
use tokio::signal::unix::{SignalKind, signal};

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
    /// Check the settings and show what each variable does.
    CheckConfig,
    /// Print the description of the HTTP API (OpenAPI 3.1, JSON).
    Openapi,
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
        Command::CheckConfig => check_config(),
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
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let environment = config.environment;
        let app = App::start(config).await?;
        tracing::info!(address = %app.address(), ?environment, version = env!("CARGO_PKG_VERSION"), "the hub is ready");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        let clean = app.stop().await;
        tracing::info!(clean, "stopped");
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNCLEAN) })
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

fn check_config() -> Result<ExitCode, Failure> {
    for variable in pladmed::VARIABLES {
        let value = std::env::var(variable.name)
            .ok()
            .filter(|value| !value.is_empty());
        let secret = variable.name == "SECRET_KEY";
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

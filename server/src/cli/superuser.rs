//! `pladmed superuser create`.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use super::{Done, config, runtime};

/// Its arguments.
#[derive(Args)]
pub(super) struct Superuser {
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

/// Runs it.
pub(super) fn run(arguments: Superuser) -> Done {
    let SuperuserCommand::Create {
        email,
        password_stdin,
    } = arguments.command;
    let config = config()?;
    let password = if password_stdin || !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        rpassword::prompt_password("Password (it is not shown): ")?
    };
    let id = runtime()?.block_on(pladmed::create_superuser(&config, &email, password))?;
    println!("superuser {email} created, id {id}");
    Ok(ExitCode::SUCCESS)
}

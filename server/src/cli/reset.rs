//! `pladmed reset`.

use std::process::ExitCode;

use clap::Args;

use super::{Done, config, confirm, runtime};

/// More on it.
pub(super) const HELP: &str = "\
On a terminal it asks first; else it wants --yes.

Exit codes:
  0  done: the database is empty
  1  failed, as on a database that is in use
  2  cannot be done as asked: nothing was done";

/// Its arguments.
#[derive(Args)]
pub(super) struct Reset {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Reset) -> Done {
    let config = config()?;
    pladmed::demand_expendable(&config, "reset")?;
    let name = pladmed::database_name(&config);
    if !arguments.yes {
        confirm(&format!("This deletes everything in {name}."))?;
    }
    runtime()?.block_on(pladmed::reset(&config))?;
    println!("{name} is empty.");
    Ok(ExitCode::SUCCESS)
}

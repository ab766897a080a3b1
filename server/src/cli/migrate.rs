//! `pladmed migrate`.

use std::process::ExitCode;

use clap::Args;

use super::{Done, config, confirm, runtime};

/// More on it.
pub(super) const HELP: &str = "\
Shows the steps on standard output. On a terminal it asks before it does them; else it wants --yes.

Exit codes:
  0  done, or nothing to do, or shown
  1  failed, as on a database that is in use or newer than this program: nothing was changed
  2  cannot be done as asked: nothing was changed";

/// Its arguments.
#[derive(Args)]
pub(super) struct Migrate {
    /// Show the steps and do none of them.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Migrate) -> Done {
    let config = config()?;
    let runtime = runtime()?;
    let plan = runtime.block_on(pladmed::plan_migration(&config))?;
    println!("{plan}");
    if plan.is_nothing() {
        println!("There is nothing to do.");
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.dry_run {
        println!("Nothing was changed.");
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.yes {
        confirm("There is no way back.")?;
    }
    runtime.block_on(pladmed::migrate(&config))?;
    println!("The database is up to date.");
    Ok(ExitCode::SUCCESS)
}

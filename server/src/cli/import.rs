//! `pladmed import`.

use std::process::ExitCode;

use clap::Args;

use super::{Done, config, progress::Progress, runtime};

/// More on it.
pub(super) const HELP: &str = "\
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

/// Its arguments.
#[derive(Args)]
pub(super) struct Import {
    /// A folder that mongodump wrote, or a connection string, as in mongodb://USER:PASSWORD@HOST/NAME?authSource=admin.
    /// Of a connection string prefer the variable: arguments are visible to other users.
    #[arg(env = "PLADMED_FROM", hide_env_values = true)]
    source: String,
    /// Read and convert everything, tell the same, write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Import) -> Done {
    let config = config()?;
    let mut progress = Progress::on_stderr();
    let work = pladmed::import(&config, &arguments.source, arguments.dry_run, &mut progress);
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

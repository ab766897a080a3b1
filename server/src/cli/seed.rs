//! `pladmed seed`.

use std::process::ExitCode;

use super::{Done, config, runtime};

/// More on it.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed: `pladmed reset` empties what is not complete
  2  cannot be done as asked, as on a database that is not empty: nothing was done";

/// Runs it.
pub(super) fn run() -> Done {
    let config = config()?;
    let seeded = runtime()?.block_on(pladmed::seed(&config))?;
    println!("{seeded}");
    Ok(ExitCode::SUCCESS)
}

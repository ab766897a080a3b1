//! `pladmed seed`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Done, config, runtime};

/// More on it.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed: `pladmed reset` empties what is not complete
  2  cannot be done as asked, as on a database that is not empty: nothing was done";

/// Most probes of a fleet: more than one hub is made for.
const MOST_PROBES: u32 = 100_000;

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Seed {
    /// Make so many probes of one user with plenty of credits, and nothing else
    #[arg(long, value_name = "N", requires = "tokens",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PROBES)))]
    probes: Option<u32>,
    /// Write their tokens to this new file, one on each line
    #[arg(long, value_name = "FILE", requires = "probes")]
    tokens: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(arguments: &Seed) -> Done {
    let config = config()?;
    if let (Some(probes), Some(tokens)) = (arguments.probes, &arguments.tokens) {
        let seeding = pladmed::seed_fleet(&config, probes as usize, tokens);
        println!("{}", runtime()?.block_on(seeding)?);
    } else {
        println!("{}", runtime()?.block_on(pladmed::seed(&config))?);
    }
    Ok(ExitCode::SUCCESS)
}

//! `pladmed backup`.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::Args;

use super::{Done, config, progress::Progress};

/// More on it.
pub(super) const HELP: &str = "\
Shows how it goes on standard error. A backup that is killed leaves FILE.unfinished behind, which the next one replaces.
The key that signs tokens is not in the database: keep SECRET_KEY, or the file secret_key of DATA_DIR, with it.

MongoDB has its own tool: mongodump --oplog.

Exit codes:
  0  done: the file is complete
  1  failed: there is no file
  2  cannot be done as asked, as where FILE is there already: nothing was done";

/// Its arguments.
#[derive(Args)]
pub(super) struct Backup {
    /// The file to make, which must not be there yet.
    file: PathBuf,
}

/// Runs it.
pub(super) fn run(Backup { file }: &Backup) -> Done {
    let config = config()?;
    let began = Instant::now();
    pladmed::back_up(&config, file, &mut Progress::on_stderr())?;
    let took = began.elapsed().as_secs_f64();
    println!("{} is complete, after {took:.1} s.", file.display());
    Ok(ExitCode::SUCCESS)
}

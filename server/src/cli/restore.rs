//! `pladmed restore`.

use std::{path::PathBuf, process::ExitCode};

use chrono::Utc;
use clap::Args;

use super::{Done, config, progress::Progress};

/// More on it.
pub(super) const HELP: &str = "\
Shows how it goes on standard error. Whenever it is cut off, the database is the old one or the new one. Tokens are good
only under the key that the backup was made with: SECRET_KEY, or the file secret_key of DATA_DIR.

MongoDB has its own tool: mongorestore --oplogReplay.

Exit codes:
  0  done: a hub may start
  1  failed: the database is what it was
  2  cannot be done as asked, as where the backup is damaged or of another environment: nothing was done";

/// Its arguments.
#[derive(Args)]
pub(super) struct Restore {
    /// The backup.
    file: PathBuf,
    /// Also where the database holds data, which is put aside under another name.
    #[arg(long)]
    force: bool,
}

/// Runs it.
pub(super) fn run(Restore { file, force }: &Restore) -> Done {
    let config = config()?;
    let aside = pladmed::restore(
        &config,
        file,
        *force,
        Utc::now(),
        &mut Progress::on_stderr(),
    )?;
    if let Some(aside) = aside {
        println!("The database that was there is {} now.", aside.display());
    }
    println!(
        "{} is the database now. A hub may start on it.",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

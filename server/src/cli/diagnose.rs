//! `pladmed diagnose`.

use std::process::ExitCode;

use clap::Args;
use pladmed::AppError;

use super::{Done, Failure, config, progress::Progress, runtime, show};

/// More on it.
pub(super) const HELP: &str = "\
Shows how it goes on standard error, and what it found on standard output.

--repair puts right what has one right answer, worked out from what else is there: counters, when something ended, a balance
that is not what a whole ledger says. It makes no credits and deletes nothing. It says what it did, and looks again.

Exit codes:
  0  everything is as it must be
  1  there are findings
  2  cannot be done as asked, as with wrong settings
  3  the database cannot be looked at";

/// There are findings.
const EXIT_FINDINGS: u8 = 1;
/// Nothing was found out.
const EXIT_FAILED: u8 = 3;

/// Its arguments.
#[derive(Args)]
pub(super) struct Diagnose {
    /// Put right what has one right answer.
    #[arg(long)]
    repair: bool,
    /// Print the report as JSON, as GET /api/v1/admin/diagnostics shows it.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Diagnose) -> Done {
    let config = config()?;
    let runtime = runtime()?;
    let mut progress = Progress::on_stderr();
    let report = runtime.block_on(pladmed::diagnose(&config, arguments.repair, &mut progress));
    drop(progress);
    // What was given up must not keep the process alive.
    runtime.shutdown_background();
    let report = match report {
        Err(error @ AppError::Input(_)) => return Err(Failure::App(error)),
        // 1 would say that there are findings.
        Err(error) => {
            eprintln!("pladmed: {error}");
            return Ok(ExitCode::from(EXIT_FAILED));
        }
        Ok(report) => report,
    };
    if arguments.json {
        show(report.pretty_json()?)?;
    } else {
        show(report.to_string())?;
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FINDINGS)
    })
}

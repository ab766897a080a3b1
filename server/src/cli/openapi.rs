//! `pladmed openapi`.

use std::process::ExitCode;

use super::Done;

/// Runs it.
pub(super) fn run() -> Done {
    println!("{}", pladmed::openapi()?);
    Ok(ExitCode::SUCCESS)
}

//! `pladmed openapi` and `pladmed parameters`: pages that are made from the code.

use std::process::ExitCode;

use super::{Done, show};

/// Prints a page.
pub(super) fn print(page: impl FnOnce() -> Result<String, serde_json::Error>) -> Done {
    show(page()?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

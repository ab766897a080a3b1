//! What a hub of this version would do to a file at its start. Reads, and changes nothing.

use std::path::Path;

use super::{OpenError, environment, open};
use crate::store::{Stamp, Step, Upgrade};

/// The steps that are missing.
///
/// # Errors
/// [`OpenError`] when it is newer than this program, not one of ours, of another environment, or cannot be read.
pub(super) fn plan(path: &Path, stamp: Stamp<'_>) -> Result<Upgrade, OpenError> {
    let from = if path.exists() {
        let connection = open::reader(path, None)?;
        let version = open::check(&connection, path)?;
        let belongs = environment::name_if_kept(&connection).map_err(open::failed(path))?;
        stamp.check(|| path.display().to_string(), belongs.as_deref())?;
        (version > 0).then_some(version)
    } else {
        None
    };
    let steps = (1..).zip(open::steps());
    let missing = steps.filter(|(number, _)| *number > from.unwrap_or(0));
    Ok(Upgrade {
        from,
        to: open::newest(),
        steps: missing
            .map(|(number, name)| Step { number, name })
            .collect(),
    })
}

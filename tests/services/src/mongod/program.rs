//! Where `mongod` is.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::program::find;

/// Where `.ci/install-tools` puts it, in the project's folder.
const INSTALLED: &str = ".tools/mongod/mongod";

static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    find("mongod", Some(project.join(INSTALLED)))
});

/// Why no `mongod` can run here; none if one can.
#[must_use]
pub fn missing() -> Option<String> {
    FOUND.as_ref().err().cloned()
}

/// The program.
///
/// # Panics
/// When there is none: tests ask [`missing`] first.
pub(super) fn path() -> &'static Path {
    match FOUND.as_ref() {
        Ok(path) => path,
        Err(why) => panic!("{why}"),
    }
}

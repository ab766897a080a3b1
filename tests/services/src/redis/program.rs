//! Where `redis-server` is.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::program::find;

static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| find("redis-server", None));

/// Why no `redis-server` can run here; none if one can.
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

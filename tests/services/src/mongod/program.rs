//! Where `mongod` is.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use crate::child::SETPRIV;

/// Where `.ci/install-tools` puts it, in the project's folder.
const INSTALLED: &str = ".tools/mongod/mongod";

static FOUND: LazyLock<Result<PathBuf, String>> = LazyLock::new(find);

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

fn find() -> Result<PathBuf, String> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(INSTALLED);
    let path = on_path("mongod")
        .or_else(|| installed.is_file().then_some(installed))
        .ok_or("mongod is missing (`make install-tools` looks for one)")?;
    if !runs(&path) {
        return Err(format!("{} does not run", path.display()));
    }
    if on_path(SETPRIV).is_none() {
        return Err(format!("{SETPRIV} (util-linux) is missing"));
    }
    Ok(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn runs(path: &Path) -> bool {
    Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

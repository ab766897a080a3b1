//! Where the programs are that serve.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::child::SETPRIV;

/// The program of this name: on `PATH`, or else where it was `installed`.
///
/// # Errors
/// Why it cannot run here.
pub(crate) fn find(name: &str, installed: Option<PathBuf>) -> Result<PathBuf, String> {
    let path = on_path(name)
        .or_else(|| installed.filter(|path| path.is_file()))
        .ok_or_else(|| format!("{name} is missing (`make install-tools` looks for one)"))?;
    if !runs(&path) {
        return Err(format!("{} does not run", path.display()));
    }
    if on_path(SETPRIV).is_none() {
        return Err(format!("{SETPRIV} (util-linux) is missing"));
    }
    Ok(path)
}

/// The file of this name in the first folder of `PATH` that has one.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
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

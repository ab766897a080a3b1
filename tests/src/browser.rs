//! A browser that speaks to nobody but this machine.

use std::path::Path;

use tokio::process::Command;

use crate::process::on_path;

/// The program.
const PROGRAM: &str = "chromium";

/// Why there is none here, if so.
#[must_use]
pub fn missing() -> Option<String> {
    on_path(PROGRAM)
        .is_none()
        .then(|| format!("{PROGRAM} is not installed: `make install-tools`"))
}

/// Starts without a window; what it keeps goes into the folder. What it shall do there is added.
///
/// # Panics
/// When it is [`missing`].
#[must_use]
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(on_path(PROGRAM).expect("a browser"));
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-sync"])
        .args(["--disable-component-update", "--disable-extensions"])
        .arg("--disable-dev-shm-usage")
        // Names resolve to nothing, so that whatever else it wants to fetch stays at home.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .env("HOME", folder);
    command
}

//! One folder for everything that the servers of this test process write.
//!
//! Statics are not dropped, and a killed process drops nothing. So a shell waits for the end of this process, which
//! closes the pipe that the shell reads, and removes the folder.

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use tempfile::TempDir;

/// Waits for the end of its input, then removes the folder. Tries for some seconds: the servers in it die at the same
/// time, and one may just be creating a file.
const REMOVE_AFTERWARDS: &str =
    r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && exit; sleep 0.3; done"#;

/// The folder, and the shell that removes it as soon as nobody holds the other end of its input.
struct Home {
    path: PathBuf,
    _remover: Child,
}

static HOME: LazyLock<Home> = LazyLock::new(|| {
    let path = tempfile::Builder::new()
        .prefix("pladmed-services-")
        .tempdir()
        .expect("a folder")
        .keep();
    let remover = Command::new("sh")
        .args(["-c", REMOVE_AFTERWARDS, "sh"])
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not of the terminal's group, which Ctrl-C ends.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start sh: {error}"));
    Home {
        path,
        _remover: remover,
    }
});

/// A new folder, gone when dropped and at the latest soon after this process.
pub(crate) fn folder(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(&HOME.path)
        .unwrap_or_else(|error| panic!("no folder in {}: {error}", HOME.path.display()))
}

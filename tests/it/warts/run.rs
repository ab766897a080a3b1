//! Runs programs, each with a deadline.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest case waits for three silent hops of a second each, twice.
const DEADLINE: Duration = Duration::from_secs(60);
const TOOLS: [&str; 4] = [
    "scamper",
    "sc_warts2json",
    "sc_analysis_dump",
    "sc_wartscat",
];

/// The first tool that is not installed, in words.
pub(super) fn missing_tool() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |tool: &&str| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing = TOOLS.iter().find(|tool| !installed(tool));
    missing.map(|tool| format!("{tool} is not installed"))
}

pub(super) fn dir() -> Result<TempDir, String> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

/// What a program prints. Fails when it does, or when it takes too long.
pub(super) fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let dir = dir()?;
    let path = dir.path().join("stdout");
    let stdout = File::create(&path).map_err(|error| error.to_string())?;
    let child = Command::new(program)
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("{program}: {error}"))?;
    let result = wait(&mut child).map_err(|why| format!("{program} {arguments:?}: {why}"));
    result?;
    std::fs::read_to_string(&path).map_err(|error| error.to_string())
}

fn wait(child: &mut Child) -> Result<(), String> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) => sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.to_string()),
        }
    }
    // Both fail only for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
    Err("took too long".to_owned())
}

/// Has scamper run `commands`, all at once, inside `namespace` if there is one.
pub(super) fn scamper(
    file: &Path,
    namespace: Option<&str>,
    options: &[&str],
    commands: &[&str],
) -> Result<(), String> {
    let file = file.to_str().ok_or("the path is not UTF-8")?;
    let fixed = ["-p", "1000", "-O", "warts", "-o", file];
    let arguments = [&fixed[..], options, &["-I"], commands].concat();
    match namespace {
        None => output("scamper", &arguments)?,
        Some(name) => {
            let enter = ["netns", "exec", name, "scamper"];
            output("ip", &[&enter[..], &arguments].concat())?
        }
    };
    Ok(())
}

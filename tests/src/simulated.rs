//! A simulated fleet: the process `pladmed-probe simulate`, and what it says at its end.

use std::{fs, path::PathBuf, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    eventually,
    process::{Process, program},
};

/// Longest an end may take: the fleet's own limits and some more.
const ENDED_WITHIN: Duration = Duration::from_secs(40);

/// A fleet. Killed when dropped.
#[derive(Debug)]
pub struct Simulated {
    process: Process,
    // Last, so that the process is gone when the folder is removed.
    folder: TempDir,
}

/// How a fleet ended.
#[derive(Debug)]
pub struct Told {
    /// Its exit code.
    pub code: i32,
    /// Its summary; null where it did not start.
    pub summary: Value,
    /// What it said meanwhile.
    pub log: String,
}

impl Simulated {
    /// Starts a fleet with these tokens at the hub of this URL.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(url: &str, tokens: &[&str], arguments: &[&str]) -> Self {
        let command = Command::new(program("pladmed-probe"));
        Self::start_by(command, url, tokens, arguments)
    }

    /// The same by a command that runs the program.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_by(mut command: Command, url: &str, tokens: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pladmed-simulated-")
            .tempdir()
            .expect("a folder");
        let file = folder.path().join("tokens");
        fs::write(&file, tokens.join("\n")).expect("the tokens");
        command
            .args(["simulate", "--hub", url, "--tokens"])
            .arg(&file)
            .arg("--summary")
            .arg(summary(&folder))
            .args(arguments);
        let process = Process::start("a simulated fleet", command, folder.path().join("log"));
        Self { process, folder }
    }

    /// Waits until it says that so many probes are connected.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn connected(&self, probes: usize) {
        let wanted = format!("connected {probes}/");
        let said = || async { self.process.log().contains(&wanted).then_some(()) };
        eventually(ENDED_WITHIN, &wanted, said).await;
    }

    /// SIGTERM; how it ended.
    pub async fn terminate(self) -> Told {
        self.process.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not, or its summary is none.
    pub async fn ended(mut self) -> Told {
        let code = self.process.wait(ENDED_WITHIN).await;
        let summary = fs::read_to_string(summary(&self.folder)).ok();
        let summary = summary.map(|text| serde_json::from_str(&text).expect("a summary"));
        Told {
            code,
            summary: summary.unwrap_or_default(),
            log: self.process.log(),
        }
    }
}

impl Told {
    /// Makes sure that all is well.
    ///
    /// # Panics
    /// With what is not.
    #[must_use]
    pub fn well(self) -> Self {
        let whole = format!("{}\n{:#}", self.log, self.summary);
        assert_eq!(self.code, 0, "{whole}");
        assert_eq!(self.summary["ok"], true, "{whole}");
        self
    }

    /// A number of the summary, by its path.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn number(&self, path: &str) -> f64 {
        let value = self.summary.pointer(path);
        value
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("no number {path} in {:#}", self.summary))
    }
}

fn summary(folder: &TempDir) -> PathBuf {
    folder.path().join("summary.json")
}

//! A real probe: the `pladmed-probe` process with a data folder of its own.

use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{self, Process, program};

/// The agent's program.
const PROGRAM: &str = "pladmed-probe";
/// Longest a stop may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// An agent. Killed when dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    url: String,
    token: String,
    variables: Vec<(String, String)>,
    // Last, so that the process is gone when the folder is removed.
    folder: TempDir,
}

impl Agent {
    /// What is missing to run an agent, if anything is.
    #[must_use]
    pub fn missing() -> Option<String> {
        (!process::is_built(PROGRAM)).then(|| format!("{PROGRAM} was not built"))
    }

    /// An agent that connects to the hub at this URL.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(url: &str, token: &str) -> Self {
        Self::start_with(url, token, &[])
    }

    /// An agent with settings beside the usual ones, as environment variables.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(url: &str, token: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pladmed-probe-")
            .tempdir()
            .expect("a folder");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<(String, String)> = variables.iter().map(owned).collect();
        let process = spawn(&folder, url, token, &variables);
        Self {
            process,
            url: url.to_owned(),
            token: token.to_owned(),
            variables,
            folder,
        }
    }

    /// kill -9; returns when it is gone.
    pub async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// SIGTERM; its exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.process.terminate(STOPPED_WITHIN).await
    }

    /// Starts it again on the same data.
    pub fn restart(&mut self) {
        self.process = spawn(&self.folder, &self.url, &self.token, &self.variables);
    }

    /// The process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its folder.
    #[must_use]
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }
}

fn spawn(folder: &TempDir, url: &str, token: &str, variables: &[(String, String)]) -> Process {
    let mut command = Command::new(program(PROGRAM));
    command
        .arg("run")
        .env("PLADMED_HUB", url)
        .env("PLADMED_TOKEN", token);
    command
        .env("PLADMED_DATA", folder.path().join("data"))
        .env("PLADMED_LOG_LEVEL", "info,pladmed_probe=debug");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Process::start(PROGRAM, command, folder.path().join("probe.log"))
}

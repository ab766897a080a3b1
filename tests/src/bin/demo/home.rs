//! Where a run of the demo keeps its data: a numbered folder of its own, so that runs never meet.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Failure;

/// Runs that may lie side by side.
const MOST_RUNS: u32 = 10_000;

/// The folder of this run.
pub(crate) struct Home(PathBuf);

impl Home {
    /// Makes the first folder `parent`/1, `parent`/2, … that is not there yet.
    pub(crate) fn make(parent: &Path) -> Result<Self, Failure> {
        let failed = |path: &Path, cause: io::Error| {
            Failure(format!("cannot make {}: {cause}", path.display()))
        };
        fs::create_dir_all(parent).map_err(|cause| failed(parent, cause))?;
        for number in 1..=MOST_RUNS {
            let path = parent.join(number.to_string());
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(failed(&path, cause)),
            }
        }
        Err(Failure(format!(
            "{} is full of old runs; delete some",
            parent.display()
        )))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The hub's `DATA_DIR`.
    pub(crate) fn hub(&self) -> PathBuf {
        self.0.join("hub")
    }

    /// The agent's folder.
    pub(crate) fn agent(&self) -> PathBuf {
        self.0.join("probe")
    }

    pub(crate) fn hub_log(&self) -> PathBuf {
        self.0.join("hub.log")
    }

    pub(crate) fn agent_log(&self) -> PathBuf {
        self.0.join("probe.log")
    }
}

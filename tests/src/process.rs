//! Programs that tests start: where they are, and a child process that never outlives its test.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::wait::within;

/// Lines of a log that are shown when a test fails.
const LOG_TAIL: usize = 60;
/// How often a process is looked at that shall be caught in the middle of its work.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Longest a process may take to be gone after kill -9.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// The path of one of this workspace's programs, which lie beside the test's own binary.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = beside_us(name);
    assert!(
        path.is_file(),
        "{} is missing: `make build` (or `cargo build -p pladmed -p pladmed-probe`) makes it",
        path.display()
    );
    path
}

/// Whether one of this workspace's programs was built.
#[must_use]
pub fn is_built(name: &str) -> bool {
    beside_us(name).is_file()
}

fn beside_us(name: &str) -> PathBuf {
    let us = std::env::current_exe().expect("the path of the test binary");
    let folder = us.parent().expect("a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("a folder")
    } else {
        folder
    };
    folder.join(name)
}

/// A tool on `PATH`.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A child process with its output in a file; killed when dropped, and when a test fails the end of its log is shown.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it writes is added to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &'static str, mut command: Command, log: PathBuf) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the log file");
        let also = file.try_clone().expect("the log file");
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name,
            child: Some(child),
            log,
        }
    }

    /// Its number, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&mut self) -> Option<i32> {
        let status = self
            .child
            .as_mut()?
            .try_wait()
            .expect("the state of a child")?;
        Some(
            status
                .code()
                .unwrap_or(-status.signal().unwrap_or_default()),
        )
    }

    /// Waits until it is so far, or has ended.
    ///
    /// # Panics
    /// With `what` when neither comes in time.
    pub async fn until(&mut self, limit: Duration, what: &str, so_far: impl Fn() -> bool) {
        within(limit, what, async {
            while !so_far() && self.ended().is_none() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
    }

    /// kill -9; returns when it is gone.
    pub async fn kill9(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        within(GONE_WITHIN, "the end of a killed process", child.kill())
            .await
            .expect("kill -9");
    }

    /// SIGTERM; its exit code, or the negative number of the signal that ended it.
    ///
    /// # Panics
    /// When it is not gone in time.
    pub async fn terminate(&mut self, limit: Duration) -> i32 {
        self.signal(Signal::TERM);
        self.wait(limit).await
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        let pid = self
            .pid()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .expect("a running process");
        kill_process(pid, signal).expect("the signal was sent");
    }

    /// Waits for its end; its exit code, or the negative number of the signal that ended it.
    ///
    /// # Panics
    /// When it is not gone in time.
    pub async fn wait(&mut self, limit: Duration) -> i32 {
        let child = self.child.as_mut().expect("a process");
        let status = within(limit, &format!("the end of {}", self.name), child.wait())
            .await
            .expect("its status");
        self.child = None;
        status
            .code()
            .unwrap_or(-status.signal().unwrap_or_default())
    }

    /// Resident memory, KiB.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        resident_kib(self.pid().expect("a running process"))
    }

    /// Everything it has written.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
            eprintln!("--- the end of what {} logged\n{tail}\n---", self.name);
        }
    }
}

/// Resident memory of a process, KiB.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the state of a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory");
    line.trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .expect("a number")
}

/// A text file, as far as it can be read.
fn read(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

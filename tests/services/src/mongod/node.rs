//! One `mongod` process on a loopback port, with a folder of its own. It knows nothing of replica sets and users.

use std::{
    fs::{self, File, OpenOptions},
    future::ready,
    hash::{BuildHasher as _, RandomState},
    io::{Read as _, Seek as _, SeekFrom},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use super::program;
use crate::{child, home, wait::until};

/// Where all nodes listen.
pub(super) const HOST: &str = "127.0.0.1";
/// Ports for nodes. They lie below those that the kernel gives to outgoing connections, as a node that is away must find
/// its port free when it comes back, and above those of the hubs that tests start.
const PORTS: Range<u16> = 30_000..32_000;
/// Ports tried before giving up.
const PORT_ATTEMPTS: usize = 50;
/// Longest a start may take, on a machine that is busy.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest a process may take to be gone after kill -9, or to stand still after SIGSTOP.
const OBEYS_WITHIN: Duration = Duration::from_secs(10);
/// What it logs when it listens.
const LISTENS: &str = "Waiting for connections";
/// What it logs when somebody else has its port.
const PORT_TAKEN: &str = "Address already in use";
/// Characters of its log that are shown when it does not start.
const LOG_TAIL: usize = 3000;
/// Settings of every node: small, quick to notice what expired, and nothing outside its folder.
const USUAL: &[&str] = &[
    "--bind_ip",
    HOST,
    "--nounixsocket",
    "--wiredTigerCacheSizeGB",
    "0.25",
    "--setParameter",
    "ttlMonitorSleepSecs=1",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
];

/// The process. Killed when dropped.
#[derive(Debug)]
pub(super) struct Node {
    child: Option<Child>,
    port: u16,
    args: Vec<String>,
    // Last, so that the process is gone when the folder is removed.
    folder: TempDir,
}

impl Node {
    /// Starts one on a free port; returns when it listens. `args` come after the usual ones, those that name files are
    /// made from its folder.
    ///
    /// # Panics
    /// When it does not come up.
    pub(super) async fn start(args: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = home::folder("mongod");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        let mut node = Self {
            child: None,
            port: 0,
            args: args(folder.path()),
            folder,
        };
        for _ in 0..PORT_ATTEMPTS {
            node.port = free_port();
            match node.up().await {
                Ok(()) => return node,
                // Somebody was quicker.
                Err(log) if log.contains(PORT_TAKEN) => {}
                Err(log) => panic!("mongod did not start:\n{}", tail(&log)),
            }
        }
        panic!("no port is free");
    }

    /// Its port, the same after a restart.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// The number of its process, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its folder.
    #[cfg(test)]
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// kill -9; returns when it is gone.
    pub(super) async fn kill9(&mut self) {
        let Some(child) = &mut self.child else {
            return;
        };
        child.kill().expect("kill -9");
        until(OBEYS_WITHIN, "the end of a killed mongod", || {
            ready(child.try_wait().expect("the state of a child"))
        })
        .await;
        self.child = None;
    }

    /// Starts it again on the same data and port, after the end of the one before; returns when it listens.
    ///
    /// # Panics
    /// When it does not come up.
    pub(super) async fn restart(&mut self) {
        self.kill9().await;
        if let Err(log) = self.up().await {
            panic!("mongod did not start again:\n{}", tail(&log));
        }
    }

    /// Stops it as it stands; connections stay open and nobody answers. Returns when all of it stands still.
    pub(super) async fn freeze(&mut self) {
        let pid = self.signal(Signal::STOP);
        until(OBEYS_WITHIN, "a mongod that stands still", || {
            ready(
                waitid(
                    WaitId::Pid(pid),
                    WaitIdOptions::STOPPED | WaitIdOptions::NOHANG,
                )
                .expect("the state of a child"),
            )
        })
        .await;
    }

    /// Lets it go on.
    pub(super) fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let pid = self
            .pid()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .expect("a running mongod");
        kill_process(pid, signal).expect("the signal was sent");
        pid
    }

    /// Starts the process; what it logged, when it ends instead of listening.
    async fn up(&mut self) -> Result<(), String> {
        let log = self.log_path();
        let skip = fs::metadata(&log).map_or(0, |file| file.len());
        self.child = Some(self.spawn(&log));
        let child = &mut self.child;
        until(UP_WITHIN, "a mongod that listens", || {
            ready(listens(child, &log, skip))
        })
        .await
    }

    fn spawn(&self, log: &Path) -> Child {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log file");
        let also = file.try_clone().expect("the log file");
        let mut command = child::command(program::path());
        command
            .args(USUAL)
            .arg("--port")
            .arg(self.port.to_string())
            .arg("--dbpath")
            .arg(self.folder.path().join("data"))
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            // Not of the terminal's group: Ctrl-C is for the test process, with which this one ends.
            .process_group(0);
        child::start(command).unwrap_or_else(|error| panic!("cannot start mongod: {error}"))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("mongod.log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A port on which nobody listens now.
fn free_port() -> u16 {
    for _ in 0..PORT_ATTEMPTS {
        // The keys of a hash are random.
        let random = RandomState::new().hash_one(());
        let port =
            PORTS.start + u16::try_from(random % PORTS.len() as u64).expect("a small number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Whether it listens by now; what it logged after `skip` bytes, when it has ended instead.
fn listens(child: &mut Option<Child>, log: &Path, skip: u64) -> Option<Result<(), String>> {
    let state = child.as_mut()?.try_wait().expect("the state of a child");
    // Read afterwards: then the log of one that ended is complete.
    let written = read_from(log, skip);
    if state.is_some() {
        *child = None;
        return Some(Err(written));
    }
    written.contains(LISTENS).then_some(Ok(()))
}

fn read_from(path: &Path, skip: u64) -> String {
    let mut bytes = Vec::new();
    let mut file = File::open(path).expect("the log file");
    file.seek(SeekFrom::Start(skip)).expect("the log file");
    file.read_to_end(&mut bytes).expect("the log file");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(log: &str) -> &str {
    let from = log.len().saturating_sub(LOG_TAIL);
    let from = (from..=log.len())
        .find(|at| log.is_char_boundary(*at))
        .unwrap_or_default();
    &log[from..]
}

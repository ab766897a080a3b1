//! One server process on loopback ports, with a folder of its own. It knows nothing of what the server serves.

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

use crate::{child, home, wait::until};

/// Where all of them listen.
pub(crate) const HOST: &str = "127.0.0.1";
/// Ports tried before giving up.
const PORT_ATTEMPTS: usize = 50;
/// Longest a start may take, on a machine that is busy.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest a process may take to be gone after kill -9, or to stand still after SIGSTOP.
const OBEYS_WITHIN: Duration = Duration::from_secs(10);
/// What a program logs when somebody else has its port: the system's own words.
const PORT_TAKEN: &str = "Address already in use";
/// Bytes of its log that are shown when it does not start.
const LOG_TAIL: usize = 3000;

/// What is the same for all processes that serve the same.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What it is called in messages, and its folder and log file.
    pub(crate) name: &'static str,
    /// The program; panics when there is none.
    pub(crate) program: fn() -> &'static Path,
    /// Options that take a port of their own each. The first is the one for clients.
    pub(crate) port_options: &'static [&'static str],
    /// Ports for it. They lie below those that the kernel gives to outgoing connections, as a server that is away must
    /// find its port free when it comes back, and no other kind of server has them.
    pub(crate) ports: Range<u16>,
    /// What it logs when it listens.
    pub(crate) listens: &'static str,
}

/// The process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    kind: &'static Kind,
    child: Option<Child>,
    /// One for each of the kind's options.
    ports: Vec<u16>,
    args: Vec<String>,
    // Last, so that the process is gone when the folder is removed.
    folder: TempDir,
}

impl Process {
    /// Starts one on free ports; returns when it listens. The arguments may name files in its folder.
    ///
    /// # Panics
    /// When it does not come up.
    pub(crate) async fn start(
        kind: &'static Kind,
        args: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let folder = home::folder(kind.name);
        let mut process = Self {
            kind,
            child: None,
            ports: Vec::new(),
            args: args(folder.path()),
            folder,
        };
        for _ in 0..PORT_ATTEMPTS {
            process.ports = free_ports(kind);
            match process.up().await {
                Ok(()) => return process,
                // Somebody was quicker.
                Err(log) if log.contains(PORT_TAKEN) => {}
                Err(log) => panic!("{} did not start:\n{}", kind.name, tail(&log)),
            }
        }
        panic!("no port is free");
    }

    /// Its port for clients, the same after a restart.
    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// All of its ports, as its kind's options.
    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Host and port for clients.
    pub(crate) fn address(&self) -> String {
        format!("{HOST}:{}", self.port())
    }

    /// The number of its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// kill -9; returns when it is gone.
    pub(crate) async fn kill9(&mut self) {
        let Some(child) = &mut self.child else {
            return;
        };
        child.kill().expect("kill -9");
        let what = format!("the end of a killed {}", self.kind.name);
        until(OBEYS_WITHIN, &what, || {
            ready(child.try_wait().expect("the state of a child"))
        })
        .await;
        self.child = None;
    }

    /// Starts it again in the same folder and on the same ports, after the end of the one before; returns when it listens.
    ///
    /// # Panics
    /// When it does not come up.
    pub(crate) async fn restart(&mut self) {
        self.kill9().await;
        if let Err(log) = self.up().await {
            panic!("{} did not start again:\n{}", self.kind.name, tail(&log));
        }
    }

    /// Stops it as it stands; connections stay open and nobody answers. Returns when all of it stands still.
    pub(crate) async fn freeze(&mut self) {
        let pid = self.signal(Signal::STOP);
        let what = format!("a {} that stands still", self.kind.name);
        until(OBEYS_WITHIN, &what, || {
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
    pub(crate) fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let pid = self
            .pid()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .unwrap_or_else(|| panic!("no {} runs", self.kind.name));
        kill_process(pid, signal).expect("the signal was sent");
        pid
    }

    /// Starts the process; what it logged, when it ends instead of listening.
    async fn up(&mut self) -> Result<(), String> {
        let log = self.log_path();
        let skip = fs::metadata(&log).map_or(0, |file| file.len());
        self.child = Some(self.spawn(&log));
        let (child, kind) = (&mut self.child, self.kind);
        let what = format!("a {} that listens", kind.name);
        until(UP_WITHIN, &what, || {
            ready(listens(child, kind.listens, &log, skip))
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
        let mut command = child::command((self.kind.program)());
        command.args(&self.args);
        for (option, port) in self.kind.port_options.iter().zip(&self.ports) {
            command.arg(option).arg(port.to_string());
        }
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            // Not of the terminal's group: Ctrl-C is for the test process, with which this one ends.
            .process_group(0);
        let name = self.kind.name;
        child::start(command).unwrap_or_else(|error| panic!("cannot start {name}: {error}"))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.kind.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Different ports on which nobody listens now, as many as the kind wants.
fn free_ports(kind: &Kind) -> Vec<u16> {
    let mut found = Vec::new();
    for _ in 0..PORT_ATTEMPTS {
        if found.len() == kind.port_options.len() {
            return found;
        }
        // The keys of a hash are random.
        let random = RandomState::new().hash_one(());
        let place = random % kind.ports.len() as u64;
        let port = kind.ports.start + u16::try_from(place).expect("a small number");
        if !found.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.push(port);
        }
    }
    panic!("no port is free");
}

/// Whether it listens by now; what it logged after `skip` bytes, when it has ended instead.
fn listens(
    child: &mut Option<Child>,
    says: &str,
    log: &Path,
    skip: u64,
) -> Option<Result<(), String>> {
    let state = child.as_mut()?.try_wait().expect("the state of a child");
    // Read afterwards: then the log of one that ended is complete.
    let written = read_from(log, skip);
    if state.is_some() {
        *child = None;
        return Some(Err(written));
    }
    written.contains(says).then_some(Ok(()))
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

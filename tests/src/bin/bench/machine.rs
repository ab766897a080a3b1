//! The machine that is measured on, and what its processors spend on whom.

use std::fs;

use serde::Serialize;

/// Ticks of the kernel's accounts in a second; it tells programs this number, whatever it uses itself.
const TICKS: f64 = 100.0;
/// Where the time in user mode stands in `/proc/PID/stat` after the name of the program; the time in the kernel follows.
const USER_TIME: usize = 11;

/// What a figure depends on. Neither names of hosts nor paths.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Processors that this process may use.
    pub(crate) cores: usize,
    /// Their name.
    pub(crate) processor: String,
    /// Memory, GiB.
    pub(crate) memory_gib: f64,
    /// Version of Linux.
    pub(crate) kernel: String,
    /// Version of the hub.
    pub(crate) hub: &'static str,
    /// How many processes wanted to run, on the average of the minute before: what else the machine was doing.
    pub(crate) load_before: f64,
}

impl Machine {
    /// This machine, before it is measured on.
    pub(crate) fn this() -> Self {
        let memory_kib: f64 = field("/proc/meminfo", "MemTotal:")
            .trim_end_matches("kB")
            .trim()
            .parse()
            .expect("a number");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name")
                .trim_start_matches(':')
                .trim()
                .to_owned(),
            memory_gib: memory_kib / 1024.0 / 1024.0,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            hub: env!("CARGO_PKG_VERSION"),
            load_before: load(),
        }
    }
}

/// How many processes want to run, on the average of the last minute.
fn load() -> f64 {
    let all = read("/proc/loadavg");
    let first = all.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).expect("a number")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rest of the first line that begins so; empty where there is none.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

/// Seconds that processors have spent on some processes, in user mode and in the kernel.
#[derive(Debug)]
pub(crate) struct CpuTimes<const N: usize>([f64; N]);

impl<const N: usize> CpuTimes<N> {
    /// Until now.
    pub(crate) fn of(processes: [Option<u32>; N]) -> Self {
        Self(processes.map(|pid| {
            let pid = pid.expect("a running process");
            let stat = read(&format!("/proc/{pid}/stat"));
            let (_, rest) = stat.rsplit_once(')').expect("the name of a program");
            let times = rest.split_whitespace().skip(USER_TIME).take(2);
            let ticks: f64 = times
                .map(|time| time.parse::<f64>().expect("a number"))
                .sum();
            ticks / TICKS
        }))
    }

    /// Since then.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (now, before) in self.0.iter_mut().zip(&before.0) {
            *now -= before;
        }
        self
    }

    /// The share of each of so many pieces of work, microseconds.
    pub(crate) fn per(self, pieces: usize) -> [f64; N] {
        let pieces = u32::try_from(pieces).map_or(f64::INFINITY, f64::from);
        self.0.map(|seconds| seconds / pieces.max(1.0) * 1e6)
    }
}

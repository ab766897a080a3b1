//! The hub and the agent as processes: how they start, how one knows that they run, how they stop.
//!
//! Each has a process group of its own, so that a Ctrl-C in the terminal reaches the demo alone and it can stop them in order.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use probe_protocol::Kind;
use tests::process::{Process, program};
use tokio::{io::AsyncWriteExt as _, process::Command, time::sleep};

use crate::{Failure, home::Home, setup::Login};

/// Longest the hub may take to start.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest the agent may take to stop.
const AGENT_STOPS_WITHIN: Duration = Duration::from_secs(20);
/// Longest the hub may take to stop: its own limit and some more.
const HUB_STOPS_WITHIN: Duration = Duration::from_secs(25);
/// How often a log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports tried from the first one on.
const PORTS_TRIED: u16 = 50;
/// Lines of a log that are shown when a program ends.
const LOG_TAIL: usize = 15;

/// The running hub.
pub(crate) struct Hub {
    process: Process,
    port: u16,
}

impl Hub {
    /// Makes the superuser, then starts the hub on the first free port.
    pub(crate) async fn start(
        home: &Home,
        first_port: u16,
        admin: &Login,
    ) -> Result<Self, Failure> {
        create_superuser(home, admin).await?;
        let last_port = first_port.saturating_add(PORTS_TRIED);
        for port in (first_port..=last_port).filter(|port| is_free(*port)) {
            let mut command = hub_command(home);
            command.arg("serve").env("PORT", port.to_string());
            let mut hub = Self {
                process: Process::start("pladmed", command, home.hub_log()),
                port,
            };
            if hub.ready(home).await? {
                return Ok(hub);
            }
        }
        Err(Failure(format!(
            "no port from {first_port} to {last_port} is free; choose another one with --port"
        )))
    }

    /// Whether it is ready; false where someone else took the port in the meantime.
    async fn ready(&mut self, home: &Home) -> Result<bool, Failure> {
        let started = Instant::now();
        let says_ready = format!("address=127.0.0.1:{} ", self.port);
        while started.elapsed() < READY_WITHIN {
            let log = self.process.log();
            if log
                .lines()
                .any(|line| line.contains("the hub is ready") && line.contains(&says_ready))
            {
                return Ok(true);
            }
            if let Some(why) = self.ended(home) {
                return if log.contains("cannot listen") {
                    Ok(false)
                } else {
                    Err(Failure(why))
                };
            }
            sleep(LOOK_EVERY).await;
        }
        Err(Failure(format!(
            "the hub was not ready in time; see {}",
            home.hub_log().display()
        )))
    }

    /// Its address, without a final slash.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self, home: &Home) -> Option<String> {
        self.process
            .ended()
            .map(|code| epitaph("the hub", code, &self.process, &home.hub_log()))
    }

    pub(crate) async fn stop(&mut self) {
        stop(&mut self.process, HUB_STOPS_WITHIN).await;
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The hub with the demo's settings and none of the user's: those may be for another hub.
fn hub_command(home: &Home) -> Command {
    let mut command = Command::new(program("pladmed"));
    command
        .env_clear()
        .env("DATA_DIR", home.hub())
        .env("HOST", "127.0.0.1")
        .process_group(0);
    command
}

async fn create_superuser(home: &Home, admin: &Login) -> Result<(), Failure> {
    let mut command = hub_command(home);
    command.args(["superuser", "create", &admin.email, "--password-stdin"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let failed = |cause: std::io::Error| Failure(format!("cannot make a superuser: {cause}"));
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(format!("{}\n", admin.password).as_bytes())
            .await
            .map_err(failed)?;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure(format!(
        "cannot make a superuser: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// The running agent.
pub(crate) struct Agent(Process);

impl Agent {
    /// Starts it. The token goes by the environment: arguments are visible to other users of the machine.
    pub(crate) fn start(home: &Home, hub: &str, token: &str) -> Self {
        let mut command = Command::new(program("pladmed-probe"));
        command
            .arg("run")
            .env("PLADMED_HUB", hub)
            .env("PLADMED_TOKEN", token);
        command.env("PLADMED_DATA", home.agent()).process_group(0);
        Self(Process::start("pladmed-probe", command, home.agent_log()))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self, home: &Home) -> Option<String> {
        self.0
            .ended()
            .map(|code| epitaph("the probe's agent", code, &self.0, &home.agent_log()))
    }

    pub(crate) async fn stop(&mut self) {
        stop(&mut self.0, AGENT_STOPS_WITHIN).await;
    }
}

async fn stop(process: &mut Process, limit: Duration) {
    if process.ended().is_none() {
        process.terminate(limit).await;
    }
}

fn epitaph(who: &str, code: i32, process: &Process, log: &Path) -> String {
    let text = process.log();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n  ");
    format!(
        "{who} ended with code {code}; the end of {}:\n  {tail}",
        log.display()
    )
}

/// Says which kinds this machine cannot measure, and why, in the agent's own words.
pub(crate) async fn explain_missing(kinds: &[Kind]) {
    let missing: Vec<&str> = Kind::ALL
        .iter()
        .filter(|kind| !kinds.contains(kind))
        .map(|kind| kind.as_str())
        .collect();
    if missing.is_empty() {
        return;
    }
    println!(
        "\nThis machine cannot run {}; the demo goes on with the rest.",
        missing.join(" and ")
    );
    println!(
        "scamper must be installed and needs root or CAP_NET_RAW (docs/operating.md). `pladmed-probe check` says:\n"
    );
    let check = Command::new(program("pladmed-probe"))
        .arg("check")
        .kill_on_drop(true)
        .output()
        .await;
    let table = check
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    table.lines().for_each(|line| println!("  {line}"));
    println!();
}

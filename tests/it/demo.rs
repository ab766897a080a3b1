//! `make demo`, as far as a test can look at it: every kind that this machine can measure comes back.

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tests::{
    Case, Trial, eventually,
    process::{is_built, program},
    wait::within,
};
use tokio::process::Command;

/// Longest `--once` may take: the ping waits for the next full minute.
const ONCE_WITHIN: Duration = Duration::from_secs(200);
/// Longest the start and the stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Vec<Trial> {
    let missing = ["demo", "pladmed", "pladmed-probe"]
        .iter()
        .find(|name| !is_built(name))
        .map(|name| format!("{name} was not built"));
    vec![
        Case::new("it::demo::every_kind_comes_back")
            .within(ONCE_WITHIN)
            .unless(missing.clone())
            .run(every_kind_comes_back),
        Case::new("it::demo::a_signal_stops_everything")
            .unless(missing)
            .run(a_signal_stops_everything),
    ]
}

fn demo(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(program("demo"));
    command
        .arg("--data")
        .arg(folder.path())
        .args(["--port", "14000"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn every_kind_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = within(
        ONCE_WITHIN,
        "the demo",
        demo(&folder).arg("--once").output(),
    )
    .await
    .expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for kind in ["ping", "traceroute", "dns"] {
        let cannot = said
            .lines()
            .any(|line| line.starts_with("This machine cannot run") && line.contains(kind));
        let row = |line: &str| line.split_whitespace().nth(1) == Some(kind);
        assert!(cannot || said.lines().any(row), "no {kind}:\n{said}");
    }
    let hub_log = fs::read_to_string(folder.path().join("1/hub.log")).expect("the hub's log");
    assert!(hub_log.contains("stopped clean=true"), "{hub_log}");
}

async fn a_signal_stops_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = demo(&folder).spawn().expect("it starts");
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        .expect("a process");
    let log = folder.path().join("1/hub.log");
    let connected = || async {
        fs::read_to_string(&log)
            .ok()?
            .contains("probe connected")
            .then_some(())
    };
    eventually(STOPS_WITHIN, "a connected probe", connected).await;
    kill_process(pid, Signal::INT).expect("the signal was sent");
    let output = within(STOPS_WITHIN, "the end", child.wait_with_output())
        .await
        .expect("its output");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(&format!("The data lies in {}", folder.path().display())),
        "{said}"
    );
    let hub_log = fs::read_to_string(&log).expect("the hub's log");
    assert!(hub_log.contains("stopped clean=true"), "{hub_log}");
}

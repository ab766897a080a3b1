//! The clock of the host: what chrony says of it, where it is there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};
use tests::{Hub, Trial};

use super::bench::{Diagnosis, on_sqlite};
use crate::copying::bench::run;

pub(super) fn trials() -> Vec<Trial> {
    tests::trials![the_clock_of_the_host_is_looked_at]
}

/// A chronyc that says this: whether the real one has an offset is not for a test to choose.
fn chronyc(folder: &Path, script: &str) {
    let path = folder.join("chronyc");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("rights");
}

async fn with(hub: &Hub, folder: &Path) -> Diagnosis {
    let mut command = hub.command(&["diagnose", "--json"]);
    command.env("PATH", folder);
    let output = run(command).await;
    Diagnosis {
        code: output.status.code(),
        report: serde_json::from_slice(&output.stdout).expect("a report"),
    }
}

async fn the_clock_of_the_host_is_looked_at() {
    let hub = on_sqlite(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let tracking = |offset: &str, leap: &str| {
        format!(
            "[ \"$*\" = '-c -n tracking' ] && echo 'D8EF230C,192.0.2.1,2,1763740000.1,{offset},0.1,0.1,-1.5,0.1,0.1,0.02,0.001,64.0,{leap}'"
        )
    };
    let absent = with(&hub, folder.path()).await;
    absent.must_be_clean();
    let clocks = |found: &Diagnosis| found.report["clocks"].clone();
    assert_eq!(clocks(&absent)["host_offset_seconds"], Value::Null);
    let why = clocks(&absent)["host_unknown"].to_string();
    assert!(why.contains("no chronyc"), "{why}");
    chronyc(folder.path(), &tracking("-0.000125", "Normal"));
    let right = with(&hub, folder.path()).await;
    right.must_be_clean();
    assert_eq!(clocks(&right)["host_offset_seconds"], json!(-0.000_125));
    chronyc(folder.path(), &tracking("1.5", "Normal"));
    let wrong = with(&hub, folder.path()).await;
    assert_eq!((wrong.code, wrong.rules()), (Some(1), vec!["host_clock"]));
    for script in [
        &tracking("1.5", "Not synchronised"),
        "echo '506 Cannot talk to daemon'; exit 1",
        "exec /bin/sleep 60",
    ] {
        chronyc(folder.path(), script);
        let unknown = with(&hub, folder.path()).await;
        unknown.must_be_clean();
        assert!(clocks(&unknown)["host_unknown"].is_string(), "{script}");
    }
}

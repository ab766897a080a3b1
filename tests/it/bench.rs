//! `make bench`, as far as a quick section can show: it measures beside a limit, and writes down what it says.

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tests::{
    Case, Trial,
    process::{is_built, program},
    wait::within,
};
use tokio::process::Command;

/// Longest a quick section may take on both stores, on a machine that is busy.
const MEASURED_WITHIN: Duration = Duration::from_secs(90);

pub(crate) fn trials() -> Vec<Trial> {
    let missing = (!is_built("bench")).then(|| "bench was not built".to_owned());
    vec![
        Case::new("it::bench::what_is_measured_is_written_down")
            .within(MEASURED_WITHIN)
            .unless(missing.clone())
            .run(what_is_measured_is_written_down),
        Case::new("it::bench::what_it_does_not_know_it_refuses")
            .unless(missing)
            .run(what_it_does_not_know_it_refuses),
    ]
}

async fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(program("bench"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    within(MEASURED_WITHIN, "the benchmark", command.output())
        .await
        .expect("it runs")
}

async fn what_is_measured_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("figures.json");
    let path = file.to_str().expect("a path");
    let output = bench(&["streams", "--quick", "--json", path]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{log}");

    let kept = fs::read(&file).expect("the figures");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    assert!(kept["machine"]["cores"].as_u64() > Some(0), "{kept:#}");
    let sections = kept["sections"].as_array().expect("sections");
    assert_eq!(sections.len(), 2, "{kept:#}");
    for section in sections {
        let title = section["title"].as_str().expect("a title");
        assert!(said.contains(&format!("\n## {title}\n")), "{said}");
        if let Some(why) = section["skipped"].as_str() {
            assert!(title.ends_with("MongoDB") && services::mongod::missing().is_some());
            assert!(said.contains(&format!("skipped: {why}")), "{said}");
            continue;
        }
        let slowest = section["figures"]
            .as_array()
            .and_then(|all| all.last())
            .expect("figures");
        let [hub, limit, ratio] = ["/hub", "/limit/value", "/limit/ratio"].map(|at| {
            let value = slowest.pointer(at).and_then(Value::as_f64);
            value.unwrap_or_else(|| panic!("no {at}: {slowest:#}"))
        });
        assert!(hub > 0.0 && limit > 0.0, "{slowest:#}");
        assert!((hub / limit - ratio).abs() < 1e-9, "{slowest:#}");
    }
}

async fn what_it_does_not_know_it_refuses() {
    let output = bench(&["stream"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("'streams'"), "{said}");
}

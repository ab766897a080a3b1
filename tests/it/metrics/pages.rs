//! Dashboard, alerts and documentation name the metrics that a hub shows, all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tests::{
    Hub, Trial,
    process::on_path,
    wait::{SOON, within},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{promtool_missing, text::Metrics};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = tests::trials![
        dashboard_and_alerts_name_what_there_is,
        the_documentation_lists_all_metrics,
        every_alert_says_what_to_do,
    ];
    trials.extend(tests::trials![
        |it| it.unless(promtool_missing());
        prometheus_takes_the_metrics,
        prometheus_takes_the_rules,
    ]);
    trials
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Words of a text that look like names of the hub's metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("pladmed_") || word.starts_with("process_"))
        .collect()
}

/// The queries of a dashboard, wherever they stand.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(query)) = fields.get("expr") {
                found.push(query.clone());
            }
            fields.values().for_each(|field| queries(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// A hub of which everything was asked once.
async fn shown() -> Metrics {
    let hub = Hub::start().await;
    let _ = Metrics::of(hub.api()).await;
    Metrics::of(hub.api()).await
}

async fn dashboard_and_alerts_name_what_there_is() {
    let metrics = shown().await;
    let dashboard: Value =
        serde_json::from_str(&file("docker/grafana/pladmed.json")).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("a list");
    assert!(
        variables
            .iter()
            .any(|variable| variable["type"] == "datasource")
    );
    let mut queries_of = Vec::new();
    queries(&dashboard, &mut queries_of);
    let drawn = queries_of.join("\n");
    let alerts = file("docker/prometheus/alerts.yml");
    for (what, text) in [("the dashboard", &drawn), ("an alert", &alerts)] {
        let names = names(text);
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            assert!(metrics.metric_of(name).is_some(), "{what} asks for {name}");
        }
    }
    let drawn: BTreeSet<&str> = names(&drawn)
        .into_iter()
        .filter_map(|name| metrics.metric_of(name))
        .collect();
    for name in metrics.types.keys() {
        assert!(drawn.contains(name.as_str()), "no panel shows {name}");
    }
}

async fn the_documentation_lists_all_metrics() {
    let metrics = shown().await;
    let page = file("docs/operating.md");
    let section = page.split_once("\n## Metrics\n").expect("a section").1;
    let section = section.split("\n## ").next().expect("its text");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let mut cell = || cells.next().expect("a cell").replace('`', "");
        (cell(), (cell(), cell()))
    });
    let documented: BTreeMap<String, (String, String)> = rows.collect();
    let shown = metrics.types.iter().map(|(name, kind)| {
        let labels: Vec<String> = metrics.labels_of(name).into_iter().collect();
        (name.clone(), (kind.clone(), labels.join(", ")))
    });
    assert_eq!(documented, shown.collect());
}

async fn every_alert_says_what_to_do() {
    let text = file("docker/prometheus/alerts.yml");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 8, "{}", alerts.len());
    for alert in alerts {
        for field in [
            "expr: ",
            "for: ",
            "severity: ",
            "summary: ",
            "description: ",
        ] {
            assert!(alert.contains(field), "no {field}in\n{alert}");
        }
    }
}

/// What promtool says of a text.
async fn promtool(arguments: &[&str], input: &str) -> Output {
    let program = on_path("promtool").expect("promtool, which CI must have");
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("promtool starts");
    let mut stdin = child.stdin.take().expect("its input");
    // It may have ended before it read all.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = within(SOON, "promtool", child.wait_with_output()).await;
    output.expect("its output")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

async fn prometheus_takes_the_metrics() {
    let metrics = shown().await;
    let output = promtool(&["check", "metrics"], &metrics.text).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "", "what it would do otherwise");
    // It does look.
    let output = promtool(
        &["check", "metrics"],
        "# TYPE bad_count counter\nbad_count 1\n",
    )
    .await;
    assert!(!output.status.success(), "{}", said(&output));
}

async fn prometheus_takes_the_rules() {
    let dashboard = file("docker/grafana/pladmed.json");
    let mut found = Vec::new();
    queries(&serde_json::from_str(&dashboard).expect("JSON"), &mut found);
    let rules = (0..).zip(&found).map(|(number, query): (u32, _)| {
        let query = query.replace("$__rate_interval", "5m");
        json!({"record": format!("panel_{number}"), "expr": query.replace("$instance", ".*")})
    });
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]});
    let folder = tempfile::tempdir().expect("a folder");
    // JSON is YAML too.
    let path = folder.path().join("dashboard.yml");
    fs::write(&path, rules.to_string()).expect("the queries as rules");
    let checks = [
        ["check", "rules", path.to_str().expect("plain text")],
        ["check", "rules", "docker/prometheus/alerts.yml"],
        ["check", "config", "docker/prometheus/prometheus.yml"],
        ["test", "rules", "docker/prometheus/alerts_test.yml"],
    ];
    for check in checks {
        let output = promtool(&check, "").await;
        assert!(output.status.success(), "{check:?}: {}", said(&output));
    }
}

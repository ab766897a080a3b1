//! The API against its own description: Schemathesis sends what the description allows and what it forbids, and holds
//! every answer to it. No answer may be a failure of the hub, or one that the description does not name.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_protocol::{HubFrame, ProbeFrame};
use serde_json::json;
use tests::{Case, FakeProbe, Hub, TestUser, Trial, orders, probe::result, wait::within};
use tokio::process::Command;

/// Longest it may take on a machine that is busy; alone it takes half a minute.
const LIMIT: Duration = Duration::from_secs(240);
/// Requests of each endpoint in each phase, beside those that its description suggests.
const EXAMPLES: &str = "25";

pub(crate) fn trials() -> Vec<Trial> {
    let missing = (!program().is_file())
        .then(|| "Schemathesis is not installed: `make install-tools`".to_owned());
    vec![
        Case::new("it::schemathesis::answers_keep_to_the_description")
            .within(LIMIT)
            .unless(missing)
            .run(answers_keep_to_the_description),
    ]
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/schemathesis/bin/schemathesis")
}

async fn answers_keep_to_the_description() {
    let hub = Hub::start().await;
    let admin = hub.admin().await;
    admin.grant(&admin, 1_000_000).await;
    let configuration = configuration(&hub, &admin).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("schemathesis.toml"), configuration).expect("its configuration");
    let token = admin.api.token().expect("a token");
    let mut command = Command::new(program());
    command
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("{}/api/openapi.json", hub.url()))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        // A stream of events has no end to wait for.
        .args(["--exclude-path", "/api/v1/operations/{id}/events"])
        .args(["--max-examples", EXAMPLES, "--seed", "1"])
        .args(["--workers", "1", "--request-timeout", "30"])
        .args(["--continue-on-failure", "--no-color"])
        .kill_on_drop(true);
    let output = within(LIMIT, "Schemathesis", command.output())
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

/// Names things that exist, so that not every answer is 404.
async fn configuration(hub: &Hub, admin: &TestUser) -> String {
    let card = admin.probe("measured").await;
    let mut probe = FakeProbe::connect(hub, &card.token).await;
    let operation = admin.launch(&orders::ping(&[card.id])).await;
    probe.accept().await;
    probe
        .say(&ProbeFrame::Result(result(operation, "first")))
        .await;
    let stored = |frame: &HubFrame| matches!(frame, HubFrame::Stored { .. }).then_some(());
    probe.until("stored", stored).await;
    format!(
        r#"
# A description cannot say which passwords are strong, which times lie in the future, that a cursor is one that was
# handed out or that 1.0 is no integer here; so not everything that it allows is accepted.
[checks.positive_data_acceptance]
enabled = false

# A repeated Idempotency-Key answers with what was created then, also when it was deleted since.
[checks.ensure_resource_availability]
enabled = false

[[operations]]
include-path-regex = "^/api/v1/operations/[{{]id[}}]"
include-method = ["GET"]
parameters = {{ "path.id" = {operation}, "path.seq" = 1 }}

[[operations]]
include-path = "/api/v1/users/{{id}}/credits"
parameters = {{ "path.id" = {user} }}
"#,
        operation = json!(operation),
        user = json!(admin.id),
    )
}

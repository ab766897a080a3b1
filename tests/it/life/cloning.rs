//! `pladmed clone`: what is live becomes something to rehearse with, and nobody can be reached or come in by it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_protocol::OperationId;
use serde_json::json;
use tests::{
    Ack, Case, Fleet, Hub, ProbeSocket, TestUser, Trial, at_work, database, hub::PASSWORD,
    process::Process, wait::within,
};

use super::bench::{Home, KEY, done, in_both};
use crate::copying::bench::{is_marked, number, pladmed, refused, rows, run, sqlite, stopped};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = in_both![a_clone_knows_nobody, other_targets_are_refused];
    trials.push(
        Case::new("it::life::cloning::a_clone_survives_kill_9")
            .within(LIMIT)
            .run(a_clone_survives_kill_9),
    );
    trials
}

/// Longest the test with kill -9 may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Longest deliveries may take, and a clone.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// What every address of a clone ends in.
const UNMASKED: &str =
    "select count(*) from users where email not like 'user-%@masked.invalid' or email !=
    'user-' || id || '@masked.invalid'";

fn clone(from: &Path, to: &str) -> tokio::process::Command {
    pladmed(&["clone", "--from", &sqlite(from), "--to", to])
}

/// The data folder of a live hub that was stopped, with a probe's token and an operation with results.
async fn live() -> (Hub, PathBuf, String, OperationId) {
    let settings = [
        ("DATABASE", "sqlite"),
        ("ENVIRONMENT", "production"),
        ("TARGET_POLICY", "any"),
        ("SECRET_KEY", KEY),
    ];
    let mut hub = Hub::start_with(&settings).await;
    let (_, card, mut probe, operation) = at_work(&hub).await;
    for name in ["1", "2"] {
        assert_eq!(probe.deliver(operation, name).await, Ack::Stored);
    }
    assert_eq!(hub.terminate().await, 0);
    let data_dir = hub.data_dir();
    (hub, data_dir, card.token, operation)
}

async fn a_clone_knows_nobody(home: Home) {
    let (_hub, from, token, operation) = live().await;
    let kept = rows(&from);
    let (said, _) = done(clone(&from, &home.written())).await;
    for word in ["superuser create", "ENVIRONMENT=staging", "SECRET_KEY"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(rows(&from) == kept, "the source was changed");
    assert_eq!(home.stamp().await.as_deref(), Some("staging"));
    let (cloned, original) = (home.snapshot().await, database::snapshot(&from));
    cloned.check();
    for table in [
        "users",
        "probes",
        "operations",
        "assignments",
        "results",
        "ledger",
    ] {
        let query = format!("select count(*) from {table}");
        assert_eq!(cloned.number(&query), original.number(&query), "{table}");
    }
    assert_eq!(cloned.number(UNMASKED), 0);
    let emails = cloned.texts("select email from users");
    let different: BTreeSet<&String> = emails.iter().collect();
    assert!(
        emails.len() > 1 && different.len() == emails.len(),
        "{emails:?}"
    );
    if let Home::Folder(_) = &home {
        // Not even in what the file system still holds of the file.
        let bytes = fs::read(home.file()).expect("the file");
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|there| there == text);
        assert!(holds(b"@masked.invalid") && !holds(b"@example.org") && !holds(b"$argon2id$"));
    }
    let (code, said) = home.hub_refused("production").await;
    assert_eq!(code, 2, "{said}");
    nobody_comes_in(&home, &token, &emails, operation).await;
}

/// Worst case: staging got the key of what is live.
async fn nobody_comes_in(home: &Home, token: &str, emails: &[String], operation: OperationId) {
    let hub = home.hub("staging").await;
    let refused = ProbeSocket::open(&hub.url(), token).await;
    assert!(refused.is_err(), "an old token is good");
    for email in ["ana@example.org", tests::hub::ADMIN]
        .into_iter()
        .chain(emails.iter().map(String::as_str))
    {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = hub.api().post("/api/v1/sessions", &body).await;
        assert!(answer.status == 401, "{email}: {}", answer.status);
    }
    let mut superuser = home.command(
        "staging",
        &["superuser", "create", "eve@example.org", "--password-stdin"],
    );
    let password = home.data_dir().join("password");
    fs::create_dir_all(home.data_dir()).expect("a folder");
    fs::write(&password, PASSWORD).expect("a file");
    superuser.stdin(fs::File::open(password).expect("the file"));
    done(superuser).await;
    let eve = TestUser::log_in(hub.api(), "eve@example.org", PASSWORD).await;
    let shown = eve
        .api
        .get(&format!("/api/v1/operations/{operation}"))
        .await;
    assert_eq!(shown.status, 200);
    assert_eq!(eve.results(operation).await.len(), 2);
}

async fn other_targets_are_refused(home: Home) {
    let (_hub, from) = stopped().await;
    for environment in ["production", "development"] {
        let mut hub = home.hub(environment).await;
        assert_eq!(hub.terminate().await, 0);
        let why = refused(clone(&from, &home.written()), 2).await;
        for word in [environment, "to staging"] {
            assert!(why.contains(word), "{word} is not in {why}");
        }
        assert_eq!(home.stamp().await.as_deref(), Some(environment));
        home.forget_stamp().await;
    }
    // It may be there, and be staging's.
    let mut hub = home.hub("staging").await;
    assert_eq!(hub.terminate().await, 0);
    done(clone(&from, &home.written())).await;
    let why = refused(clone(&from, &home.written()), 2).await;
    assert!(why.contains("holds users already"), "{why}");
    let why = refused(clone(&from, &sqlite(&from)), 2).await;
    assert!(why.contains("the same store"), "{why}");
    let why = refused(pladmed(&["clone", "--from", &sqlite(&from)]), 2).await;
    assert!(why.contains("--to"), "{why}");
}

/// How far a clone is when it is killed: a query of the target that tells.
const POINTS: [&str; 4] = [
    "select count(*) from moves",
    "select count(*) from users",
    "select count(*) from results",
    "select count(*) from ledger",
];

async fn a_clone_survives_kill_9() {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let fleet = Fleet::new(&hub, 2, 1).await;
    let mut couriers = fleet.deliver(&hub.url(), 600, None);
    within(DONE_WITHIN, "all deliveries", async {
        while let Some(courier) = couriers.join_next().await {
            courier.expect("a courier that did not panic");
        }
    })
    .await;
    assert_eq!(hub.terminate().await, 0);
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (hub.data_dir(), folder.path().join("new"));
    let mut killed = 0;
    for point in POINTS {
        let log = folder.path().join("clone.log");
        let mut it = Process::start("pladmed clone", clone(&from, &sqlite(&to)), log);
        let so_far = || number(&to, point).is_some_and(|number| number > 0);
        it.until(DONE_WITHIN, point, so_far).await;
        it.kill9().await;
        if is_marked(&to) {
            killed += 1;
        } else {
            database::change(&to, "update moves set finished_at_ms = null", []);
        }
        // At no moment there is anybody in it.
        assert_eq!(number(&to, UNMASKED), Some(0));
    }
    assert!(
        killed >= POINTS.len() - 2,
        "{killed} were killed on their way"
    );
    let why = hub_refused_as_staging(&to).await;
    assert!(why.contains("has not ended"), "{why}");
    // A copy must not go on with it, and show everybody.
    let copy = pladmed(&["copy", "--from", &sqlite(&from), "--to", &sqlite(&to)]);
    let why = refused(copy, 2).await;
    assert!(
        why.contains("staging") || why.contains("as a clone"),
        "{why}"
    );
    let (_, said) = done(clone(&from, &sqlite(&to))).await;
    assert!(said.contains("it goes on"), "{said}");
    let cloned = database::snapshot(&to);
    cloned.check();
    assert_eq!(cloned.number("select count(*) from results"), 1200);
    assert_eq!(cloned.number(UNMASKED), 0);
}

async fn hub_refused_as_staging(data_dir: &Path) -> String {
    let mut serve = pladmed(&["serve"]);
    serve
        .env("DATA_DIR", data_dir)
        .env("ENVIRONMENT", "staging")
        .env("SECRET_KEY", KEY)
        .env("HOST", "127.0.0.1")
        .env("PORT", "0");
    let output = run(serve).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

//! Copies that are not made, and why.

use tests::{Hub, Trial, database, hub::PASSWORD, trials};

use super::bench::{
    command, copied, hub_refused, is_marked, number, pladmed, refused, rows, sqlite, stopped, twin,
};

pub(super) fn trials() -> Vec<Trial> {
    trials![
        stores_in_use_are_refused,
        other_targets_are_refused,
        sources_that_cannot_be_copied_are_refused,
        what_is_written_wrong_is_refused,
    ]
}

/// Makes a target that is complete one that is not.
const UNFINISHED: &str = "update moves set finished_at_ms = null, source = ?1";

async fn stores_in_use_are_refused() {
    let (_hub, from) = stopped().await;
    let running = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let used = sqlite(&running.data_dir());
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new");
    let why = refused(command(&used, &sqlite(&new)), 1).await;
    assert!(why.contains("is in use by another hub"), "{why}");
    assert!(!new.exists());
    let why = refused(command(&sqlite(&from), &used), 1).await;
    assert!(why.contains("is in use by another hub"), "{why}");
    assert_eq!(running.api().get("/readyz").await.status, 200);
}

async fn other_targets_are_refused() {
    let (_hub, from) = stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    // Itself, by two names.
    std::os::unix::fs::symlink(&from, at("link")).expect("a link");
    let kept = rows(&from);
    for same in [sqlite(&from), sqlite(&at("link"))] {
        let why = refused(command(&sqlite(&from), &same), 2).await;
        assert!(why.contains("are the same store"), "{why}");
    }
    // One that holds data: another hub's, or this very copy when it is complete.
    let other = twin(&from);
    copied(&from, &at("copy")).await;
    for full in [other.path(), &at("copy")] {
        let why = refused(command(&sqlite(&from), &sqlite(full)), 2).await;
        assert!(why.contains("holds users already"), "{why}");
        assert!(!is_marked(full) && rows(full) == kept);
    }
    // One that another copy is for, until that is complete.
    database::change(&at("copy"), UNFINISHED, ["sqlite:/elsewhere"]);
    let why = refused(command(&sqlite(&from), &sqlite(&at("copy"))), 2).await;
    assert!(why.contains("from sqlite:/elsewhere into"), "{why}");
    let why = hub_refused(&at("copy")).await;
    assert!(why.contains("from sqlite:/elsewhere into"), "{why}");
    let mut superuser = pladmed(&["superuser", "create", "b@example.org", "--password-stdin"]);
    std::fs::write(at("password"), PASSWORD).expect("a file");
    let password = std::fs::File::open(at("password")).expect("the file");
    superuser
        .env("DATA_DIR", at("copy"))
        .env("ENVIRONMENT", "test")
        .stdin(password);
    let why = refused(superuser, 1).await;
    assert!(why.contains("from sqlite:/elsewhere into"), "{why}");
    let here = sqlite(&from.canonicalize().expect("a path"));
    let here = format!("{here}/{}", database::FILE);
    database::change(&at("copy"), UNFINISHED, [here]);
    copied(&from, &at("copy")).await;
    assert_eq!(rows(&at("copy")), kept);
    // A store that was opened and never used is as good as a new one, and any file will do.
    database::change(&at("copy"), "delete from idempotency_keys", []);
    for table in [
        "ledger",
        "results",
        "assignments",
        "operations",
        "probes",
        "users",
    ] {
        database::change(&at("copy"), &format!("delete from {table}"), []);
    }
    let new = sqlite(&at("new"));
    let why = refused(command(&sqlite(&at("copy")), &new), 2).await;
    assert!(why.contains("there is nothing to copy"), "{why}");
    copied(&from, &at("copy")).await;
    copied(&from, &at("backup.sqlite")).await;
    assert!(at("backup.sqlite").is_file());
}

async fn sources_that_cannot_be_copied_are_refused() {
    let (_hub, from) = stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new");
    let missing = folder.path().join("missing");
    let why = refused(command(&sqlite(&missing), &sqlite(&new)), 2).await;
    assert!(why.contains("there is no database at"), "{why}");
    assert!(!missing.exists());
    // Made by other versions of the program, or by something else.
    for (version, said) in [(2, "older version"), (99, "newer version")] {
        let other = twin(&from);
        let sql = format!("pragma user_version = {version}");
        database::change(other.path(), &sql, []);
        let why = refused(command(&sqlite(other.path()), &sqlite(&new)), 1).await;
        assert!(why.contains(said), "{why}");
        let now = number(other.path(), "select user_version from pragma_user_version");
        assert_eq!(now, Some(version));
    }
    for content in ["", "not a database, but long enough to look at\n"] {
        let other = tempfile::tempdir().expect("a folder");
        let file = other.path().join(database::FILE);
        std::fs::write(&file, content.repeat(99)).expect("a file");
        let why = refused(command(&sqlite(other.path()), &sqlite(&new)), 1).await;
        assert!(why.contains("not a"), "{why}");
        assert_eq!(
            std::fs::read(&file).expect("it"),
            content.repeat(99).into_bytes()
        );
    }
    // One that is not complete itself.
    let other = twin(&from);
    let sql = "insert into moves (id, source, started_at_ms) values (1, ?1, 0)";
    database::change(other.path(), sql, ["sqlite:/elsewhere"]);
    let why = refused(command(&sqlite(other.path()), &sqlite(&new)), 2).await;
    assert!(
        why.contains("is not complete: a move from sqlite:/elsewhere"),
        "{why}"
    );
    // None of it left a mark.
    copied(&from, &new).await;
}

async fn what_is_written_wrong_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = sqlite(&folder.path().join("new"));
    let secret = "mongodb://ana:hunter2@db.example.org:port/pladmed";
    for (from, to, flag) in [
        ("data", new.as_str(), "--from"),
        (&new, "postgres://ana:hunter2@h/d", "--to"),
        (&new, secret, "--to"),
        (secret, &new, "--from"),
        ("mongodb://ana:hunter2@db.example.org", &new, "--from"),
    ] {
        let why = refused(command(from, to), 2).await;
        assert!(why.contains(flag) && !why.contains("hunter2"), "{why}");
    }
    let why = refused(pladmed(&["copy", "--from", &new]), 2).await;
    assert!(why.contains("--to"), "{why}");
    // Variables stand for arguments, and are not shown.
    let mut help = pladmed(&["copy", "--help"]);
    help.env("PLADMED_FROM", secret).env("PLADMED_TO", &new);
    let shown = super::bench::run(help).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("Exit codes") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut copy = pladmed(&["copy"]);
    copy.env("PLADMED_FROM", secret).env("PLADMED_TO", &new);
    let why = refused(copy, 2).await;
    assert!(why.contains("--from") && !why.contains("hunter2"), "{why}");
    assert!(!folder.path().join("new").exists());
}

//! A source that a hub changed while a copy lay half done.

use tests::{Trial, database, trials};

use super::bench::{command, copied, hub_refused, is_marked, refused, sqlite, stopped, twin};

pub(super) fn trials() -> Vec<Trial> {
    trials![a_source_that_changed_is_noticed]
}

/// What happened to the source since it was read, and what the copy says to it.
const CHANGES: &[(&str, &str)] = &[
    ("update users set password_hash = 'changed'", "users"),
    ("update users set credits = credits + 1", "users"),
    ("update probes set token_generation = 2", "probes"),
    ("update probes set deleted_at_ms = 1", "probes"),
    ("update operations set cancelled_at_ms = 1", "operations"),
    ("update operations set refunded = 1", "operations"),
    ("update assignments set reason = 'why'", "assignments"),
    ("delete from idempotency_keys", "idempotency keys"),
    ("delete from ledger where number = 1", "ledger entries"),
];

async fn a_source_that_changed_is_noticed() {
    let (_hub, kept) = stopped().await;
    for (change, what) in CHANGES {
        let (from, folder) = (twin(&kept), tempfile::tempdir().expect("a folder"));
        let (from, to) = (from.path(), folder.path());
        copied(from, to).await;
        // As if it had been killed before its last step.
        database::change(to, "update moves set finished_at_ms = null", []);
        database::change(from, change, []);
        let why = refused(command(&sqlite(from), &sqlite(to)), 1).await;
        let expected = format!("changed while it was copied: {what} differ");
        assert!(why.contains(&expected), "{change}: {why}");
        assert!(is_marked(to), "{change}");
    }
    // Results may be forgotten by age, and new ones count again.
    let (from, folder) = (twin(&kept), tempfile::tempdir().expect("a folder"));
    let (from, to) = (from.path(), folder.path());
    copied(from, to).await;
    database::change(to, "update moves set finished_at_ms = null", []);
    let why = hub_refused(to).await;
    assert!(why.contains("has not ended"), "{why}");
    database::change(from, "delete from results where seq = 1", []);
    copied(from, to).await;
    assert_eq!(
        database::snapshot(to).number("select count(*) from results"),
        2
    );
}

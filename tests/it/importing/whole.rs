//! What is taken, once.

use bson::{Bson, doc, oid::ObjectId};
use tests::database;

use super::bench::{OldDatabase, id, import, rehearse};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

pub(super) async fn everything_is_taken() {
    let (old, ids) = OldDatabase::usual();
    let (dump, folder) = (old.dump(), folder());
    let data = folder.path();
    let done = import(data, dump.name()).await.expect(0);
    assert_eq!(done.row("users"), [4, 4, 0, 0]);
    assert_eq!(done.row("probes"), [3, 2, 0, 1]);
    assert_eq!(done.row("operations"), [5, 4, 0, 1]);
    assert_eq!(done.row("results"), [7, 4, 0, 3]);
    let [double, nameless, nowhere, orphan, evil, lost] = [
        ids.double,
        ids.nameless,
        ids.nowhere,
        ids.orphan,
        ids.evil,
        ids.lost,
    ]
    .map(ObjectId::to_hex);
    done.expect_notes(&[
        &format!("user {double}: another user has the address"),
        &format!("user {nameless}: has no usable e-mail address"),
        &format!("user {nameless}: has no usable password"),
        &format!("user {}: had 99.25 as credits and has 100 now", ids.ana),
        &format!("PATCH /api/v1/probes/{nowhere}"),
        &format!("probe {orphan}: its owner is not there"),
        &format!("operation {evil}: is not over"),
        &format!("operation {evil}: 1 of its 2 probes"),
        &format!("operation {lost}: its owner is not there; it is not taken"),
        "result 3 is there twice",
        "result 4 is of a probe that does not belong",
    ]);
    let imported = OldDatabase::imported(ids);
    database::snapshot(data).check_imported(&imported);
    // And that is all there is to overlook.
    assert_eq!(
        database::snapshot(data).broken_promises().len(),
        imported.len()
    );
    let texts = |query| database::snapshot(data).texts(query);
    assert_eq!(
        texts("select reason || ' ' || amount || ' ' || balance from ledger order by amount"),
        ["grant 3 3", "grant 50 50", "grant 100 100"]
    );
    assert_eq!(
        texts(
            "select p.load || ' ' || a.state from probes p join assignments a on a.probe = p.id order by a.operation, p.id"
        ),
        [
            "15 finished",
            "0 finished",
            "0 finished",
            "15 accepted",
            "15 finished"
        ]
    );
    let whole = "select o.id from operations o where closes_at_ms = expires_at_ms + 300000 and ended_at_ms is null";
    assert_eq!(texts(whole), [ids.running.to_hex()]);
}

/// Bytes of one result, and how many of them make the largest document that MongoDB keeps.
const BIG: usize = 50_000;
const MANY: usize = 16 * 1024 * 1024 / BIG - 1;

pub(super) async fn the_largest_operation_is_taken() {
    let (mut old, ids) = OldDatabase::usual();
    let result = |code: usize| {
        let text = format!("traceroute {code}\n").repeat(BIG / 12);
        doc! { "probe": ids.attic, "unique_code": code.to_string(), "results": &text[..BIG] }
    };
    old.operations = vec![doc! {
        "_id": ids.over, "operation": "traceroute", "owner": ids.ana, "credits": 15, "result_format": "dump",
        "probes": [ids.attic], "params": {}, "results": (0..MANY).map(result).collect::<Vec<_>>(),
    }];
    let folder = folder();
    let done = import(folder.path(), old.dump().name()).await.expect(0);
    assert_eq!(done.row("results"), [MANY as u64, MANY as u64, 0, 0]);
    database::snapshot(folder.path()).check_imported(&[ids.over.to_hex()]);
    let bytes =
        database::snapshot(folder.path()).number("select sum(length(document)) from results");
    assert!(bytes > 15_000_000, "{bytes}");
}

pub(super) async fn a_rehearsal_writes_nothing() {
    let (old, ids) = OldDatabase::usual();
    let (dump, folder) = (old.dump(), folder());
    let data = folder.path().join("data");
    let rehearsed = rehearse(&data, dump.name()).await.expect(0);
    assert!(
        rehearsed.out.contains("nothing was written"),
        "{rehearsed:?}"
    );
    assert!(!data.exists(), "a rehearsal made a data folder");
    let done = import(&data, dump.name()).await.expect(0);
    for part in ["users", "probes", "operations", "results"] {
        assert_eq!(rehearsed.row(part), done.row(part), "{part}");
    }
    let lines = |text: &str| {
        let is_progress = |line: &str| {
            line.split(' ')
                .next()
                .is_some_and(|word| word.ends_with("s:"))
        };
        let lines = text.lines().filter(|line| !is_progress(line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&rehearsed.notes), lines(&done.notes));
    let before = std::fs::read(data.join(database::FILE)).expect("the file");
    let _ = rehearse(&data, dump.name()).await.expect(0);
    assert!(std::fs::read(data.join(database::FILE)).expect("the file") == before);
    database::snapshot(&data).check_imported(&OldDatabase::imported(ids));
}

pub(super) async fn notes_of_a_sort_are_counted() {
    let (mut old, ids) = OldDatabase::usual();
    let nowhere = |number| {
        let location = doc! { "coordinates": [Bson::Boolean(true), 999] };
        doc! { "_id": id(1000, number), "owner": ids.ana, "location": location }
    };
    old.probes = (0..120).map(nowhere).collect();
    old.operations.clear();
    let folder = folder();
    let done = import(folder.path(), old.dump().name()).await.expect(0);
    assert_eq!(done.row("probes"), [120, 120, 0, 0]);
    assert_eq!(done.notes.matches("PATCH").count(), 20);
    done.expect_notes(&["and 100 more probes whose place is another now"]);
}

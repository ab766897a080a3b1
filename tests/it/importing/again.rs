//! Imports that were killed, are run again, or meet something.

use std::{path::Path, time::Duration};

use bson::doc;
use tests::{
    Hub, database,
    wait::{SOON, eventually, within},
};

use super::bench::{OldDatabase, PASSLIB, command, id, import, ping};

/// What identifies everything in a store, and what it says, but for when it was imported.
const EVERYTHING: &[&str] = &[
    "select id || email || credits || is_superuser || password_hash from users",
    "select id || owner || longitude || ' ' || latitude || ' ' || load from probes",
    "select id || charged || ' ' || planned_runs || ' ' || last_seq || coalesce(as_sent, '') || targets from operations",
    "select operation || probe || state || results || ' ' || planned_runs from assignments",
    "select operation || seq || probe || code || started_at_ms || document || summary from results",
    "select user || number || ' ' || amount || ' ' || balance || reason from ledger",
];

fn everything(data: &Path) -> Vec<Vec<String>> {
    let all = EVERYTHING.iter().map(|query| {
        let mut rows = database::snapshot(data).texts(query);
        rows.sort_unstable();
        rows
    });
    all.collect()
}

pub(super) async fn what_is_there_is_left_alone() {
    let (old, ids) = OldDatabase::usual();
    let (dump, folder) = (old.dump(), tempfile::tempdir().expect("a folder"));
    let data = folder.path();
    let _ = import(data, dump.name()).await.expect(0);
    let before = everything(data);
    let done = import(data, dump.name()).await.expect(0);
    assert_eq!(done.row("users"), [4, 0, 4, 0]);
    assert_eq!(done.row("probes"), [3, 0, 2, 1]);
    assert_eq!(done.row("operations"), [5, 0, 4, 1]);
    assert_eq!(done.row("results"), [7, 0, 6, 1]);
    assert_eq!(everything(data), before);
    database::snapshot(data).check_imported(&OldDatabase::imported(ids));
}

/// Operations of the big database.
const MANY: u16 = 6_000;
/// Results of each.
const RESULTS: usize = 3;

/// One with so many operations that there is time to kill the import.
fn big() -> (OldDatabase, Vec<String>) {
    let (mut old, ids) = OldDatabase::usual();
    let operation = |number: u16| {
        let seconds = u32::try_from(chrono::Utc::now().timestamp() - 40_000).expect("a time");
        let [high, low] = number.to_be_bytes();
        let id = bson::oid::ObjectId::from_parts(seconds, [8; 5], [0, high, low]);
        let result = |code: usize| {
            let results = ping(i64::from(seconds) + 60);
            doc! { "probe": ids.attic, "unique_code": format!("c-{code}"), "results": results }
        };
        doc! {
            "_id": id, "operation": "ping", "owner": ids.ana, "credits": 10, "result_format": "json", "probes": [ids.attic],
            "params": { "ips": ["192.0.2.1"] }, "results": (0..RESULTS).map(result).collect::<Vec<_>>(),
        }
    };
    old.operations.extend((0..MANY).map(operation));
    let taken = old
        .operations
        .iter()
        .filter_map(|it| it.get_object_id("_id").ok());
    let taken = taken.map(|id| id.to_hex()).collect();
    (old, taken)
}

pub(super) async fn a_kill_leaves_nothing_twice_and_nothing_out() {
    let (old, imported) = big();
    let dump = old.dump();
    let [whole, killed] = [0; 2].map(|_| tempfile::tempdir().expect("a folder"));
    let data = killed.path();
    for at_least in [100, 1_500] {
        let mut child = command(data, dump.name()).spawn().expect("pladmed starts");
        let count = || {
            let there = data.join(database::FILE).exists();
            let query = "select count(*) from sqlite_schema where name = 'moves'";
            if !there || database::snapshot(data).number(query) == 0 {
                return 0;
            }
            database::snapshot(data).number("select count(*) from operations")
        };
        eventually(SOON * 3, "some operations", async || {
            (count() >= at_least).then_some(())
        })
        .await;
        child.kill().await.expect("kill -9");
        let count = count();
        assert!(count < i64::from(MANY), "it was not killed in the middle");
        // Whatever is there is whole.
        let halves = "select count(*) from operations o where (select count(*) from results where operation = o.id) != last_seq
            or not exists (select 1 from assignments where operation = o.id)";
        assert_eq!(database::snapshot(data).number(halves), 0);
        refuses_to_serve(data, dump.name()).await;
    }
    let done = import(data, dump.name()).await.expect(0);
    let [found, taken, there, _] = done.row("operations");
    assert_eq!(found, u64::from(MANY) + 5);
    assert!(taken > 0 && there >= 1_500, "{done:?}");
    let _ = import(whole.path(), dump.name()).await.expect(0);
    assert!(everything(data) == everything(whole.path()), "they differ");
    let results = "select count(*) from results";
    assert_eq!(
        database::snapshot(data).number(results),
        i64::from(MANY) * i64::try_from(RESULTS).expect("few") + 4
    );
    database::snapshot(data).check_imported(&imported);
    // It belongs to whoever imported it.
    let stamp = database::snapshot(data).texts("select name from environment");
    assert_eq!(stamp, ["test"]);
}

/// A hub does not start on half a database.
async fn refuses_to_serve(data: &Path, source: &str) {
    let mut serve = tokio::process::Command::new(tests::process::program("pladmed"));
    serve
        .env_clear()
        .envs([
            ("ENVIRONMENT", "test"),
            ("PORT", "0"),
            ("HOST", "127.0.0.1"),
        ])
        .env("DATA_DIR", data)
        .kill_on_drop(true);
    let output = within(Duration::from_secs(30), "its end", serve.output()).await;
    let output = output.expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("has not ended") && said.contains(source),
        "{said}"
    );
}

pub(super) async fn addresses_in_the_store_stay() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 7).await;
    let (old, ids) = OldDatabase::usual();
    let dump = old.dump();
    let done = import(&hub.data_dir(), dump.name()).await.expect(1);
    done.expect_notes(&["in use"]);
    assert_eq!(hub.terminate().await, 0);
    let done = import(&hub.data_dir(), dump.name()).await.expect(0);
    assert_eq!(done.row("users"), [4, 4, 0, 0]);
    let aside = format!("duplicate-{}.ana@example.org", ids.ana);
    done.expect_notes(&[&aside]);
    let addresses =
        database::snapshot(&hub.data_dir()).texts("select id || ' ' || email from users");
    for expected in [
        format!("{} ana@example.org", ana.id),
        format!("{} {aside}", ids.ana),
    ] {
        assert!(addresses.contains(&expected), "{addresses:?}");
    }
    hub.restart().await;
    let user = tests::TestUser::log_in(hub.api(), &aside, tests::hub::PASSWORD).await;
    assert_eq!(user.credits().await, 100);
    database::snapshot(&hub.data_dir()).check_imported(&OldDatabase::imported(ids));
}

pub(super) async fn other_moves_wait() {
    let (old, _) = OldDatabase::usual();
    let (first, second) = (old.dump(), old.dump());
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(first.file("operations")).expect("a file");
    std::fs::write(first.file("operations"), &whole[..whole.len() - 1]).expect("a file");
    let done = import(folder.path(), first.name()).await.expect(1);
    done.expect_notes(&["the dump is not complete"]);
    let done = import(folder.path(), second.name()).await.expect(2);
    done.expect_notes(&[first.name(), "has not ended"]);
    std::fs::write(first.file("operations"), &whole).expect("a file");
    let _ = import(folder.path(), first.name()).await.expect(0);
    // After its end another one may come: what it brings is there.
    let mut more = old.users.clone();
    more.push(
        doc! { "_id": id(5, 99), "email": "new@example.org", "password": PASSLIB, "credits": 1 },
    );
    second.write("users", &more);
    let done = import(folder.path(), second.name()).await.expect(0);
    assert_eq!(done.row("users"), [5, 1, 4, 0]);
}

//! What only the embedded store promises: files, durability, one writer, indexes for everything. What every store
//! promises is in `store::contract`.

mod migrations;

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, StatementStatus};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    OpenError, SqliteStore, assignments, moving,
    open::{self, Watch},
    wiping,
};
use crate::store::{
    NewUser, OperationStore, Part, Stamp, Store, StoreError, UpkeepStore, UserStore, contract,
};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("pladmed.sqlite");
    (directory, path)
}

fn somebody(email: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        password_hash: "hash".to_owned(),
        is_superuser: false,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Passes the contract with every statement watched, and holds each of them to an index.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_by_indexes_alone() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let collect = Arc::clone(&seen);
    let watch: Watch = Arc::new(move |sql| {
        let mut seen = collect.lock().unwrap();
        if !seen.contains(sql) {
            seen.insert(sql.to_owned());
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let stores = AtomicUsize::new(0);
    let make = async || -> Arc<dyn Store> {
        let number = stores.fetch_add(1, Ordering::Relaxed);
        let path = directory.path().join(format!("{number}.sqlite"));
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open_watched(&path, Stamp::Any, Some(&watch)).unwrap());
        store
    };
    contract::run(&make).await;
    contract::run_forgetting(&make).await;
    let connection = Connection::open(directory.path().join("0.sqlite")).unwrap();
    let seen = seen.lock().unwrap().clone();
    let mut checked = 0;
    for sql in seen.iter().filter(|sql| reads_a_table(sql)) {
        assert_eq!(complaints(&connection, sql), Vec::<String>::new(), "{sql}");
        checked += 1;
    }
    // Two lists, of everyone and of one owner, both ways.
    let pages = |sql: &&String| {
        let orders = ["order by id asc", "order by id desc"];
        orders.iter().any(|order| sql.contains(order))
    };
    assert_eq!(seen.iter().filter(pages).count(), 8);
    // Far fewer would mean that the watch does not see them.
    assert!(checked >= 40, "only {checked} statements were seen");
}

fn reads_a_table(sql: &str) -> bool {
    let sql = sql.trim_start().to_ascii_lowercase();
    let words = ["select", "update", "delete", "insert", "with"];
    // The schema's own upkeep is not part of the API.
    words.iter().any(|word| sql.starts_with(word))
        && !sql.contains("sqlite_schema")
        && !deletes_everything(&sql)
        && !counts_everything(&sql)
}

/// Deleting everything has to look at everything.
fn deletes_everything(sql: &str) -> bool {
    sql == wiping::PROBES || (sql.starts_with("delete") && !sql.contains("where"))
}

/// So has counting everything, which no hub does, but who carries it into another store.
fn counts_everything(sql: &str) -> bool {
    sql == moving::COUNT_LOADS || Part::ALL.iter().any(|&part| sql == moving::counting(part))
}

/// The steps of a statement's plan that read more than they need.
fn complaints(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("explain query plan {sql}"))
        .unwrap();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let step: String = row.get("detail").unwrap();
        let scans = step.starts_with("SCAN")
            && !step.starts_with("SCAN CONSTANT ROW")
            && !step.contains("VIRTUAL TABLE");
        if scans || step.contains("TEMP B-TREE") {
            found.push(step);
        }
    }
    found
}

#[test]
fn the_check_of_plans_would_complain() {
    let (_directory, path) = place();
    drop(SqliteStore::open(&path, Stamp::Any).unwrap());
    let connection = Connection::open(&path).unwrap();
    for sql in [
        "select * from results where code = ?1",
        "select count(*) from ledger",
        "select * from operations where owner = ?1 order by created_at_ms",
    ] {
        assert!(!complaints(&connection, sql).is_empty(), "{sql}");
    }
}

/// SQLite may prepare a statement anew when something else is bound, which takes longer than to run it.
#[tokio::test]
async fn statements_are_prepared_once() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    let again = |connection: &Connection| {
        let mut times = 0;
        for value in ["0", "1", "a"] {
            let mut statement = connection.prepare_cached(assignments::ONE)?;
            assert!(!statement.exists([value, value])?);
            times = statement.get_status(StatementStatus::RePrepare);
        }
        Ok(times)
    };
    assert_eq!(store.write(again).await.unwrap(), 0);
    assert_eq!(store.read(again).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_answered_is_on_disk() {
    let (directory, path) = place();
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    let user = store.create_user(somebody("a@example.org")).await.unwrap();
    // As it would be after a kill: the files as they are now, the log not yet part of the database.
    let copy = directory.path().join("copy.sqlite");
    fs::copy(&path, &copy).unwrap();
    fs::copy(
        path.with_extension("sqlite-wal"),
        copy.with_extension("sqlite-wal"),
    )
    .unwrap();
    let copied = SqliteStore::open(&copy, Stamp::Any).unwrap();
    assert_eq!(copied.user(user.id).await.unwrap(), Some(user));
}

#[tokio::test]
async fn closing_loses_nothing_and_leaves_one_file() {
    let (_directory, path) = place();
    let store = Arc::new(SqliteStore::open(&path, Stamp::Any).unwrap());
    let mut writes: JoinSet<_> = (0..300)
        .map(|number| {
            let store = Arc::clone(&store);
            async move {
                let email = format!("u{number}@example.org");
                store.create_user(somebody(&email)).await
            }
        })
        .collect();
    // The first answer: of the others, some are on disk and some are on their way.
    let first = writes.join_next().await.unwrap();
    let mut kept = i64::from(first.unwrap().is_ok());
    let closing = Arc::clone(&store);
    tokio::task::spawn_blocking(move || closing.writer.close())
        .await
        .unwrap();
    while let Some(write) = writes.join_next().await {
        match write.unwrap() {
            Ok(_) => kept += 1,
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_))),
        }
    }
    assert!(kept > 0);
    let late = store.create_user(somebody("late@example.org")).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    drop(store);
    assert!(!path.with_extension("sqlite-wal").exists());
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "select count(*) from users"), kept);
}

#[tokio::test]
async fn an_error_or_a_panic_undoes_its_own_command_only() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    let add = |email: &'static str| {
        move |connection: &Connection| {
            connection.execute(
                "insert into users (id, email, password_hash, is_superuser, created_at_ms)
                    values (?1, ?1, '', 0, 0)",
                [email],
            )?;
            Ok(())
        }
    };
    let fails = store.write(move |connection| {
        add("fails")(connection)?;
        Err::<(), _>(StoreError::EmailTaken)
    });
    let panics = store.write(move |connection| -> Result<(), StoreError> {
        add("panics")(connection)?;
        panic!("as a test")
    });
    let (before, fails, panics, after) = tokio::join!(
        store.write(add("before")),
        fails,
        panics,
        store.write(add("after"))
    );
    before.unwrap();
    after.unwrap();
    assert!(matches!(fails, Err(StoreError::EmailTaken)));
    assert!(matches!(panics, Err(StoreError::Unavailable(_))));
    store.ping().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "select count(*) from users"), 2);
}

#[tokio::test]
async fn a_lost_transaction_is_told_to_all() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    // What SQLite itself does when the disk is full.
    let lost = store.write(|connection| {
        connection.execute_batch("rollback")?;
        Ok(())
    });
    let (before, lost) = tokio::join!(store.create_user(somebody("a@example.org")), lost);
    assert!(matches!(lost, Err(StoreError::Unavailable(_))));
    let connection = Connection::open(&path).unwrap();
    let kept = number(&connection, "select count(*) from users");
    assert_eq!(kept, i64::from(before.is_ok()));
    store.create_user(somebody("b@example.org")).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_undoes_nothing() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Stamp::Any).unwrap();
    let create = store.create_user(somebody("a@example.org"));
    let gone = tokio::time::timeout(Duration::ZERO, create).await;
    drop(gone);
    store.writer.close();
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "select count(*) from users"), 1);
}

/// On one thread, where the callers cannot go on while it is closed.
#[tokio::test]
async fn closing_does_not_wait_for_callers() {
    let (_directory, path) = place();
    let store = Arc::new(SqliteStore::open(&path, Stamp::Any).unwrap());
    let writes: Vec<_> = (0..3000)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let email = format!("u{number}@example.org");
                store.create_user(somebody(&email)).await.is_ok()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.writer.close();
    let mut kept = 0;
    for write in writes {
        kept += i64::from(write.await.unwrap());
    }
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "select count(*) from users"), kept);
}

#[test]
fn one_hub_at_a_time() {
    let (_directory, path) = place();
    let first = SqliteStore::open(&path, Stamp::Any).unwrap();
    let second = SqliteStore::open(&path, Stamp::Any);
    assert!(matches!(second, Err(OpenError::InUse(_))));
    first.writer.close();
    SqliteStore::open(&path, Stamp::Any).unwrap();
}

#[test]
fn refuses_what_it_does_not_know() {
    let (_directory, path) = place();
    drop(SqliteStore::open(&path, Stamp::Any).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = SqliteStore::open(&path, Stamp::Any);
    assert!(matches!(newer, Err(OpenError::Newer { found: 99, .. })));
    let other = path.with_file_name("other.sqlite");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("create table t (x)").unwrap();
    drop(connection);
    let foreign = SqliteStore::open(&other, Stamp::Any);
    assert!(matches!(foreign, Err(OpenError::Foreign(_))));
    let text = path.with_file_name("text.sqlite");
    fs::write(
        &text,
        "not a database, but long enough to look at".repeat(99),
    )
    .unwrap();
    let sqlite = SqliteStore::open(&text, Stamp::Any);
    assert!(matches!(sqlite, Err(OpenError::Sqlite { .. })));
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = place();
    let _store = SqliteStore::open(&path, Stamp::Any).unwrap();
    for name in ["sqlite", "sqlite-wal", "sqlite.lock"] {
        let mode = fs::metadata(path.with_extension(name))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
}

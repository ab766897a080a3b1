//! What the tests of `pladmed copy` share: the command, and looks into files that it may be writing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, types::ValueRef};
use tempfile::TempDir;
use tests::{
    Ack, Hub, at_work, database,
    process::{Process, program},
    wait::within,
};
use tokio::process::Command;

/// Longest a command may take.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// All tables, with the columns that name a row.
const TABLES: &[(&str, &str)] = &[
    ("users", "id"),
    ("probes", "id"),
    ("operations", "id"),
    ("assignments", "operation, probe"),
    ("results", "operation, seq"),
    ("ledger", "user, number"),
    ("idempotency_keys", "user, key"),
];

/// How a data folder is written on the command line.
pub(crate) fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.display())
}

/// `pladmed` with these arguments and no settings.
pub(crate) fn pladmed(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("pladmed"));
    command.env_clear().args(arguments).kill_on_drop(true);
    command
}

/// `pladmed copy`.
pub(crate) fn command(from: &str, to: &str) -> Command {
    pladmed(&["copy", "--from", from, "--to", to])
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Output {
    let output = within(DONE_WITHIN, "the end of a command", command.output());
    output.await.expect("its output")
}

/// Copies to the end; what it wrote on standard output and standard error.
pub(crate) async fn copied(from: &Path, to: &Path) -> (String, String) {
    let output = run(command(&sqlite(from), &sqlite(to))).await;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    (out, err)
}

/// What a command said when it ended with this code, on standard error.
pub(crate) async fn refused(command: Command, code: i32) -> String {
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    said
}

/// What a hub says that does not start on this folder.
pub(crate) async fn hub_refused(data_dir: &Path) -> String {
    let mut hub = pladmed(&["serve"]);
    hub.env("DATA_DIR", data_dir)
        .env("ENVIRONMENT", "test")
        .env("HOST", "127.0.0.1")
        .env("PORT", "0");
    let output = run(hub).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A copy that runs.
pub(crate) fn start(from: &Path, to: &Path, log: PathBuf) -> Process {
    Process::start("pladmed copy", command(&sqlite(from), &sqlite(to)), log)
}

/// One number of a file that may not be there yet.
pub(crate) fn number(data_dir: &Path, query: &str) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(data_dir.join(database::FILE), flags).ok()?;
    connection.query_row(query, [], |row| row.get(0)).ok()
}

/// Whether the target is marked as not complete.
pub(crate) fn is_marked(data_dir: &Path) -> bool {
    let query = "select count(*) from moves where finished_at_ms is null";
    number(data_dir, query) == Some(1)
}

/// Every value of every row, in the order of the keys.
pub(crate) fn rows(data_dir: &Path) -> Vec<String> {
    let connection = database::open(data_dir);
    let mut found = Vec::new();
    for (table, key) in TABLES {
        let select = format!("select * from {table} order by {key}");
        let mut statement = connection.prepare(&select).expect("a table");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().expect("a row") {
            let columns = names.iter().enumerate().map(|(column, name)| {
                let value = row.get_ref(column).expect("a value");
                format!("{name}={}", shown(value))
            });
            found.push(format!(
                "{table}: {}",
                columns.collect::<Vec<_>>().join(" ")
            ));
        }
    }
    found
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.escape_ascii().to_string(),
    }
}

/// The data folder of a hub that worked a little and was stopped.
pub(crate) async fn stopped() -> (Hub, PathBuf) {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    for name in ["1", "2"] {
        assert_eq!(probe.deliver(operation, name).await, Ack::Stored);
    }
    let order = tests::orders::queued(tests::orders::ping(&[probe.welcome.probe]));
    let _ = ana.order_as("key", &order).await.expect(201);
    assert_eq!(hub.terminate().await, 0);
    let data_dir = hub.data_dir();
    (hub, data_dir)
}

/// A copy of a data folder that was not made by `pladmed copy`.
pub(crate) fn twin(data_dir: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = data_dir.join(database::FILE);
    fs::copy(file, folder.path().join(database::FILE)).expect("a copy");
    folder
}

//! `pladmed backup`: whole or absent, whatever the hub does meanwhile and whatever cuts it off.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;
use tests::{Fleet, Hub, Trial, database, process::Process, trials, wait::within};
use tokio::process::Command;

use super::bench::{Home, done};
use crate::copying::bench::{pladmed, refused, rows, run, stopped};

pub(super) fn trials() -> Vec<Trial> {
    trials![
        a_backup_of_a_busy_hub_is_whole,
        a_killed_backup_is_no_backup,
        what_cannot_be_backed_up_is_told,
        every_command_tells_about_itself,
    ]
}

/// Longest all deliveries may take, and a backup.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// `pladmed backup` of a data folder.
pub(super) fn backup(data_dir: &Path, to: &Path) -> Command {
    let mut command = pladmed(&["backup"]);
    command.arg(to).env("DATA_DIR", data_dir);
    command
}

/// A folder with a file of that size in its database: copying it takes a while.
pub(super) fn enlarge(data_dir: &Path) {
    let connection = Connection::open(data_dir.join(database::FILE)).expect("the file");
    let filler = "create table filler as with recursive n (i) as (select 1 union all select i + 1 from n where i < 200)
        select i, zeroblob(1000000) as bytes from n";
    connection.execute_batch(filler).expect("a large table");
}

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

async fn a_backup_of_a_busy_hub_is_whole() {
    const BACKUPS: usize = 4;
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let fleet = Fleet::new(&hub, 3, 2).await;
    let mut couriers = fleet.deliver(&hub.url(), 400, None);
    let folder = tempfile::tempdir().expect("a folder");
    let count = "select count(*) from results";
    let mut before = 0;
    for number in 0..BACKUPS {
        let place = folder.path().join(number.to_string());
        fs::create_dir(&place).expect("a folder");
        let file = place.join(database::FILE);
        let (_, said) = done(backup(&hub.data_dir(), &file)).await;
        assert!(said.contains("secret_key"), "{said}");
        assert_eq!(names(&place), [database::FILE]);
        let mode = fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let kept = database::snapshot(&place);
        kept.check();
        let now = kept.number(count);
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    within(DONE_WITHIN, "all deliveries", async {
        while let Some(courier) = couriers.join_next().await {
            courier.expect("a courier that did not panic");
        }
    })
    .await;
    let last = folder.path().join("last");
    fs::create_dir(&last).expect("a folder");
    done(backup(&hub.data_dir(), &last.join(database::FILE))).await;
    assert_eq!(hub.terminate().await, 0);
    assert!(
        rows(&last) == rows(&hub.data_dir()),
        "not what was acknowledged"
    );
    assert_eq!(database::snapshot(&last).number(count), 1200);
}

async fn a_killed_backup_is_no_backup() {
    let (_hub, from) = stopped().await;
    enlarge(&from);
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("backups");
    fs::create_dir(&place).expect("a folder");
    let file = place.join("b.sqlite");
    let unfinished = place.join("b.sqlite.unfinished");
    let mut killed = 0;
    for _ in 0..4 {
        let log = folder.path().join("log");
        let mut it = Process::start("pladmed backup", backup(&from, &file), log);
        let begun = || fs::metadata(&unfinished).is_ok_and(|file| file.len() >= 1_000_000);
        it.until(DONE_WITHIN, "a beginning", begun).await;
        it.kill9().await;
        if file.exists() {
            // It was quicker.
            fs::remove_file(&file).expect("the file");
        } else {
            killed += 1;
        }
    }
    assert!(killed >= 2, "{killed} were killed on their way");
    done(backup(&from, &file)).await;
    assert_eq!(names(&place), ["b.sqlite"]);
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).expect("a folder");
    fs::copy(&file, restored.join(database::FILE)).expect("a copy");
    assert!(rows(&restored) == rows(&from));
}

async fn what_cannot_be_backed_up_is_told() {
    let (_hub, from) = stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(at("there"), "mine").expect("a file");
    let why = refused(backup(&from, &at("there")), 2).await;
    assert!(why.contains("is there already"), "{why}");
    assert_eq!(fs::read(at("there")).expect("it"), b"mine");
    let why = refused(backup(&at("nowhere"), &at("new")), 2).await;
    assert!(why.contains("there is no database"), "{why}");
    let why = refused(backup(&from, &at("no/folder")), 1).await;
    assert!(why.contains("no/folder.unfinished"), "{why}");
    fs::create_dir(at("foreign")).expect("a folder");
    let other = Connection::open(at("foreign").join(database::FILE)).expect("a database");
    other.execute_batch("create table t (x)").expect("a table");
    let why = refused(backup(&at("foreign"), &at("new")), 2).await;
    assert!(why.contains("not a store of this program"), "{why}");
    for (command, word) in [("backup", "mongodump"), ("restore", "mongorestore")] {
        let mut on_mongo = pladmed(&[command]);
        on_mongo
            .arg(at("there"))
            .env("DATABASE", "mongo")
            .env("MONGO_HOST", "db.example.org");
        let why = refused(on_mongo, 2).await;
        assert!(why.contains(word), "{why}");
    }
    let why = refused(pladmed(&["backup"]), 2).await;
    assert!(why.contains("<FILE>"), "{why}");
    assert_eq!(names(folder.path()), ["foreign", "there"]);
}

async fn every_command_tells_about_itself() {
    let home = Home::folder();
    for command in [
        "copy", "clone", "import", "migrate", "seed", "reset", "backup", "restore",
    ] {
        let (help, _) = done(home.command("test", &[command, "--help"])).await;
        assert!(help.contains("Exit codes:"), "{command}: {help}");
        let output = run(home.command("test", &[command, "--surely-not"])).await;
        assert_eq!(output.status.code(), Some(2), "{command}");
    }
    assert!(!home.data_dir().exists());
}

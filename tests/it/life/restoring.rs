//! `pladmed restore`: the old database or the new one, never anything between, and nothing is lost.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;
use tests::{Ack, Hub, Trial, at_work, database, process::Process, trials};
use tokio::process::Command;

use super::{
    backing_up::{backup, enlarge},
    bench::{done, set_version},
};
use crate::copying::bench::{pladmed, refused, rows, stopped};

pub(super) fn trials() -> Vec<Trial> {
    trials![
        a_hub_goes_on_with_what_was_restored,
        what_was_there_is_put_aside,
        no_data_is_lost_by_mistake,
        what_is_no_good_backup_is_refused,
        a_killed_restore_changes_nothing,
    ]
}

/// Longest a command may take until it is so far.
const DONE_WITHIN: Duration = Duration::from_secs(60);

fn restore(from: &Path, data_dir: &Path) -> Command {
    let mut command = pladmed(&["restore"]);
    command
        .arg(from)
        .env("DATA_DIR", data_dir)
        .env("ENVIRONMENT", "test");
    command
}

fn forced(from: &Path, data_dir: &Path) -> Command {
    let mut command = restore(from, data_dir);
    command.arg("--force");
    command
}

/// A backup of a hub that was stopped, and what it holds.
async fn backed_up(folder: &Path) -> (PathBuf, Vec<String>) {
    let (_hub, from) = stopped().await;
    let file = folder.join("backup");
    done(backup(&from, &file)).await;
    (file, rows(&from))
}

/// The database that was put aside, in a folder of its own.
fn aside(data_dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(data_dir).expect("a folder");
    let mut names = entries.map(|entry| entry.expect("an entry").path());
    names.find(|path| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("pladmed.before-") && name.ends_with(".sqlite")
    })
}

async fn a_hub_goes_on_with_what_was_restored() {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    done(backup(&hub.data_dir(), &file)).await;
    assert_eq!(probe.deliver(operation, "2").await, Ack::Stored);
    // The machine is lost but for the key.
    hub.kill9().await;
    for entry in fs::read_dir(hub.data_dir()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name != "secret_key") {
            fs::remove_file(path).expect("a file");
        }
    }
    let (said, _) = done(restore(&file, &hub.data_dir())).await;
    assert!(said.contains("A hub may start on it"), "{said}");
    assert_eq!(aside(&hub.data_dir()), None);
    hub.restart().await;
    assert_eq!(ana.results(operation).await.len(), 1);
    hub.check().await;
}

async fn what_was_there_is_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, kept) = backed_up(folder.path()).await;
    // Killed, so that most of what it holds is in its log.
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let (_, _, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "late").await, Ack::Stored);
    hub.kill9().await;
    let data_dir = hub.data_dir();
    let before = rows(&data_dir);
    let (said, _) = done(forced(&file, &data_dir)).await;
    let old = aside(&data_dir).expect("the old database");
    assert!(said.contains(&old.display().to_string()), "{said}");
    assert!(rows(&data_dir) == kept, "not what the backup holds");
    let put = folder.path().join("old");
    fs::create_dir(&put).expect("a folder");
    fs::rename(old, put.join(database::FILE)).expect("the old database");
    assert!(rows(&put) == before, "something was lost");
    hub.restart().await;
    hub.check().await;
}

async fn no_data_is_lost_by_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, kept) = backed_up(folder.path()).await;
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let data_dir = hub.data_dir();
    for command in [restore(&file, &data_dir), forced(&file, &data_dir)] {
        let why = refused(command, 1).await;
        assert!(why.contains("is in use by another hub"), "{why}");
    }
    assert_eq!(hub.terminate().await, 0);
    let before = rows(&data_dir);
    let why = refused(restore(&file, &data_dir), 2).await;
    assert!(why.contains("--force"), "{why}");
    let itself = data_dir.join(database::FILE);
    let why = refused(forced(&itself, &data_dir), 2).await;
    assert!(why.contains("is the database itself"), "{why}");
    assert!(rows(&data_dir) == before);
    // What cannot be read may hold anything.
    fs::write(
        &itself,
        "not a database, but long enough to look at\n".repeat(99),
    )
    .expect("a file");
    let why = refused(restore(&file, &data_dir), 2).await;
    assert!(why.contains("cannot be read"), "{why}");
    done(forced(&file, &data_dir)).await;
    assert!(rows(&data_dir) == kept);
    let old = aside(&data_dir).expect("the old file");
    assert!(fs::read(old).expect("it").starts_with(b"not a database"));
    // One that nobody has used is as good as none.
    let empty = folder.path().join("empty");
    let mut migrate = pladmed(&["migrate", "--yes"]);
    migrate.env("DATA_DIR", &empty);
    done(migrate).await;
    done(restore(&file, &empty)).await;
    assert!(rows(&empty) == kept && aside(&empty).is_none());
}

async fn what_is_no_good_backup_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, _) = backed_up(folder.path()).await;
    let at = |name: &str| folder.path().join(name);
    let good = fs::read(&file).expect("the backup");
    let changed = |name: &str, change: &dyn Fn(&Path)| {
        fs::create_dir(at(name)).expect("a folder");
        fs::write(at(name).join(database::FILE), &good).expect("a copy");
        change(&at(name));
        at(name).join(database::FILE)
    };
    let cut = changed("cut", &|place| {
        let half = good.len() / 2 / 4096 * 4096;
        fs::write(place.join(database::FILE), &good[..half]).expect("half of it");
    });
    let scratched = changed("scratched", &|place| {
        let mut bytes = good.clone();
        let end = bytes.len();
        // Every page but those that say what it is.
        for page in (8 * 4096..end).step_by(4096) {
            bytes[page..page + 64].fill(0xa5);
        }
        fs::write(place.join(database::FILE), bytes).expect("scratches");
    });
    let lost = changed("lost", &|place| {
        let connection = Connection::open(place.join(database::FILE)).expect("it");
        connection
            .execute_batch("pragma foreign_keys = off; delete from assignments")
            .expect("a change");
    });
    let newer = changed("newer", &|place| set_version(place, 99));
    let theirs = changed("theirs", &|place| {
        database::change(place, "update environment set name = 'production'", []);
    });
    let text = changed("text", &|place| {
        fs::write(place.join(database::FILE), "text\n".repeat(2000)).expect("a text");
    });
    let nothing = changed("nothing", &|place| {
        fs::write(place.join(database::FILE), "").expect("nothing");
    });
    let data_dir = at("data");
    for (backup, code, word) in [
        (cut, 2, "damaged"),
        (scratched, 2, "damaged"),
        (lost, 2, "damaged: a row of"),
        (newer, 1, "newer version"),
        (theirs, 2, "belongs to the environment production"),
        (text, 2, "not a database"),
        (nothing, 2, "not a store of this program"),
        (at("missing"), 2, "there is no database at"),
    ] {
        let why = refused(restore(&backup, &data_dir), code).await;
        assert!(why.contains(word), "{word:?} is not in {why}");
        let left = data_dir.join(database::FILE);
        assert!(!left.exists(), "{word}");
    }
    done(restore(&file, &data_dir)).await;
}

async fn a_killed_restore_changes_nothing() {
    let (_hub, from) = stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    enlarge(&from);
    let file = folder.path().join("backup");
    done(backup(&from, &file)).await;
    let (_other, data_dir) = stopped().await;
    let before = rows(&data_dir);
    let unfinished = data_dir.join("pladmed.sqlite.unfinished");
    let mut killed = 0;
    for least in [1, 50_000_000, 150_000_000, 200_000_000] {
        let log = folder.path().join("log");
        let mut it = Process::start("pladmed restore", forced(&file, &data_dir), log);
        let so_far = || fs::metadata(&unfinished).is_ok_and(|file| file.len() >= least);
        it.until(DONE_WITHIN, "a restore so far", so_far).await;
        it.kill9().await;
        if aside(&data_dir).is_some() {
            // It was quicker.
            break;
        }
        killed += 1;
        assert!(rows(&data_dir) == before);
    }
    assert!(killed >= 2, "{killed} were killed on their way");
    if aside(&data_dir).is_none() {
        done(forced(&file, &data_dir)).await;
    }
    assert!(rows(&data_dir) == rows(&from));
    assert!(!unfinished.exists());
}

//! Backups of the file, also while a hub writes to it, and taking one back.
//!
//! A file is made under another name and gets its own when it is complete and on disk ([`Unfinished`]), so that a backup
//! is whole or absent, and a database is the old one or the new one, whatever cuts the work off. All of it blocks: these are
//! commands, no part of a hub.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, ErrorCode,
    backup::{Backup, StepResult},
};

use super::{OpenError, environment, open};
use crate::store::{OtherEnvironment, Stamp};

/// Pages that are copied between two looks at the progress: 8 MiB, some milliseconds.
const PAGES: i32 = 2048;
/// Longest a source may be locked, by something that is no hub, before a backup gives up.
const LOCKED_WITHIN: Duration = Duration::from_secs(30);
/// Pause before a locked source is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Files that SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Lines of damage that are shown; there may be one for each page.
const DAMAGE_SHOWN: usize = 5;

/// Why a backup was not made, or not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// A database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is none to read.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// The file to be made is there.
    #[error("{0} is there already; name a file that is not")]
    Exists(PathBuf),
    /// Another command makes the same file.
    #[error("{0} is being made by another command")]
    Underway(PathBuf),
    /// The database would be lost.
    #[error(
        "{0} holds data, or cannot be read; with --force it is put aside under another name, and the backup takes its place"
    )]
    Full(PathBuf),
    /// The backup is the database itself.
    #[error("{0} is the database itself")]
    Same(PathBuf),
    /// The backup is of another environment.
    #[error(transparent)]
    Environment(#[from] OtherEnvironment),
    /// The backup is not whole.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// A file cannot be used.
    #[error("cannot use {path}: {source}")]
    Io {
        /// Of what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BackupError {
    /// Whether nothing was done because the command asked for something that cannot be.
    pub(crate) fn is_wrong_input(&self) -> bool {
        match self {
            Self::Open(OpenError::Foreign(_) | OpenError::Environment(_))
            | Self::Missing(_)
            | Self::Exists(_)
            | Self::Full(_)
            | Self::Same(_)
            | Self::Environment(_)
            | Self::Damaged { .. } => true,
            Self::Open(_) | Self::Underway(_) | Self::Io { .. } => false,
        }
    }
}

fn io_failed(path: &Path) -> impl Fn(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::Io {
        path: path.clone(),
        source,
    }
}

/// Hears how many of how many pages are copied.
type Told<'a> = &'a mut dyn FnMut(u64, u64);

/// Copies the database at `from`, as it is at this moment, into a new file. A hub may go on writing meanwhile.
///
/// # Errors
/// [`BackupError`]; then there is no new file.
pub(crate) fn back_up(from: &Path, to: &Path, told: Told<'_>) -> Result<(), BackupError> {
    if !from.is_file() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let unfinished = Unfinished::begin(to)?;
    copy_pages(from, &unfinished.path, told)?;
    unfinished.finish()
}

/// What is to be taken back, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restore<'a> {
    /// The backup.
    pub(crate) from: &'a Path,
    /// The database.
    pub(crate) to: &'a Path,
    /// What the backup may be stamped with.
    pub(crate) stamp: Stamp<'a>,
    /// The name under which a database that holds data is put aside; without it, there must be none.
    pub(crate) aside: Option<&'a Path>,
}

/// Puts a backup in the place of the database; whether one was put aside for it. The backup stays as it is.
///
/// # Errors
/// [`BackupError`]; then the database is what it was.
pub(crate) fn restore(it: Restore<'_>, told: Told<'_>) -> Result<bool, BackupError> {
    let Restore { from, to, .. } = it;
    if !from.is_file() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    if is_same(from, to) {
        return Err(BackupError::Same(from.to_owned()));
    }
    let schema = demand_ours(from, it.stamp).map_err(unreadable)?;
    if schema == 0 {
        return Err(OpenError::Foreign(from.to_owned()).into());
    }
    let _lock = open::lock(to)?;
    let is_full = to.exists() && !is_empty(to);
    if is_full && it.aside.is_none() {
        return Err(BackupError::Full(to.to_owned()));
    }
    let unfinished = Unfinished::begin(to)?;
    copy_pages(from, &unfinished.path, told).map_err(unreadable)?;
    inspect(&unfinished.path, from)?;
    match it.aside {
        Some(aside) if is_full => put_aside(to, aside)?,
        _ => {}
    }
    // What is left of the old database must not be taken for a part of the new one.
    for ending in BESIDE {
        remove(&beside(to, ending))?;
    }
    unfinished.finish()?;
    Ok(is_full)
}

/// What SQLite cannot make sense of is no good backup.
fn unreadable(error: BackupError) -> BackupError {
    match error {
        BackupError::Open(OpenError::Sqlite { path, source })
            if matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            let what = source.to_string();
            BackupError::Damaged { path, what }
        }
        other => other,
    }
}

/// Refuses what this program must not touch; the schema.
fn demand_ours(path: &Path, stamp: Stamp<'_>) -> Result<i64, BackupError> {
    let connection = open::reader(path, None)?;
    let schema = open::check(&connection, path)?;
    let belongs = environment::name_if_kept(&connection).map_err(open::failed(path))?;
    stamp.check(|| path.display().to_string(), belongs.as_deref())?;
    Ok(schema)
}

fn is_same(one: &Path, two: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).map(|known| (known.dev(), known.ino()));
    matches!((number(one), number(two)), (Ok(one), Ok(two)) if one == two)
}

/// Whether nobody is registered there, so that nothing can be lost. What cannot be read may hold anything.
fn is_empty(path: &Path) -> bool {
    let look = || -> Result<bool, BackupError> {
        let connection = open::reader(path, None)?;
        if open::check(&connection, path)? == 0 {
            return Ok(true);
        }
        let someone = connection
            .prepare("select 1 from users limit 1")
            .and_then(|mut statement| statement.exists([]));
        Ok(!someone.map_err(open::failed(path))?)
    };
    look().unwrap_or(false)
}

/// Copies all pages as of one moment. What is being read is not restarted by a hub that writes, because the source stays in
/// one transaction: it sees the database as it was when that began.
fn copy_pages(from: &Path, to: &Path, told: Told<'_>) -> Result<(), BackupError> {
    let source = open::reader(from, None)?;
    open::check(&source, from)?;
    let failed = open::failed(from);
    source.execute_batch("begin").map_err(&failed)?;
    source
        .query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
        .map_err(&failed)?;
    let writing = open::failed(to);
    let mut target = Connection::open(to).map_err(&writing)?;
    // Nothing of an unfinished file is ever read: it needs no journal, and is synced once at its end.
    target
        .execute_batch("pragma journal_mode = off; pragma synchronous = off")
        .map_err(&writing)?;
    let backup = Backup::new(&source, &mut target).map_err(&writing)?;
    let mut locked_since = None;
    loop {
        let step = backup.step(PAGES).map_err(&writing)?;
        let progress = backup.progress();
        let total = u64::try_from(progress.pagecount).unwrap_or(0);
        let left = u64::try_from(progress.remaining).unwrap_or(0);
        told(total.saturating_sub(left), total);
        match step {
            StepResult::Done => break,
            StepResult::More => locked_since = None,
            // Busy or locked.
            _ => {
                let since: Instant = *locked_since.get_or_insert_with(Instant::now);
                if since.elapsed() > LOCKED_WITHIN {
                    return Err(io_failed(from)(io::ErrorKind::TimedOut.into()));
                }
                thread::sleep(TRY_AGAIN_AFTER);
            }
        }
    }
    drop(backup);
    drop(target);
    // One file by itself, that needs nothing beside it.
    let target = Connection::open(to).map_err(&writing)?;
    target
        .pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .map_err(&writing)
        .map_err(BackupError::from)
}

/// Looks for damage in the copy of a backup: every page, every index, every reference.
fn inspect(copy: &Path, of: &Path) -> Result<(), BackupError> {
    let connection = open::reader(copy, None)?;
    let damaged = |what: String| BackupError::Damaged {
        path: of.to_owned(),
        what,
    };
    let look = || -> rusqlite::Result<Vec<String>> {
        let mut statement =
            connection.prepare("select integrity_check from pragma_integrity_check")?;
        let found = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found: Vec<String> = found
            .filter(|line| !matches!(line, Ok(line) if line == "ok"))
            .take(DAMAGE_SHOWN)
            .collect::<Result<_, _>>()?;
        let mut statement =
            connection.prepare("select \"table\" from pragma_foreign_key_check limit 1")?;
        let lost = statement.query_map([], |row| row.get::<_, String>(0))?;
        for table in lost {
            found.push(format!("a row of {} names one that is not there", table?));
        }
        Ok(found)
    };
    match look() {
        Ok(found) if found.is_empty() => Ok(()),
        Ok(found) => Err(damaged(found.join("; "))),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// Gives the old database a second name, under which it stays when the new one takes its place.
fn put_aside(path: &Path, aside: &Path) -> Result<(), BackupError> {
    // Puts the log into the file. One that is damaged keeps its log beside it.
    let settled = Connection::open(path)
        .and_then(|connection| connection.execute_batch("pragma wal_checkpoint(truncate)"));
    drop(settled);
    fs::hard_link(path, aside).map_err(io_failed(aside))?;
    let log = beside(path, "-wal");
    if log.exists() {
        fs::rename(&log, beside(aside, "-wal")).map_err(io_failed(&log))?;
    }
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_failed(path)(error)),
        _ => Ok(()),
    }
}

/// A file that is being made. What a command leaves behind that was killed, the next one takes over.
struct Unfinished {
    path: PathBuf,
    to: PathBuf,
    /// Locked, so that no two commands make the same file.
    file: File,
    is_finished: bool,
}

impl Unfinished {
    fn begin(to: &Path) -> Result<Self, BackupError> {
        let path = beside(to, ".unfinished");
        let failed = io_failed(&path);
        let underway = || BackupError::Underway(to.to_owned());
        let file = open::private(&path).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(underway()),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Whoever had the lock may have given the file its name in between.
        let (ours, there) = (file.metadata(), fs::metadata(&path));
        let number = |known: &fs::Metadata| (known.dev(), known.ino());
        if !matches!((&ours, &there), (Ok(ours), Ok(there)) if number(ours) == number(there)) {
            return Err(underway());
        }
        for ending in BESIDE {
            remove(&beside(&path, ending))?;
        }
        file.set_len(0).map_err(&failed)?;
        Ok(Self {
            path,
            to: to.to_owned(),
            file,
            is_finished: false,
        })
    }

    /// Puts it on disk, and then gives it its name.
    fn finish(mut self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(io_failed(&self.path))?;
        fs::rename(&self.path, &self.to).map_err(io_failed(&self.to))?;
        self.is_finished = true;
        let folder = self
            .to
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // The name itself.
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(io_failed(folder))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What cannot be removed is taken over by the next command.
        for ending in BESIDE {
            drop(fs::remove_file(beside(&self.path, ending)));
        }
        drop(fs::remove_file(&self.path));
    }
}

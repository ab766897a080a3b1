//! Opening the file: the lock beside it, the settings of every connection, the migrations.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, TransactionBehavior,
    config::DbConfig,
    trace::{TraceEvent, TraceEventCodes},
};

use super::environment;
use crate::store::{OtherEnvironment, Stamp};

/// A step from one schema to the next.
struct Migration {
    /// What it brings, for people.
    name: &'static str,
    sql: &'static str,
}

/// The migrations in order; the number of a migration is its place, from 1. One that was released never changes.
const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "users, probes, operations, results, ledger",
        sql: include_str!("migrations/0001_initial.sql"),
    },
    Migration {
        name: "what agents of the replaced system need",
        sql: include_str!("migrations/0002_old_probes.sql"),
    },
    Migration {
        name: "ledgers numbered by user, moves from other databases",
        sql: include_str!("migrations/0003_moving.sql"),
    },
    Migration {
        name: "numbered sessions",
        sql: include_str!("migrations/0004_sessions.sql"),
    },
    Migration {
        name: "the environment that the database belongs to",
        sql: include_str!("migrations/0005_environment.sql"),
    },
    Migration {
        name: "the report of the last diagnosis",
        sql: include_str!("migrations/0006_reports.sql"),
    },
];
/// Marks the file as ours, for `file(1)` and against mistakes: "PLAD".
const APPLICATION_ID: i64 = 0x504c_4144;
/// Longest a connection waits for a lock of another program, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements each connection keeps prepared: all that there are.
const STATEMENTS: usize = 128;
/// Pages of the writer's cache in KiB (negative by SQLite's convention): the hot ends of all indexes.
const WRITER_CACHE: i64 = -32 * 1024;
/// Of a page, which is SQLite's own size.
const PAGE_BYTES: i64 = 4096;
/// The log is cut back to this many bytes when it begins anew, should a reader have made it grow beyond its bound.
const LOG_SIZE: i64 = super::carrier::MOST as i64 * PAGE_BYTES;

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The directory or the lock cannot be used.
    #[error("cannot use {path}: {source}")]
    Io {
        /// Of what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{0} is in use by another hub; one embedded store serves one hub")]
    InUse(PathBuf),
    /// Written by a later version of this program.
    #[error(
        "{path} was written by a newer version of this program (schema {found}, known up to {known}); update it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Written by an earlier version of this program, and not to be changed.
    #[error(
        "{path} was written by an older version of this program (schema {found}, now {known}); bring it up to date with \
         `pladmed migrate`, or start a hub of this version on it once"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// It belongs to another environment.
    #[error(transparent)]
    Environment(#[from] OtherEnvironment),
    /// A database of something else.
    #[error("{0} is not a store of this program")]
    Foreign(PathBuf),
    /// The file system does not allow a write-ahead log.
    #[error("{0} lies where a write-ahead log is not possible (a network file system?)")]
    NoLog(PathBuf),
    /// SQLite says no.
    #[error("cannot open {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Sees every statement that runs; for tests.
pub(super) type Watch = Arc<dyn Fn(&str) + Send + Sync>;

/// Takes the lock beside the file: SQLite would let two hubs in, each sure to be the only writer.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let at = PathBuf::from(name);
    let failed = |source| OpenError::Io {
        path: at.clone(),
        source,
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let file = private(&at).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens or makes a file that only its owner may read: it holds password hashes.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens the connection that writes, with the newest schema.
pub(super) fn writer(
    path: &Path,
    stamp: Stamp<'_>,
    watch: Option<&Watch>,
) -> Result<Connection, OpenError> {
    let failed = failed(path);
    private(path).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    let mut connection = Connection::open(path).map_err(&failed)?;
    check(&connection, path)?;
    // Before anything changes: what belongs to others is not brought up to date either.
    let belongs = environment::name_if_kept(&connection).map_err(&failed)?;
    stamp.check(|| path.display().to_string(), belongs.as_deref())?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(&failed)?;
    if mode != "wal" {
        return Err(OpenError::NoLog(path.to_owned()));
    }
    set_up(&connection, false).map_err(&failed)?;
    migrate(&mut connection).map_err(&failed)?;
    if let Stamp::Ours(ours) = stamp {
        environment::stamp(&connection, ours).map_err(&failed)?;
        // Somebody beside us may have been quicker.
        let belongs = environment::name(&connection).map_err(&failed)?;
        stamp.check(|| path.display().to_string(), belongs.as_deref())?;
    }
    // After the migrations: they may read whole tables.
    show_statements(&mut connection, watch).map_err(&failed)?;
    Ok(connection)
}

/// Opens a connection for [`super::carrier`].
pub(super) fn carrier(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = Connection::open(path)?;
        set_up(&connection, false)?;
        Ok(connection)
    };
    open().map_err(failed(path))
}

/// Opens a connection that reads.
pub(super) fn reader(path: &Path, watch: Option<&Watch>) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let mut connection = Connection::open_with_flags(path, flags)?;
        set_up(&connection, true)?;
        show_statements(&mut connection, watch)?;
        Ok(connection)
    };
    open().map_err(failed(path))
}

fn set_up(connection: &Connection, reads: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on what is bound. Else SQLite prepares many a statement anew for each new value, which takes
    // several times as long as to run it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if reads {
        connection.pragma_update(None, "query_only", true)?;
    } else {
        // An answer means that it is on disk, also when the power fails in the next moment.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
        connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE, |_| Ok(()))?;
    }
    Ok(())
}

fn show_statements(connection: &mut Connection, watch: Option<&Watch>) -> rusqlite::Result<()> {
    if let Some(watch) = watch.map(Arc::clone) {
        let see = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(_, sql) = event {
                watch(sql);
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(see))?;
    }
    Ok(())
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Refuses what this program must not touch, before it changes a byte; the schema that there is, 0 where there is none.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        Ok((
            number(connection, "application_id")?,
            number(connection, "user_version")?,
            connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let (application, found, things) = read().map_err(failed(path))?;
    if application != APPLICATION_ID && things > 0 {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let known = newest();
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}

/// What SQLite says of a file.
pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Sqlite {
        path: path.clone(),
        source,
    }
}

/// Whether the file has the newest schema already.
pub(super) fn is_current(path: &Path) -> Result<bool, OpenError> {
    let connection = reader(path, None)?;
    let version = number(&connection, "user_version").map_err(failed(path))?;
    Ok(version == newest())
}

/// Refuses whatever does not have the newest schema, and changes nothing.
pub(super) fn demand_newest(path: &Path) -> Result<(), OpenError> {
    let connection = reader(path, None)?;
    let found = check(&connection, path)?;
    match (found, newest()) {
        // An empty file has no schema at all.
        (0, _) => Err(OpenError::Foreign(path.to_owned())),
        (found, known) if found < known => Err(OpenError::Older {
            path: path.to_owned(),
            found,
            known,
        }),
        _ => Ok(()),
    }
}

/// What each migration brings, in order.
pub(super) fn steps() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().map(|migration| migration.name)
}

/// The newest schema that this program knows.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Applies what is missing in one transaction: after a crash either all of it is there or nothing.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = number(&transaction, "user_version")?;
    let applied = usize::try_from(applied).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        transaction.execute_batch(migration.sql)?;
    }
    if applied < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", newest())?;
    }
    transaction.commit()
}

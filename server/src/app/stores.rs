//! Opens the store that the settings name. Beside `app` the only place that names adapters.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{AppError, places};
use crate::{
    config::{Config, Database, MongoServer, MongoSettings},
    store::{
        Stamp, Store, Upgrade,
        mongo::{MongoOpenError, MongoStore, Place, ResultLife, Server},
        sqlite::{self, BackupError, OpenError, SqliteStore},
    },
};

/// The file of the embedded store in its data folder.
pub(super) const DATABASE_FILE: &str = "pladmed.sqlite";

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A hub: an embedded store has one.
    Hub,
    /// A few writes beside a hub that may be running on it.
    Beside,
    /// Data that comes from elsewhere: nobody else uses it, and a move that has not ended goes on.
    Move,
    /// A first filling: nobody else uses it.
    Seed,
    /// Its end, whatever it holds: nobody else uses it.
    Reset,
    /// What every start of a hub does to the schema, without a hub: nobody else uses it.
    Migrate,
}

impl Use {
    /// Who first works with a database says where it belongs; others must not mistake it for another one. Who fills an
    /// empty one stamps it after a look whether it is one.
    fn stamp(self, environment: &str) -> Stamp<'_> {
        match self {
            Self::Hub | Self::Move => Stamp::Ours(environment),
            Self::Beside | Self::Seed | Self::Reset | Self::Migrate => Stamp::Fitting(environment),
        }
    }
}

/// Opens the store of `config`. An embedded one blocks for a moment; meant for the start.
///
/// # Errors
/// [`AppError`] when it cannot be used, belongs to another environment, or holds what a move has not finished.
pub(super) async fn open(config: &Config, what_for: Use) -> Result<Arc<dyn Store>, AppError> {
    let environment = config.environment.to_string();
    let stamp = what_for.stamp(&environment);
    let store: Arc<dyn Store> = match &config.database {
        Database::Sqlite => Arc::new(open_file(&config.data_dir, what_for, stamp)?),
        Database::Mongo(settings) => {
            let life = result_life(config, what_for);
            Arc::new(open_mongo(settings, life, stamp).await?)
        }
    };
    if matches!(what_for, Use::Move | Use::Reset | Use::Migrate) {
        return Ok(store);
    }
    if let Some(from) = store.unfinished_move().await? {
        store.close().await;
        return Err(AppError::Open(format!(
            "a move from {from} into it has not ended; run the same command again, or empty it"
        )));
    }
    Ok(store)
}

/// What opening the store of `config` would do to its schema.
///
/// # Errors
/// [`AppError`] when it would be refused.
pub(super) async fn upgrade(config: &Config) -> Result<Upgrade, AppError> {
    let environment = config.environment.to_string();
    let stamp = Use::Migrate.stamp(&environment);
    match &config.database {
        Database::Sqlite => SqliteStore::upgrade(&file(config), stamp).map_err(unusable),
        Database::Mongo(settings) => {
            let upgrade = MongoStore::upgrade(&place(settings), stamp).await;
            upgrade.map_err(unreachable)
        }
    }
}

/// The file of the embedded store.
pub(super) fn file(config: &Config) -> PathBuf {
    config.data_dir.join(DATABASE_FILE)
}

/// Copies the file of the embedded store, also while a hub runs on it. Blocks.
///
/// # Errors
/// [`AppError`]; then there is no new file.
pub(super) fn back_up(
    config: &Config,
    to: &Path,
    told: &mut dyn FnMut(u64, u64),
) -> Result<(), AppError> {
    sqlite::back_up(&file(config), to, told).map_err(backup_failed)
}

/// Puts a backup in the place of the embedded store. What it held is put aside under that name, where one is given;
/// whether it was. Blocks.
///
/// # Errors
/// [`AppError`]; then the store is what it was.
pub(super) fn restore(
    config: &Config,
    from: &Path,
    aside: Option<&Path>,
    told: &mut dyn FnMut(u64, u64),
) -> Result<bool, AppError> {
    let environment = config.environment.to_string();
    let restore = sqlite::Restore {
        from,
        to: &file(config),
        stamp: Stamp::Fitting(&environment),
        aside,
    };
    sqlite::restore(restore, told).map_err(backup_failed)
}

fn backup_failed(error: BackupError) -> AppError {
    match error {
        error if error.is_wrong_input() => AppError::Input(error.to_string()),
        BackupError::Open(error) => unusable(error),
        error => AppError::Store(error.to_string()),
    }
}

fn open_file(data_dir: &Path, what_for: Use, stamp: Stamp<'_>) -> Result<SqliteStore, AppError> {
    let failed = |cause| AppError::DataDir {
        path: data_dir.display().to_string(),
        cause,
    };
    fs::create_dir_all(data_dir).map_err(failed)?;
    let path = data_dir.join(DATABASE_FILE);
    let store = match what_for {
        Use::Beside => SqliteStore::open_beside(&path, stamp),
        Use::Hub | Use::Move | Use::Seed | Use::Reset | Use::Migrate => {
            SqliteStore::open(&path, stamp)
        }
    };
    store.map_err(unusable)
}

/// Opens the store of `config` beside hubs that may be running on it, as it is: its schema stays, and it gets no stamp. Where
/// it is not to be `written`, nothing of it can change.
///
/// # Errors
/// [`AppError`] when there is none, or it is of another version or environment, or cannot be used.
pub(super) async fn open_to_look(
    config: &Config,
    is_written: bool,
) -> Result<Arc<dyn Store>, AppError> {
    let environment = config.environment.to_string();
    let stamp = Stamp::Fitting(&environment);
    Ok(match &config.database {
        Database::Sqlite => {
            let path = file(config);
            if !path.is_file() {
                let wrong = format!("there is no database at {}", path.display());
                return Err(AppError::Input(wrong));
            }
            let store = SqliteStore::open_to_look(&path, stamp).map_err(unusable)?;
            if is_written {
                // It has the newest schema: a look would have been refused.
                Arc::new(SqliteStore::open_beside(&path, stamp).map_err(unusable)?)
            } else {
                Arc::new(store)
            }
        }
        Database::Mongo(settings) => {
            let store = MongoStore::open_to_look(&place(settings), stamp).await;
            Arc::new(store.map_err(unreachable)?)
        }
    })
}

/// Opens a store to read everything out of it. An embedded one is locked, so that no hub changes it meanwhile, and its
/// schema stays as it is.
///
/// # Errors
/// [`AppError`] when there is none, or it cannot be used.
pub(super) async fn open_source(from: &places::Place) -> Result<Arc<dyn Store>, AppError> {
    Ok(match from {
        places::Place::File(path) => {
            if !path.is_file() {
                let wrong = format!("--from: there is no database at {}", path.display());
                return Err(AppError::Input(wrong));
            }
            Arc::new(SqliteStore::open_as_it_is(path).map_err(unusable)?)
        }
        places::Place::Mongo { settings, .. } => {
            let store = MongoStore::open_as_it_is(&place(settings)).await;
            Arc::new(store.map_err(unreachable)?)
        }
    })
}

/// Opens a store to write everything into it, and makes it where there is none. What it holds is not looked at.
///
/// # Errors
/// [`AppError`] when it cannot be used.
pub(super) async fn open_target(to: &places::Place) -> Result<Arc<dyn Store>, AppError> {
    Ok(match to {
        places::Place::File(path) => {
            Arc::new(SqliteStore::open(path, Stamp::Any).map_err(unusable)?)
        }
        places::Place::Mongo { settings, .. } => {
            Arc::new(open_mongo(settings, ResultLife::AsItIs, Stamp::Any).await?)
        }
    })
}

/// A database of another environment is a matter of settings.
fn unusable(error: OpenError) -> AppError {
    match error {
        OpenError::Environment(other) => AppError::Input(other.to_string()),
        error => AppError::Open(error.to_string()),
    }
}

/// The same of MongoDB.
fn unreachable(error: MongoOpenError) -> AppError {
    match error {
        MongoOpenError::Environment(other) => AppError::Input(other.to_string()),
        error => AppError::Open(error.to_string()),
    }
}

/// Hubs alone have a say in how long results are kept.
fn result_life(config: &Config, what_for: Use) -> ResultLife {
    let life = config.result_life.and_then(|life| life.to_std().ok());
    match (what_for, life) {
        (Use::Hub, None) => ResultLife::Endless,
        (Use::Hub, Some(life)) => ResultLife::For(life),
        _ => ResultLife::AsItIs,
    }
}

async fn open_mongo(
    settings: &MongoSettings,
    life: ResultLife,
    stamp: Stamp<'_>,
) -> Result<MongoStore, AppError> {
    let store = MongoStore::open(&place(settings), life, stamp).await;
    store.map_err(unreachable)
}

fn place(settings: &MongoSettings) -> Place {
    let server = match &settings.server {
        MongoServer::Uri(uri) => Server::Uri(uri.clone()),
        MongoServer::Hosts { hosts, login } => {
            let login = login
                .as_ref()
                .map(|(name, password)| (name.clone(), password.0.clone()));
            Server::Hosts(hosts.clone(), login)
        }
    };
    Place {
        server,
        database: settings.database.clone(),
        usual: MongoSettings::DATABASE,
    }
}

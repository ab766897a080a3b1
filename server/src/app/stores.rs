//! Opens the store that the settings name. Beside `app` the only place that names adapters.

use std::{fs, path::Path, sync::Arc};

use super::{AppError, places};
use crate::{
    config::{Config, Database, MongoServer, MongoSettings},
    store::{
        Store,
        mongo::{MongoStore, Place, ResultLife, Server},
        sqlite::{OpenError, SqliteStore},
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
}

/// Opens the store of `config`. An embedded one blocks for a moment; meant for the start.
///
/// # Errors
/// [`AppError`] when it cannot be used, or holds what a move has not finished.
pub(super) async fn open(config: &Config, what_for: Use) -> Result<Arc<dyn Store>, AppError> {
    let store: Arc<dyn Store> = match &config.database {
        Database::Sqlite => Arc::new(open_file(&config.data_dir, what_for)?),
        Database::Mongo(settings) => Arc::new(open_database(config, settings, what_for).await?),
    };
    if what_for == Use::Move {
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

fn open_file(data_dir: &Path, what_for: Use) -> Result<SqliteStore, AppError> {
    let failed = |cause| AppError::DataDir {
        path: data_dir.display().to_string(),
        cause,
    };
    fs::create_dir_all(data_dir).map_err(failed)?;
    let path = data_dir.join(DATABASE_FILE);
    let store = match what_for {
        Use::Hub | Use::Move => SqliteStore::open(&path),
        Use::Beside => SqliteStore::open_beside(&path),
    };
    store.map_err(unusable)
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
            Arc::new(store.map_err(|error| AppError::Open(error.to_string()))?)
        }
    })
}

/// Opens a store to write everything into it, and makes it where there is none. What it holds is not looked at.
///
/// # Errors
/// [`AppError`] when it cannot be used.
pub(super) async fn open_target(to: &places::Place) -> Result<Arc<dyn Store>, AppError> {
    Ok(match to {
        places::Place::File(path) => Arc::new(SqliteStore::open(path).map_err(unusable)?),
        places::Place::Mongo { settings, .. } => {
            Arc::new(open_mongo(settings, ResultLife::AsItIs).await?)
        }
    })
}

fn unusable(error: OpenError) -> AppError {
    AppError::Open(error.to_string())
}

async fn open_database(
    config: &Config,
    settings: &MongoSettings,
    what_for: Use,
) -> Result<MongoStore, AppError> {
    let life = config.result_life.and_then(|life| life.to_std().ok());
    let life = match (what_for, life) {
        (Use::Beside | Use::Move, _) => ResultLife::AsItIs,
        (Use::Hub, None) => ResultLife::Endless,
        (Use::Hub, Some(life)) => ResultLife::For(life),
    };
    open_mongo(settings, life).await
}

async fn open_mongo(settings: &MongoSettings, life: ResultLife) -> Result<MongoStore, AppError> {
    let store = MongoStore::open(&place(settings), life).await;
    store.map_err(|error| AppError::Open(error.to_string()))
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

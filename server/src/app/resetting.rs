//! `pladmed reset`: an empty database to begin anew with. Only where nothing is lost that anybody needs.

use super::{
    AppError,
    stores::{self, Use},
};
use crate::config::{Config, Database, Environment};

/// Refuses settings under which nothing may be deleted or made up.
///
/// # Errors
/// [`AppError::Input`] unless the environment is development or test.
pub fn demand_expendable(config: &Config, command: &str) -> Result<(), AppError> {
    match config.environment {
        Environment::Development | Environment::Test => Ok(()),
        Environment::Staging | Environment::Production => Err(AppError::Input(format!(
            "{command} is for development and test, and here ENVIRONMENT is {}",
            config.environment
        ))),
    }
}

/// What the database of `config` is called, without anything secret.
#[must_use]
pub fn database_name(config: &Config) -> String {
    match &config.database {
        Database::Sqlite => stores::file(config).display().to_string(),
        Database::Mongo(settings) => {
            let name = settings.database.as_deref();
            format!(
                "the database {} of MongoDB",
                name.unwrap_or("that MONGO_URI names")
            )
        }
    }
}

/// Deletes everything in the store of `config`, but for the schema and the environment that it belongs to.
///
/// # Errors
/// [`AppError::Input`] when it is not known to belong to the environment of `config`, which must be development or test;
/// others when it cannot be used, as while a hub runs on an embedded one.
pub async fn reset(config: &Config) -> Result<(), AppError> {
    demand_expendable(config, "reset")?;
    let file = stores::file(config);
    if config.database == Database::Sqlite && !file.is_file() {
        return Err(AppError::Input(format!(
            "there is no database at {}",
            file.display()
        )));
    }
    let store = stores::open(config, Use::Reset).await?;
    let done = async {
        // One of an earlier version has none, and may be anybody's.
        if store.environment().await?.is_none() {
            return Err(AppError::Input(format!(
                "{} does not say yet which environment it belongs to; start a hub on it once",
                database_name(config)
            )));
        }
        Ok(store.delete_all().await?)
    };
    let done = done.await;
    store.close().await;
    done.map(drop)
}

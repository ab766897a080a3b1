//! `pladmed migrate`: what a hub of this version would do to the schema at its start, said first and done without a hub.

use std::fmt;

use super::{
    AppError,
    stores::{self, Use},
};
use crate::{config::Config, store::Upgrade};

/// What is to be done to the schema; shown as a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration(Upgrade);

impl Migration {
    /// Whether the schema is the newest already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.steps.is_empty()
    }
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upgrade { from, to, steps } = &self.0;
        match from {
            Some(from) if from == to => {
                return write!(f, "The database has schema {to}, the newest.");
            }
            Some(from) => write!(
                f,
                "The database has schema {from}; this version needs {to}."
            )?,
            None => write!(
                f,
                "There is no database yet; this version makes schema {to}."
            )?,
        }
        for step in steps {
            write!(f, "\n  {:>4}  {}", step.number, step.name)?;
        }
        Ok(())
    }
}

/// What would be done to the schema of the store of `config`. Changes nothing.
///
/// # Errors
/// [`AppError`] when a hub would be refused, too, as on a schema that is newer than this program.
pub async fn plan_migration(config: &Config) -> Result<Migration, AppError> {
    stores::upgrade(config).await.map(Migration)
}

/// Does it: all steps in one transaction where the store has such.
///
/// # Errors
/// [`AppError`] when the store cannot be used, as while a hub runs on an embedded one.
pub async fn migrate(config: &Config) -> Result<(), AppError> {
    let store = stores::open(config, Use::Migrate).await?;
    store.close().await;
    Ok(())
}

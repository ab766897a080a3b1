//! `pladmed import`: the database of the system that this one replaces moves into the store of the settings.

use std::sync::Arc;

use chrono::{SubsecRound as _, TimeDelta, Utc};

use super::{
    AppError,
    stores::{self, Use},
};
use crate::{
    config::Config,
    store::Store,
    transfer::{
        Imported, Observer,
        import::{self, ImportError, Rules, Source, SourceError},
    },
};

impl From<SourceError> for AppError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Wrong(why) => Self::Input(why),
            SourceError::Failed(why) => Self::Store(why),
        }
    }
}

impl From<ImportError> for AppError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Source(error) => error.into(),
            ImportError::Store(error) => error.into(),
            ImportError::Unfinished(_) => Self::Input(error.to_string()),
        }
    }
}

/// Imports the old database at `source`, a connection string or a folder that mongodump wrote, into the store of
/// `config`. A rehearsal only reads and converts, and needs no store.
///
/// # Errors
/// [`AppError::Input`] when this is no old database that can be read, or the store waits for another one; others when
/// reading or writing failed. Then the same import may be started again.
pub async fn import(
    config: &Config,
    source: &str,
    is_rehearsal: bool,
    observer: &mut dyn Observer,
) -> Result<Imported, AppError> {
    let source = Source::open(source).await?;
    if source.is_in(&config.database) {
        let place = source.place();
        return Err(AppError::Input(format!(
            "{place} is where the settings want the new data; name another database there"
        )));
    }
    if config.secret_key.is_none() {
        observer.note(
            "SECRET_KEY is not set: tokens of the replaced system stay valid only under the key that it had",
        );
    }
    let grace = TimeDelta::from_std(config.stop_grace);
    let rules = Rules {
        policy: config.target_policy,
        grace: grace.map_err(|error| AppError::Input(format!("STOP_GRACE_SECONDS: {error}")))?,
        now: Utc::now().trunc_subsecs(3),
    };
    let store: Option<Arc<dyn Store>> = if is_rehearsal {
        None
    } else {
        Some(stores::open(config, Use::Move).await?)
    };
    let imported = import::run(&source, store.as_deref(), rules, observer).await;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(imported?)
}

//! `pladmed backup` and `pladmed restore`: the embedded store as one file. MongoDB has tools of its own for that.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{AppError, secret::KEY_FILE, stores};
use crate::{
    config::{Config, Database},
    transfer::Observer,
};

/// What the observer is told that is being counted.
const PAGES: &str = "pages";

/// Copies the embedded store of `config` into a new file, also while a hub runs on it. Blocks.
///
/// # Errors
/// [`AppError::Input`] when there is nothing to copy, or nowhere to; others when reading or writing failed. Then there is no
/// new file.
pub fn back_up(config: &Config, to: &Path, observer: &mut dyn Observer) -> Result<(), AppError> {
    demand_embedded(config, "back it up with mongodump --oplog")?;
    stores::back_up(config, to, &mut |done, total| {
        observer.progress(PAGES, done, total);
    })?;
    tell_of_key(config, "keep it with the backup", observer);
    Ok(())
}

/// Puts a backup in the place of the embedded store of `config`. Where that holds data, it must be forced, and the data is
/// put aside: answers where. Blocks.
///
/// # Errors
/// [`AppError::Input`] when the backup is no good, or data is in the way; others when reading or writing failed. Then the
/// store is what it was.
pub fn restore(
    config: &Config,
    from: &Path,
    is_forced: bool,
    now: DateTime<Utc>,
    observer: &mut dyn Observer,
) -> Result<Option<PathBuf>, AppError> {
    demand_embedded(config, "restore it with mongorestore --oplogReplay")?;
    let file = stores::file(config);
    let aside = file.with_extension(format!("before-{}.sqlite", now.format("%Y%m%dT%H%M%SZ")));
    let mut told = |done, total| observer.progress(PAGES, done, total);
    let aside = is_forced.then_some(aside);
    let was_full = stores::restore(config, from, aside.as_deref(), &mut told)?;
    tell_of_key(
        config,
        "it must be the one that the backup was made with",
        observer,
    );
    Ok(aside.filter(|_| was_full))
}

fn demand_embedded(config: &Config, instead: &str) -> Result<(), AppError> {
    match config.database {
        Database::Sqlite => Ok(()),
        Database::Mongo(_) => Err(AppError::Input(format!(
            "this is for the embedded database, and here DATABASE is mongo; {instead}"
        ))),
    }
}

/// Tokens are worth nothing under another key, and the key is no part of the database.
fn tell_of_key(config: &Config, what_to_do: &str, observer: &mut dyn Observer) {
    let key = match config.secret_key {
        Some(_) => "SECRET_KEY".to_owned(),
        None => config.data_dir.join(KEY_FILE).display().to_string(),
    };
    observer.note(&format!(
        "{key} signs all tokens and is no part of the database: {what_to_do}"
    ));
}

//! `pladmed copy` and `pladmed clone`: open both stores, let [`crate::transfer::copy`] do the work, and close them.

use std::path::Path;

use super::{AppError, places::Place, secret::KEY_FILE, stores};
use crate::{
    config::Environment,
    transfer::{
        Copied, Observer,
        copy::{self, CopyError, End, Manner},
    },
};

/// Copies everything from one store into another, which is new or empty, or holds a part of the same copy. Both are
/// written as on the command line: `sqlite:PATH` or a connection string of MongoDB.
///
/// # Errors
/// [`AppError::Input`] when nothing was done because it cannot be done; else it names the store that failed.
pub async fn copy(from: &str, to: &str, observer: &mut dyn Observer) -> Result<Copied, AppError> {
    let copied = carry(from, to, Manner::AsTheyAre, observer).await?;
    if let Ok(Place::File(path)) = Place::parse(from) {
        tell_of_key(&path, observer);
    }
    Ok(copied)
}

/// Makes a staging database of a store: as [`copy()`], but nobody's address, password or token comes along.
///
/// # Errors
/// As those of [`copy()`].
pub async fn clone_masked(
    from: &str,
    to: &str,
    observer: &mut dyn Observer,
) -> Result<Copied, AppError> {
    let environment = Environment::Staging.to_string();
    let manner = Manner::Masked {
        environment: &environment,
    };
    carry(from, to, manner, observer).await
}

async fn carry(
    from: &str,
    to: &str,
    manner: Manner<'_>,
    observer: &mut dyn Observer,
) -> Result<Copied, AppError> {
    let input = |flag: &'static str| move |wrong| AppError::Input(format!("{flag}: {wrong}"));
    let from = Place::parse(from).map_err(input("--from"))?;
    let to = Place::parse(to).map_err(input("--to"))?;
    if from.is(&to) {
        return Err(AppError::Input(format!(
            "--from and --to are the same store, {}",
            from.name()
        )));
    }
    let source = stores::open_source(&from).await?;
    let target = match stores::open_target(&to).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await;
            return Err(error);
        }
    };
    let (from_name, to_name) = (from.name(), to.name());
    let here = End {
        store: &*source,
        name: &from_name,
    };
    let there = End {
        store: &*target,
        name: &to_name,
    };
    let copied = copy::copy(here, there, manner, observer).await;
    target.close().await;
    source.close().await;
    copied.map_err(|error: CopyError| {
        if error.is_wrong_input() {
            AppError::Input(error.to_string())
        } else {
            AppError::Store(error.to_string())
        }
    })
}

/// Tokens are worth nothing under another key, and the key is no part of the database.
fn tell_of_key(file: &Path, observer: &mut dyn Observer) {
    let key = file.with_file_name(KEY_FILE);
    if key.exists() {
        observer.note(&format!(
            "{} signs all tokens and is not copied: give it to the hub on the copy, in its DATA_DIR or as SECRET_KEY",
            key.display()
        ));
    }
}

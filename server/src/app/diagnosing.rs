//! A look at everything: by `pladmed diagnose`, also beside a hub that runs, and by hubs on their schedule.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{AppError, stores};
use crate::{
    config::Config,
    diagnosis::{Asking, Company, Report, diagnose as look, mend, schedule::Schedule},
    http::Shared,
    store::{Store, Stored},
    transfer::Observer,
};

/// The look at everything that a hub takes on once a day.
pub(super) fn schedule(shared: &Shared, config: &Config) -> Schedule {
    Schedule::new(
        shared.store.clone(),
        shared.instance.to_string().into(),
        config.diagnose_at,
        config.result_life.is_some(),
    )
}

/// Shows a person how it goes.
struct Watched<'a>(Mutex<&'a mut dyn Observer>);

#[async_trait]
impl Company for Watched<'_> {
    async fn between(&mut self, what: &'static str, done: u64) -> Stored<()> {
        let observer = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        observer.progress(what, done, 0);
        Ok(())
    }
}

/// Looks at everything in the store of `config`, and at the clocks. Where it is to be repaired, what has one right answer is
/// put right, and all is looked at again; else nothing is written.
///
/// # Errors
/// [`AppError`] when the store cannot be looked at, as one of another version or environment.
pub async fn diagnose(
    config: &Config,
    is_repaired: bool,
    observer: &mut dyn Observer,
) -> Result<Report, AppError> {
    let store = stores::open_to_look(config, is_repaired).await?;
    let done = look_and_mend(config, &*store, is_repaired, observer).await;
    store.close().await;
    done
}

async fn look_and_mend(
    config: &Config,
    store: &dyn Store,
    is_repaired: bool,
    observer: &mut dyn Observer,
) -> Result<Report, AppError> {
    if let Some(from) = store.unfinished_move().await? {
        return Err(AppError::Open(format!(
            "a move from {from} into it has not ended; run the same command again, or empty it"
        )));
    }
    let asking = Asking {
        by: "pladmed diagnose".to_owned(),
        forgets: config.result_life.is_some(),
    };
    let mut company = Watched(Mutex::new(observer));
    let found = look(store, &asking, &mut company).await?;
    if !is_repaired || found.repairs.is_empty() {
        return Ok(found.report);
    }
    let repaired = mend(store, &found.repairs, &mut company).await?;
    let again = look(store, &asking, &mut company).await?;
    Ok(Report {
        repaired,
        ..again.report
    })
}

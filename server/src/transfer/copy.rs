//! Everything of one of our stores into another one: part by part in the order in which nothing names what comes later,
//! in pages. What is written carries over as it is ([`crate::store::Record`]), so nothing is decided here.
//!
//! A copy may be cut off at any moment, also by kill -9. The target says from its first to its last moment that it is not
//! complete ([`crate::store::MoveStore::begin_move`]), no hub starts on it, and the same copy goes on: records that are
//! there are passed over. Whether all is there and as it is in the source is [`verify`]'s to say, before the mark goes.

use std::fmt;

use chrono::Utc;

use super::Observer;
use crate::store::{Part, Record, Store, StoreError};

mod masked;
mod verify;

/// Most records of a page: one transaction of the target, a fraction of a second.
const PAGE_RECORDS: usize = 500;
/// Most bytes of a page but for its last record: well below the 48 MB of a message to MongoDB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A store, and what it is called.
#[derive(Clone, Copy)]
pub(crate) struct End<'a> {
    /// The store.
    pub(crate) store: &'a dyn Store,
    /// Its place, without anything secret. The source's is written into the target.
    pub(crate) name: &'a str,
}

/// What becomes of records on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner<'a> {
    /// They stay as they are, in the environment of the source.
    AsTheyAre,
    /// People are masked and what lets somebody in is made worthless ([`masked`]); it belongs to that environment then.
    Masked {
        /// The environment.
        environment: &'a str,
    },
}

impl Manner<'_> {
    /// What the target says that it is a copy of, until it is complete: the one must not go on as the other.
    fn mark(self, from: End<'_>) -> String {
        match self {
            Self::AsTheyAre => from.name.to_owned(),
            Self::Masked { .. } => format!("{} as a clone", from.name),
        }
    }

    /// The environment that the target belongs to.
    async fn environment(self, from: End<'_>) -> Result<Option<String>, CopyError> {
        match self {
            Self::AsTheyAre => from.store.environment().await.map_err(from.source()),
            Self::Masked { environment } => Ok(Some(environment.to_owned())),
        }
    }

    /// Records as the target gets them.
    fn apply(self, records: &mut [Record]) {
        match self {
            Self::AsTheyAre => {}
            Self::Masked { .. } => records.iter_mut().for_each(masked::mask),
        }
    }
}

/// Why a copy was not made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The source is the target of a move itself.
    #[error("{name} is not complete: a move from {from} into it has not ended")]
    Incomplete {
        /// The source.
        name: String,
        /// Where its data comes from.
        from: String,
    },
    /// The target belongs to another move.
    #[error(
        "a move from {from} into {name} has not ended; finish it, or empty {name} and begin anew"
    )]
    Begun {
        /// The target.
        name: String,
        /// Where its data comes from.
        from: String,
    },
    /// The target holds data that did not come by this copy.
    #[error("{name} holds {what} already; copy into a new or empty store")]
    NotEmpty {
        /// The target.
        name: String,
        /// What.
        what: &'static str,
    },
    /// The target belongs to another environment.
    #[error(
        "{name} belongs to the environment {found}, and what would be written there to {wanted}; name another target"
    )]
    OtherEnvironment {
        /// The target.
        name: String,
        /// Its environment.
        found: String,
        /// The one that it would have.
        wanted: String,
    },
    /// The source holds nobody, so it is hardly the one that was meant.
    #[error("{0} holds no users; there is nothing to copy")]
    Nothing(String),
    /// The source cannot be read.
    #[error("cannot read {name}: {source}; the same command goes on where it was")]
    Source {
        /// The source.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// The target cannot be written, or read.
    #[error("cannot write {name}: {source}; the same command goes on where it was")]
    Target {
        /// The target.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// The target is not what the source is.
    #[error(
        "{from} changed while it was copied: {what} differ; stop the hubs that use it, empty {to} and copy again"
    )]
    Changed {
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// What.
        what: &'static str,
    },
}

impl CopyError {
    /// Whether nothing was done because the command asked for something that cannot be.
    pub(crate) fn is_wrong_input(&self) -> bool {
        match self {
            Self::Incomplete { .. }
            | Self::Begun { .. }
            | Self::NotEmpty { .. }
            | Self::OtherEnvironment { .. }
            | Self::Nothing(_) => true,
            Self::Source { .. } | Self::Target { .. } | Self::Changed { .. } => false,
        }
    }
}

impl End<'_> {
    fn source(self) -> impl Fn(StoreError) -> CopyError {
        let name = self.name.to_owned();
        move |source| CopyError::Source {
            name: name.clone(),
            source,
        }
    }

    fn target(self) -> impl Fn(StoreError) -> CopyError {
        let name = self.name.to_owned();
        move |source| CopyError::Target {
            name: name.clone(),
            source,
        }
    }
}

/// What became of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Carried {
    part: Part,
    /// Records read from the source.
    read: u64,
    /// Those that the target did not have.
    new: u64,
}

/// What a copy did: shown as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied(Vec<Carried>);

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDTH: usize = 13;
        writeln!(
            f,
            "{:18}{:>WIDTH$}{:>WIDTH$}  already there",
            "part", "read", "new"
        )?;
        for Carried { part, read, new } in &self.0 {
            let there = read.saturating_sub(*new);
            let part = part.as_str();
            writeln!(f, "{part:18}{read:>WIDTH$}{new:>WIDTH$}  {there:>WIDTH$}")?;
        }
        Ok(())
    }
}

/// Copies everything.
pub(crate) async fn copy(
    from: End<'_>,
    to: End<'_>,
    manner: Manner<'_>,
    observer: &mut dyn Observer,
) -> Result<Copied, CopyError> {
    begin(from, to, manner, observer).await?;
    let mut carried = Vec::new();
    for part in Part::ALL {
        carried.push(carry(from, to, manner, part, observer).await?);
    }
    to.store.count_loads().await.map_err(to.target())?;
    verify::verify(from, to, manner, observer).await?;
    let ended = to.store.end_move(Utc::now()).await;
    ended.map_err(to.target())?;
    Ok(Copied(carried))
}

/// Marks the target, unless something speaks against this copy.
async fn begin(
    from: End<'_>,
    to: End<'_>,
    manner: Manner<'_>,
    observer: &mut dyn Observer,
) -> Result<(), CopyError> {
    if let Some(of) = unfinished(from, from.source()).await? {
        return Err(CopyError::Incomplete {
            name: from.name.to_owned(),
            from: of,
        });
    }
    let first = from.store.records(Part::Users, None, 1, 0).await;
    if first.map_err(from.source())?.is_empty() {
        return Err(CopyError::Nothing(from.name.to_owned()));
    }
    let environment = manner.environment(from).await?;
    if let Some(wanted) = &environment {
        demand_environment(to, wanted).await?;
    }
    let mark = manner.mark(from);
    // Both may be one store under two names: then it is not empty.
    match unfinished(to, to.target()).await? {
        Some(of) if of == mark => {
            observer.note("a copy from here was begun before; it goes on");
        }
        Some(of) => return Err(begun(to, of)),
        None => demand_empty(to).await?,
    }
    let marked = to.store.begin_move(&mark, Utc::now()).await;
    if let Some(of) = marked.map_err(to.target())? {
        return Err(begun(to, of));
    }
    if let Some(wanted) = environment {
        to.store.stamp(&wanted).await.map_err(to.target())?;
        demand_environment(to, &wanted).await?;
    }
    Ok(())
}

/// Refuses a target that belongs elsewhere: what is live must not get where one experiments, nor the other way round.
async fn demand_environment(to: End<'_>, wanted: &str) -> Result<(), CopyError> {
    match to.store.environment().await.map_err(to.target())? {
        Some(found) if found != wanted => Err(CopyError::OtherEnvironment {
            name: to.name.to_owned(),
            found,
            wanted: wanted.to_owned(),
        }),
        _ => Ok(()),
    }
}

async fn unfinished(
    end: End<'_>,
    failed: impl Fn(StoreError) -> CopyError,
) -> Result<Option<String>, CopyError> {
    end.store.unfinished_move().await.map_err(failed)
}

fn begun(to: End<'_>, from: String) -> CopyError {
    CopyError::Begun {
        name: to.name.to_owned(),
        from,
    }
}

async fn demand_empty(to: End<'_>) -> Result<(), CopyError> {
    for part in Part::ALL {
        let first = to.store.records(part, None, 1, 0).await;
        if !first.map_err(to.target())?.is_empty() {
            return Err(CopyError::NotEmpty {
                name: to.name.to_owned(),
                what: part.as_str(),
            });
        }
    }
    Ok(())
}

/// Carries one part.
async fn carry(
    from: End<'_>,
    to: End<'_>,
    manner: Manner<'_>,
    part: Part,
    observer: &mut dyn Observer,
) -> Result<Carried, CopyError> {
    let total = from.store.count(part).await.map_err(from.source())?;
    let (mut read, mut new) = (0_u64, 0_u64);
    let mut last: Option<Record> = None;
    loop {
        observer.progress(part.as_str(), read, total);
        let mut page = from
            .store
            .records(part, last.as_ref(), PAGE_RECORDS, PAGE_BYTES)
            .await
            .map_err(from.source())?;
        let Some(end) = page.last() else {
            return Ok(Carried { part, read, new });
        };
        last = Some(end.clone());
        read = read.saturating_add(whole(page.len()));
        manner.apply(&mut page);
        let added = to.store.fill(page).await.map_err(|error| match error {
            // The target began empty: an address was given to another user meanwhile.
            StoreError::EmailTaken => changed(from, to, part.as_str()),
            other => to.target()(other),
        })?;
        new = new.saturating_add(whole(added));
    }
}

fn changed(from: End<'_>, to: End<'_>, what: &'static str) -> CopyError {
    CopyError::Changed {
        from: from.name.to_owned(),
        to: to.name.to_owned(),
        what,
    }
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

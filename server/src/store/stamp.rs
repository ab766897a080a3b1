//! Which environment a database belongs to, so that staging never touches what is live.

use super::{StoreError, Stored};

/// What opening a database does about the environment that it is stamped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp<'a> {
    /// It may be any.
    Any,
    /// It must be this one, or none yet.
    Fitting(&'a str),
    /// The same, and where there is none it is stamped with this one. Of several that open it at the same time, one decides.
    Ours(&'a str),
}

/// A database belongs to another environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{database} belongs to the environment {found}, and here ENVIRONMENT is {ours}; use a database of {ours}, or the \
     settings of {found}"
)]
pub(crate) struct OtherEnvironment {
    /// What the database is called.
    pub(crate) database: String,
    /// Its environment.
    pub(crate) found: String,
    /// That of whoever opens it.
    pub(crate) ours: String,
}

impl Stamp<'_> {
    /// Refuses a database with another stamp.
    pub(crate) fn check(
        self,
        database: impl FnOnce() -> String,
        found: Option<&str>,
    ) -> Result<(), OtherEnvironment> {
        match (self, found) {
            (Self::Any, _) | (_, None) => Ok(()),
            (Self::Fitting(ours) | Self::Ours(ours), Some(found)) if ours == found => Ok(()),
            (Self::Fitting(ours) | Self::Ours(ours), Some(found)) => Err(OtherEnvironment {
                database: database(),
                found: found.to_owned(),
                ours: ours.to_owned(),
            }),
        }
    }
}

/// What a database has after it was stamped, which cannot be nothing.
pub(crate) fn stamped(found: Option<String>) -> Stored<String> {
    found.ok_or_else(|| StoreError::Corrupt("the stamp is gone that was just made".to_owned()))
}

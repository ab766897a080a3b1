//! Who does the work that only time triggers: of all hubs that share a store the one that has its lease.
//!
//! A lease ends with its time, by the store's clock, so that the work of a hub that died goes on elsewhere. A hub that only
//! stood still may still think that it has it. So leases are numbered, and a work's transaction does nothing unless its
//! lease is the newest.

use std::sync::Arc;

use super::{StoreError, Stored};

/// Work that only time triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// [`super::OperationStore::end_overdue`].
    EndOverdue,
    /// [`super::UpkeepStore::forget_keys`].
    ForgetKeys,
    /// [`super::UpkeepStore::forget_results`].
    ForgetResults,
    /// [`super::AuditStore::keep_report`], and the look at everything before it.
    Diagnose,
}

impl Work {
    /// Its name in stores.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::EndOverdue => "end_overdue",
            Self::ForgetKeys => "forget_keys",
            Self::ForgetResults => "forget_results",
            Self::Diagnose => "diagnose",
        }
    }
}

/// The right to do a work, for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Which.
    pub(crate) work: Work,
    /// Who has it.
    pub(crate) holder: Arc<str>,
    /// Counts up at each change of holder.
    pub(crate) fence: u64,
}

impl Lease {
    /// Whether it is for that work.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] where it is for another.
    pub(super) fn is_for(&self, work: Work) -> Stored<()> {
        if self.work == work {
            return Ok(());
        }
        Err(StoreError::LeaseLost)
    }
}

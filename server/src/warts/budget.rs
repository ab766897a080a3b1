//! The running count against [`Limits::max_items`].

use super::fault::Fault;
use super::limits::Limits;

/// What a decode may still produce. It is charged before anything is stored.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    limits: &'a Limits,
    items_left: usize,
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            items_left: limits.max_items,
        }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    pub(super) fn charge(&mut self, items: usize) -> Result<(), Fault> {
        self.items_left = self
            .items_left
            .checked_sub(items)
            .ok_or(Fault::TooManyItems {
                limit: self.limits.max_items,
            })?;
        Ok(())
    }

    /// The state to go back to when a record turns out to be undecodable, so that
    /// what was thrown away is not paid for.
    pub(super) fn mark(&self) -> usize {
        self.items_left
    }

    pub(super) fn restore(&mut self, mark: usize) {
        self.items_left = mark;
    }
}

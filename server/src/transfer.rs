//! Carrying data between stores: `copy` from one of ours into another, `import` from the database of the system that this
//! one replaces. Works on the stores' moving side only ([`crate::store::MoveStore`]); no session, no bus, no HTTP.

pub(crate) mod copy;
pub(crate) mod import;

pub use copy::Copied;
pub use import::{Count, Imported};

/// Sees how a transfer goes, for the person who waits for it.
pub trait Observer: Send {
    /// So many of `total` of these things are done; `total` may be a guess and is 0 where nobody knows.
    fn progress(&mut self, what: &str, done: u64, total: u64);
    /// Something that the person should know, such as what could not be taken and why. One line.
    fn note(&mut self, line: &str);
}

//! What can go wrong with a fleet, and what of it no hub may give reason to.

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::simulate) enum Trouble {
    /// No TCP connection, or none in time.
    NoConnection,
    /// The hub does not accept a token.
    Unauthorized,
    /// The hub answered the upgrade with another status.
    NotUpgraded,
    /// The session was not ready in time.
    NotReady,
    /// The connection broke.
    Broken,
    /// Nothing was heard for too long.
    Silent,
    /// A frame did not leave in time.
    NotWritten,
    /// The hub could not use a frame.
    Complaint,
    /// A frame of the hub cannot be read.
    Unreadable,
    /// A result was refused that had to be stored.
    Refused,
    /// A lie was stored that had to be refused, or did not end its session as it had to.
    Believed,
    /// The hub ended a session as it should not have.
    Closed,
    /// An operation was handed over again on the wire where that must not happen.
    HandedTwice,
    /// The simulation itself failed.
    Panicked,
}

impl Trouble {
    /// The word for it.
    pub(in crate::simulate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoConnection => "no_connection",
            Self::Unauthorized => "unauthorized",
            Self::NotUpgraded => "not_upgraded",
            Self::NotReady => "not_ready",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::NotWritten => "not_written",
            Self::Complaint => "complaint",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Believed => "believed",
            Self::Closed => "closed",
            Self::HandedTwice => "handed_twice",
            Self::Panicked => "panicked",
        }
    }

    /// Whether no hub may ever give reason to it, busy or restarted as it may be.
    pub(in crate::simulate) const fn is_unexpected(self) -> bool {
        match self {
            Self::NoConnection
            | Self::NotUpgraded
            | Self::NotReady
            | Self::Broken
            | Self::Silent
            | Self::NotWritten => false,
            Self::Unauthorized
            | Self::Complaint
            | Self::Unreadable
            | Self::Refused
            | Self::Believed
            | Self::Closed
            | Self::HandedTwice
            | Self::Panicked => true,
        }
    }
}

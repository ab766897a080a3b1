//! What the machine lets one process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside sockets: output, timers, the summary, what a measurement opens.
const SPARE: u64 = 64;

/// Ports that an address has for outgoing connections, by Linux's own range.
pub(super) const PORTS_OF_AN_ADDRESS: usize = 28_000;

/// How many files this process may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Before.
    pub before: Option<u64>,
    /// Now; none is without end.
    pub now: Option<u64>,
}

impl OpenFiles {
    /// Raises the limit as far as this process may.
    #[must_use]
    pub fn raise() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let before = limit.current;
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let now = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => before,
        };
        Self { before, now }
    }

    /// How many probes fit.
    #[must_use]
    pub fn probes(self) -> usize {
        let room = self.now.map_or(u64::MAX, |now| now.saturating_sub(SPARE));
        usize::try_from(room).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_once() {
        let first = OpenFiles::raise();
        let again = OpenFiles::raise();
        assert_eq!((again.before, again.now), (first.now, first.now));
        assert!(first.probes() > 0, "{first:?}");
        let unlimited = OpenFiles {
            before: None,
            now: None,
        };
        assert_eq!(unlimited.probes(), usize::MAX);
    }
}

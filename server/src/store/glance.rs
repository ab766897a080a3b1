//! What many operations or probes are like, as far as those who look at all of them every few seconds want to know.

use probe_protocol::{OperationId, ProbeId};

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The operation.
    pub(crate) operation: OperationId,
    /// Number of its newest result; 0 before the first.
    pub(crate) last_seq: u64,
    /// Whether its last assignment has ended.
    pub(crate) ended: bool,
}

/// Which token and which session of a probe are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// Tokens of other generations are worthless.
    pub(crate) token_generation: u32,
    /// How many sessions it has had; the newest has this number.
    pub(crate) sessions: u64,
}

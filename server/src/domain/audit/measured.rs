//! The results of one operation, counted one after the other.

use std::collections::HashMap;

use probe_protocol::ProbeId;

use super::facts::{OperationFacts, ResultFacts};

/// What is known of an operation's results, up to the number that the operation had when it was looked at. Later ones are
/// not counted: they came meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many there are.
    pub(crate) count: i64,
    /// How many were rewarded.
    pub(crate) rewarded: i64,
    /// How many each probe has.
    pub(crate) of_probe: HashMap<ProbeId, i64>,
    /// Largest number.
    pub(crate) last: i64,
    /// The first number that is there twice.
    pub(crate) twice: Option<i64>,
    /// The first numbers that are missing, from and to.
    pub(crate) hole: Option<(i64, i64)>,
    /// The first one whose run began after the operation closed.
    pub(crate) late: Option<(i64, ProbeId)>,
    /// Largest number beyond the operation's count.
    pub(crate) beyond: Option<i64>,
    /// Whether some could not be read; then it is not known how many there are.
    pub(crate) is_partial: bool,
}

impl Tally {
    /// Counts a result of this operation; they come in the order of their numbers.
    pub(crate) fn add(&mut self, operation: &OperationFacts, result: &ResultFacts) {
        if result.seq > operation.last_seq {
            self.beyond = Some(result.seq);
            return;
        }
        if result.seq <= self.last {
            self.twice.get_or_insert(result.seq);
        } else if result.seq != self.last.saturating_add(1) {
            let from = self.last.saturating_add(1);
            self.hole
                .get_or_insert((from, result.seq.saturating_sub(1)));
        }
        if operation.is_repeated && result.started_at > operation.closes_at {
            self.late.get_or_insert((result.seq, result.probe));
        }
        self.last = self.last.max(result.seq);
        self.count += 1;
        self.rewarded += i64::from(result.rewarded);
        *self.of_probe.entry(result.probe).or_default() += 1;
    }
}

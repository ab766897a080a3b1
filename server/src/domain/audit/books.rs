//! Balances, ledgers and loads.

use probe_protocol::UserId;

use super::{
    Finding, Repair, Rule,
    facts::{EntryFacts, OperationFacts, ProbeFacts, UserFacts},
    measured::Tally,
};
use crate::domain::credits::{LedgerReason, REWARD};

/// What is wrong with a user's balance.
pub(crate) fn account(it: &UserFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    if it.credits < 0 {
        let what = format!("the balance is {}", it.credits);
        found.push(Finding::of(Rule::Negative, what).user(it.id));
    }
    let (number, balance) = it.newest.unwrap_or_default();
    if let Some(entries) = it.entries.filter(|entries| *entries != number) {
        let what = if number > entries {
            format!("{entries} entries are counted, and there is number {number}")
        } else {
            format!("{entries} entries are counted, and number {entries} is not there")
        };
        let finding = Finding::of(Rule::LedgerNumbers, what).user(it.id);
        found.push(finding.repair(Repair::Balance(it.id)));
    } else if it.credits != balance {
        let what = format!(
            "the balance is {}, and the ledger leaves {balance} (entry {number})",
            it.credits
        );
        let finding = Finding::of(Rule::Balance, what).user(it.id);
        found.push(finding.repair(Repair::Balance(it.id)));
    }
    found
}

/// Reads ledgers entry by entry, in the order of users and numbers. An entry never changes, so it does not matter that
/// others are added meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    at: Option<(UserId, i64, i64)>,
}

impl Ledger {
    /// What is wrong with the next entry.
    pub(crate) fn next(&mut self, entry: &EntryFacts) -> Vec<Finding> {
        let (number, balance) = match self.at {
            Some((user, number, balance)) if user == entry.user => (number, balance),
            _ => (0, 0),
        };
        self.at = Some((entry.user, entry.number, entry.balance));
        let mut found = Vec::new();
        let mut add = |rule, what: String| {
            found.push(Finding {
                probe: entry.probe,
                operation: entry.operation,
                ..Finding::of(rule, what).user(entry.user)
            });
        };
        if entry.balance < 0 {
            let what = format!("entry {} leaves {}", entry.number, entry.balance);
            add(Rule::Negative, what);
        }
        if number.checked_add(1) != Some(entry.number) {
            let what = format!("entry {} follows entry {number}", entry.number);
            add(Rule::LedgerNumbers, what);
        } else if balance.checked_add(entry.amount) != Some(entry.balance) {
            let what = format!(
                "entry {} adds {} to {balance} and leaves {}",
                entry.number, entry.amount, entry.balance
            );
            add(Rule::LedgerBreak, what);
        }
        found
    }

    /// Passes over an entry that cannot be read.
    pub(crate) fn skip(&mut self, user: UserId, number: i64, balance: Option<i64>) {
        let known = self.at.filter(|at| at.0 == user).map_or(0, |at| at.2);
        self.at = Some((user, number, balance.unwrap_or(known)));
    }
}

/// What ledgers say of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Entries that charge it.
    pub(crate) charges: u32,
    /// Credits charged.
    pub(crate) charged: i64,
    /// Credits given back.
    pub(crate) refunded: i64,
    /// Credits that its results brought to those who host probes.
    pub(crate) rewarded: i64,
}

impl Sums {
    /// Adds an entry.
    pub(crate) fn add(&mut self, entry: &EntryFacts) {
        let add = |sum: &mut i64, amount: i64| *sum = sum.saturating_add(amount);
        match entry.reason {
            LedgerReason::Grant => {}
            LedgerReason::Charge => {
                self.charges = self.charges.saturating_add(1);
                add(&mut self.charged, entry.amount.saturating_neg());
            }
            LedgerReason::Refund => add(&mut self.refunded, entry.amount),
            LedgerReason::Reward => add(&mut self.rewarded, entry.amount),
        }
    }
}

/// What ledgers say of an operation must be what it says itself. Where results may be `forgotten`, more may have been
/// rewarded than are there. Where it was `imported`, it was paid for elsewhere, so no ledger knows its charge.
pub(crate) fn sums(
    it: &OperationFacts,
    results: &Tally,
    of: &Sums,
    forgotten: bool,
    imported: bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |rule, what: String| {
        let finding = Finding::of(rule, what).operation(it.id);
        found.push(finding.user(it.owner));
    };
    let once = u32::from(it.charged != 0);
    let is_charged = of.charged == it.charged && of.charges == once;
    if !(is_charged || imported && of.charges == 0) {
        let what = format!(
            "{} credits were charged, and the ledger has {} in {} entries",
            it.charged, of.charged, of.charges
        );
        add(Rule::LedgerCharge, what);
    }
    if of.refunded != it.refunded {
        let what = format!(
            "{} credits were given back, and the ledger has {}",
            it.refunded, of.refunded
        );
        add(Rule::LedgerRefund, what);
    }
    let earned = REWARD.saturating_mul(results.rewarded);
    let fits = if forgotten || results.is_partial {
        of.rewarded >= earned && of.rewarded % REWARD == 0
    } else {
        of.rewarded == earned
    };
    if !fits {
        let what = format!(
            "{} results were rewarded, and ledgers have {} credits for them, not {earned}",
            results.rewarded, of.rewarded
        );
        found.push(Finding::of(Rule::LedgerReward, what).operation(it.id));
    }
    found
}

/// Whether an operation that no ledger charges may be one that was paid for elsewhere: it is older than all that its
/// owner's ledger tells. One of ours was paid out of something.
pub(crate) fn is_older_than_its_ledger(
    it: &OperationFacts,
    first_entry: Option<chrono::DateTime<chrono::Utc>>,
) -> bool {
    first_entry.is_none_or(|first| it.created_at < first)
}

/// What is wrong with a probe's load.
pub(crate) fn load(it: &ProbeFacts) -> Option<Finding> {
    let (kept, counted) = it.load?;
    (kept != counted).then(|| {
        let what = format!("its load is {kept}, and what is open on it weighs {counted}");
        let finding = Finding::of(Rule::ProbeLoad, what).probe(it.id);
        finding.repair(Repair::Load(it.id))
    })
}

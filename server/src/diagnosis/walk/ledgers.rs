//! Ledgers, held against operations. No ledger is kept by operation, so everything is passed through, and sums are made of
//! it for as many operations as memory allows. Entries come while that goes on: an operation is compared only if nothing
//! has changed of it since it was looked at.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, UserId};

use super::{Walk, whole};
use crate::{
    domain::audit::{
        EntryFacts, Finding, Ledger, OperationFacts, Rule, Sums, Tally, Thing,
        is_older_than_its_ledger, sums,
    },
    store::{StoreError, Stored},
};

/// Entries of a page: a read of some milliseconds.
const ENTRIES_AT_ONCE: usize = 5000;

/// An operation's money: what it says, and what ledgers say.
pub(super) struct Account {
    facts: OperationFacts,
    rewarded: i64,
    is_partial: bool,
    sums: Sums,
}

impl Account {
    pub(super) fn of(facts: &OperationFacts, results: &Tally) -> Self {
        Self {
            facts: *facts,
            rewarded: results.rewarded,
            is_partial: results.is_partial,
            sums: Sums::default(),
        }
    }

    fn judge(&self, forgets: bool, imported: bool) -> Vec<Finding> {
        let results = Tally {
            rewarded: self.rewarded,
            is_partial: self.is_partial,
            ..Tally::default()
        };
        sums(&self.facts, &results, &self.sums, forgets, imported)
    }
}

impl Walk<'_> {
    /// Passes through all ledgers; the first time they are looked at themselves, too.
    pub(super) async fn ledgers(
        &mut self,
        mut accounts: HashMap<OperationId, Account>,
        is_first: bool,
    ) -> Stored<()> {
        let (mut after, mut ledger, mut is_whole) = (None, Ledger::default(), true);
        let mut done = 0;
        loop {
            let page = self.store.entry_facts(after.as_ref(), ENTRIES_AT_ONCE);
            let page = page.await?;
            done += whole(page.read.len() + page.unreadable.len());
            for entry in &page.read {
                let of = entry.operation.and_then(|id| accounts.get_mut(&id));
                if let Some(account) = of {
                    account.sums.add(entry);
                }
            }
            is_whole &= page.unreadable.is_empty();
            after = page.end;
            if is_first {
                self.orphaned_entries(&page.read).await?;
                self.in_order(&mut ledger, &page.read, &page.unreadable);
                self.unreadable(page.unreadable);
            }
            self.company.between("entries of ledgers", done).await?;
            if after.is_none() {
                break;
            }
        }
        if is_first {
            self.walked.looked_at.ledger_entries = done;
        }
        // What cannot be read may be what is missing.
        if is_whole {
            self.compare(accounts).await?;
        }
        Ok(())
    }

    /// Entries one after the other, those that cannot be read in their places.
    fn in_order(
        &mut self,
        ledger: &mut Ledger,
        entries: &[EntryFacts],
        unreadable: &[crate::store::Unreadable],
    ) {
        let mut gaps: Vec<_> = unreadable
            .iter()
            .filter_map(|thing| {
                let (number, balance) = thing.entry?;
                Some((thing.user?, number, balance))
            })
            .collect();
        gaps.sort_unstable();
        let mut gaps = gaps.into_iter().peekable();
        for entry in entries {
            let place = (entry.user, entry.number);
            while let Some((user, number, balance)) =
                gaps.next_if(|(user, number, _)| (*user, *number) < place)
            {
                ledger.skip(user, number, balance);
            }
            let found = ledger.next(entry);
            self.walked.found.extend(found);
        }
        for (user, number, balance) in gaps {
            ledger.skip(user, number, balance);
        }
    }

    /// Entries that name what is not there.
    async fn orphaned_entries(&mut self, entries: &[EntryFacts]) -> Stored<()> {
        let mut named: HashSet<Thing> = HashSet::new();
        for entry in entries {
            named.insert(Thing::User(entry.user));
            named.extend(entry.operation.map(Thing::Operation));
            named.extend(entry.probe.map(Thing::Probe));
        }
        let absent = self.absent(named).await?;
        if absent.is_empty() {
            return Ok(());
        }
        let mut told = HashSet::new();
        for entry in entries {
            let user = Thing::User(entry.user);
            if absent.contains(&user) && told.insert(user) {
                let what = "a ledger of a user who is not there";
                let finding = Finding::of(Rule::Orphan, what).user(entry.user);
                self.walked.found.add(finding);
            }
            let operation = entry.operation.map(Thing::Operation);
            let probe = entry.probe.map(Thing::Probe);
            for (thing, what) in [(operation, "an operation"), (probe, "a probe")] {
                if thing.is_some_and(|thing| absent.contains(&thing)) {
                    let what = format!("entry {} is of {what} that is not there", entry.number);
                    self.walked.found.add(Finding {
                        operation: entry.operation,
                        probe: entry.probe,
                        ..Finding::of(Rule::Orphan, what).user(entry.user)
                    });
                }
            }
        }
        Ok(())
    }

    async fn compare(&mut self, accounts: HashMap<OperationId, Account>) -> Stored<()> {
        let mut firsts: HashMap<UserId, Option<DateTime<Utc>>> = HashMap::new();
        let mut accounts: Vec<Account> = accounts.into_values().collect();
        accounts.sort_unstable_by_key(|account| account.facts.id);
        for account in accounts {
            if account.judge(self.forgets, false).is_empty() {
                continue;
            }
            let imported = account.sums.charges == 0 && {
                let owner = account.facts.owner;
                let first = match firsts.get(&owner) {
                    Some(first) => *first,
                    None => self.store.first_entry(owner).await?,
                };
                firsts.insert(owner, first);
                is_older_than_its_ledger(&account.facts, first)
            };
            let findings = account.judge(self.forgets, imported);
            if findings.is_empty() {
                continue;
            }
            if self.is_as_it_was(&account.facts).await? {
                self.walked.found.extend(findings);
            } else {
                self.walked.looked_at.changed_meanwhile += 1;
            }
        }
        Ok(())
    }

    /// Whether nothing was charged, given back or rewarded of an operation since it was looked at.
    async fn is_as_it_was(&mut self, facts: &OperationFacts) -> Stored<bool> {
        let now = match self.store.operation(facts.id).await {
            Err(StoreError::Corrupt(_)) => None,
            found => found?,
        };
        Ok(now.is_some_and(|now| {
            (now.charged, now.refunded) == (facts.charged, facts.refunded)
                && i64::try_from(now.last_seq) == Ok(facts.last_seq)
        }))
    }
}

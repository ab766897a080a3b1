//! Balances and the ledger: no balance changes but here and where an operation is paid for, and each change leaves an
//! entry.

use std::collections::HashMap;

use bson::doc;
use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use super::{
    documents::{LedgerDoc, UserDoc, user_ids},
    error::Attempt,
    link::{Tx, Update},
};
use crate::{domain::credits::LedgerReason, store::LedgerEntry};

/// What a balance is changed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) reason: LedgerReason,
    pub(super) operation: Option<OperationId>,
    pub(super) probe: Option<ProbeId>,
    pub(super) at: DateTime<Utc>,
}

/// Credits to be added to a user's balance, and why.
pub(super) type Entry = (UserId, i64, Cause);

/// Changes balances, an entry of the ledger for each change. A balance at the top of its range takes what fits: a result
/// must not be lost for it.
pub(super) async fn enter(tx: &mut Tx, entries: Vec<Entry>) -> Attempt<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<UserId> = entries.iter().map(|entry| entry.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let users = tx.kept.users.clone();
    let found = tx
        .all(users.find(doc! { "_id": { "$in": user_ids(&ids) } }))
        .await?;
    let mut accounts: HashMap<UserId, UserDoc> = found
        .into_iter()
        .map(|user| (user.id.into(), user))
        .collect();
    let mut ledger = Vec::with_capacity(entries.len());
    for (id, credits, cause) in entries {
        let Some(account) = accounts.get_mut(&id) else {
            continue;
        };
        let balance = account.credits.saturating_add(credits);
        let amount = balance - account.credits;
        if amount == 0 {
            continue;
        }
        account.credits = balance;
        account.ledger_entries += 1;
        ledger.push(LedgerDoc::of(
            account.id,
            &cause.entry(account.ledger_entries, amount, balance),
        ));
    }
    let updates = accounts.values().map(|account| Update {
        filter: doc! { "_id": account.id },
        change: doc! { "$set": { "credits": account.credits, "ledger_entries": account.ledger_entries } },
    });
    tx.update(&users, updates.collect()).await?;
    let collection = tx.kept.ledger.clone();
    tx.insert(&collection, &ledger).await
}

impl Cause {
    /// The entry it makes.
    pub(super) fn entry(self, number: i64, amount: i64, balance: i64) -> LedgerEntry {
        LedgerEntry {
            id: number,
            amount,
            balance,
            reason: self.reason,
            operation: self.operation,
            probe: self.probe,
            at: self.at,
        }
    }
}

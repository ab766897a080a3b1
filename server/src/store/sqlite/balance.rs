//! Balances and the ledger: no balance changes but here, and each change leaves an entry.

use std::collections::{HashMap, hash_map::Entry};

use chrono::{DateTime, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::ms;
use crate::{domain::credits::LedgerReason, store::Stored};

/// What a balance is changed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) reason: LedgerReason,
    pub(super) operation: Option<OperationId>,
    pub(super) probe: Option<ProbeId>,
    pub(super) at: DateTime<Utc>,
}

const BALANCE: &str = "select credits from users where id = ?1";

/// A user's balance; `None` where there is no such user.
pub(super) fn of(connection: &Connection, user: UserId) -> Stored<Option<i64>> {
    let mut statement = connection.prepare_cached(BALANCE)?;
    let credits = statement.query_row([user.to_string()], |row| row.get(0));
    Ok(credits.optional()?)
}

const CHARGE: &str = "update users set credits = credits - ?2 where id = ?1 and credits >= ?2
    returning credits";

/// Takes credits where there are enough; whether there were.
pub(super) fn charge(
    connection: &Connection,
    user: UserId,
    credits: i64,
    cause: Cause,
) -> Stored<bool> {
    let mut statement = connection.prepare_cached(CHARGE)?;
    let balance = statement
        .query_row(params![user.to_string(), credits], |row| row.get(0))
        .optional()?;
    let Some(balance) = balance else {
        return Ok(false);
    };
    let number = last_entry(connection, user)? + 1;
    enter(connection, user, number, -credits, balance, cause)?;
    Ok(true)
}

/// Adds credits. A balance at the top of the range takes what fits: a result must not be lost for it.
pub(super) fn credit(
    connection: &Connection,
    user: UserId,
    credits: i64,
    cause: Cause,
) -> Stored<()> {
    let mut accounts = Accounts::default();
    accounts.credit(connection, user, credits, cause)?;
    accounts.write(connection)
}

/// Balances that change again and again in one transaction: read once, written once, with an entry of the ledger for each
/// change. Nothing else may look at such a balance, or change it, before [`Accounts::close`] or [`Accounts::write`].
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<UserId, Option<Account>>);

#[derive(Debug)]
struct Account {
    credits: i64,
    /// Number of the last entry.
    entries: i64,
    changed: bool,
}

impl Accounts {
    /// Adds credits. A balance at the top of the range takes what fits; there is no entry where nothing does.
    pub(super) fn credit(
        &mut self,
        connection: &Connection,
        user: UserId,
        credits: i64,
        cause: Cause,
    ) -> Stored<()> {
        let account = match self.0.entry(user) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(account(connection, user)?),
        };
        let Some(account) = account else {
            return Ok(());
        };
        let balance = account.credits.saturating_add(credits);
        let amount = balance - account.credits;
        if amount == 0 {
            return Ok(());
        }
        account.credits = balance;
        account.entries += 1;
        account.changed = true;
        enter(connection, user, account.entries, amount, balance, cause)
    }

    /// Writes the balance of a user, so that others may change it.
    pub(super) fn close(&mut self, connection: &Connection, user: UserId) -> Stored<()> {
        match self.0.remove(&user).flatten() {
            Some(account) => account.write(connection, user),
            None => Ok(()),
        }
    }

    /// Writes all balances that changed.
    pub(super) fn write(self, connection: &Connection) -> Stored<()> {
        let known = self.0.into_iter();
        known
            .filter_map(|(user, account)| Some((user, account?)))
            .try_for_each(|(user, account)| account.write(connection, user))
    }
}

const SET_BALANCE: &str = "update users set credits = ?2 where id = ?1";

impl Account {
    fn write(self, connection: &Connection, user: UserId) -> Stored<()> {
        if self.changed {
            let mut statement = connection.prepare_cached(SET_BALANCE)?;
            statement.execute(params![user.to_string(), self.credits])?;
        }
        Ok(())
    }
}

const LAST_ENTRY: &str = "select coalesce(max(number), 0) from ledger where user = ?1";

fn account(connection: &Connection, user: UserId) -> Stored<Option<Account>> {
    let Some(credits) = of(connection, user)? else {
        return Ok(None);
    };
    Ok(Some(Account {
        credits,
        entries: last_entry(connection, user)?,
        changed: false,
    }))
}

/// Number of the last entry of a user; 0 where there is none.
fn last_entry(connection: &Connection, user: UserId) -> Stored<i64> {
    let mut statement = connection.prepare_cached(LAST_ENTRY)?;
    Ok(statement.query_row([user.to_string()], |row| row.get(0))?)
}

const ENTER: &str =
    "insert into ledger (user, number, amount, balance, reason, operation, probe, at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Writes an entry of a user, which has to be the next one.
fn enter(
    connection: &Connection,
    user: UserId,
    number: i64,
    amount: i64,
    balance: i64,
    cause: Cause,
) -> Stored<()> {
    let mut statement = connection.prepare_cached(ENTER)?;
    statement.execute(params![
        user.to_string(),
        number,
        amount,
        balance,
        cause.reason.as_str(),
        cause.operation.map(|id| id.to_string()),
        cause.probe.map(|id| id.to_string()),
        ms(cause.at),
    ])?;
    Ok(())
}

//! Balances and the ledger: no balance changes but here, and each change leaves an entry.

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
    enter(connection, user, -credits, balance, cause)?;
    Ok(true)
}

const SET_BALANCE: &str = "update users set credits = ?2 where id = ?1";

/// Adds credits. A balance at the top of the range takes what fits: a result must not be lost for it.
pub(super) fn credit(
    connection: &Connection,
    user: UserId,
    credits: i64,
    cause: Cause,
) -> Stored<()> {
    let Some(before) = of(connection, user)? else {
        return Ok(());
    };
    let balance = before.saturating_add(credits);
    if balance == before {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(SET_BALANCE)?;
    statement.execute(params![user.to_string(), balance])?;
    enter(connection, user, balance - before, balance, cause)
}

const ENTER: &str =
    "insert into ledger (user, number, amount, balance, reason, operation, probe, at_ms)
    values (?1, 1 + coalesce((select max(number) from ledger where user = ?1), 0), ?2, ?3, ?4, ?5, ?6, ?7)";

/// Writes the next entry of a user.
fn enter(
    connection: &Connection,
    user: UserId,
    amount: i64,
    balance: i64,
    cause: Cause,
) -> Stored<()> {
    let mut statement = connection.prepare_cached(ENTER)?;
    statement.execute(params![
        user.to_string(),
        amount,
        balance,
        cause.reason.as_str(),
        cause.operation.map(|id| id.to_string()),
        cause.probe.map(|id| id.to_string()),
        ms(cause.at),
    ])?;
    Ok(())
}

//! Users, grants and reading the ledger.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::UserId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    balance::{self, Cause},
    codec::{self, as_kept, maybe_parsed, ms, parsed, time, word},
    keys,
};
use crate::{
    domain::{User, credits::LedgerReason},
    store::{IdempotencyKey, LedgerEntry, NewUser, StoreError, Stored, UserStore},
};

#[async_trait]
impl UserStore for SqliteStore {
    async fn create_user(&self, user: NewUser) -> Stored<User> {
        self.write(move |connection| create(connection, user)).await
    }

    async fn user(&self, id: UserId) -> Stored<Option<User>> {
        self.read(move |connection| one(connection, id)).await
    }

    async fn credentials(&self, email: String) -> Stored<Option<(User, String)>> {
        self.read(move |connection| credentials(connection, &email))
            .await
    }

    async fn set_password_hash(&self, id: UserId, password_hash: String) -> Stored<()> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(SET_PASSWORD_HASH)?;
            statement.execute(params![id.to_string(), password_hash])?;
            Ok(())
        })
        .await
    }

    async fn grant(
        &self,
        id: UserId,
        credits: i64,
        at: DateTime<Utc>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Option<User>> {
        self.write(move |connection| grant(connection, id, credits, at, key.as_ref()))
            .await
    }

    async fn ledger(
        &self,
        id: UserId,
        before: Option<i64>,
        limit: usize,
    ) -> Stored<Vec<LedgerEntry>> {
        self.read(move |connection| ledger(connection, id, before, limit))
            .await
    }
}

/// A user.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: parsed(row, "id")?,
        email: row.get("email")?,
        credits: row.get("credits")?,
        is_superuser: row.get("is_superuser")?,
        created_at: time(row, "created_at_ms")?,
    })
}

const CREATE: &str = "insert into users (id, email, password_hash, is_superuser, created_at_ms)
    values (?1, ?2, ?3, ?4, ?5) on conflict (email) do nothing";

fn create(connection: &Connection, new: NewUser) -> Stored<User> {
    let user = User {
        id: UserId::new(),
        email: new.email,
        credits: 0,
        is_superuser: new.is_superuser,
        created_at: as_kept(new.created_at),
    };
    let created = connection.prepare_cached(CREATE)?.execute(params![
        user.id.to_string(),
        user.email,
        new.password_hash,
        user.is_superuser,
        ms(user.created_at),
    ])?;
    if created == 0 {
        return Err(StoreError::EmailTaken);
    }
    Ok(user)
}

const ONE: &str = "select id, email, credits, is_superuser, created_at_ms from users where id = ?1";

fn one(connection: &Connection, id: UserId) -> Stored<Option<User>> {
    let mut statement = connection.prepare_cached(ONE)?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

const CREDENTIALS: &str = "select * from users where email = ?1";

fn credentials(connection: &Connection, email: &str) -> Stored<Option<(User, String)>> {
    let mut statement = connection.prepare_cached(CREDENTIALS)?;
    let found = statement.query_row([email], |row| Ok((read(row)?, row.get("password_hash")?)));
    Ok(found.optional()?)
}

const SET_PASSWORD_HASH: &str = "update users set password_hash = ?2 where id = ?1";

fn grant(
    connection: &Connection,
    id: UserId,
    credits: i64,
    at: DateTime<Utc>,
    key: Option<&IdempotencyKey>,
) -> Stored<Option<User>> {
    if keys::find(connection, key)?.is_some() {
        return one(connection, id);
    }
    let Some(before) = balance::of(connection, id)? else {
        return Ok(None);
    };
    if before.checked_add(credits).is_none_or(|after| after < 0) {
        return Err(StoreError::BalanceTooLarge);
    }
    let cause = Cause {
        reason: LedgerReason::Grant,
        operation: None,
        probe: None,
        at,
    };
    balance::credit(connection, id, credits, cause)?;
    keys::keep(connection, key, &id.to_string(), None, at)?;
    one(connection, id)
}

const LEDGER: &str =
    "select * from ledger where user = ?1 and number < ?2 order by number desc limit ?3";

fn ledger(
    connection: &Connection,
    id: UserId,
    before: Option<i64>,
    limit: usize,
) -> Stored<Vec<LedgerEntry>> {
    let mut statement = connection.prepare_cached(LEDGER)?;
    let parameters = params![
        id.to_string(),
        before.unwrap_or(i64::MAX),
        codec::limit(limit)
    ];
    let found = statement.query_map(parameters, read_entry)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// An entry of the ledger.
pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<LedgerEntry> {
    Ok(LedgerEntry {
        id: row.get("number")?,
        amount: row.get("amount")?,
        balance: row.get("balance")?,
        reason: word(row, "reason")?,
        operation: maybe_parsed(row, "operation")?,
        probe: maybe_parsed(row, "probe")?,
        at: time(row, "at_ms")?,
    })
}

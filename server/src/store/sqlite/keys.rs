//! Idempotency keys: a row written in the transaction of the creation it protects, so both are there or neither.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::ms;
use crate::store::{IdempotencyKey, StoreError, Stored};

/// What a key stands for already.
pub(super) struct Known {
    /// What the request created or changed, as text.
    pub(super) subject: String,
    /// What its answer said beside it: JSON.
    pub(super) answer: Option<String>,
}

const FIND: &str = "select fingerprint, subject, answer from idempotency_keys
    where user = ?1 and key = ?2";

/// What the key stands for; [`StoreError::KeyReused`] where it came with another request.
pub(super) fn find(connection: &Connection, key: Option<&IdempotencyKey>) -> Stored<Option<Known>> {
    let Some(key) = key else { return Ok(None) };
    let mut statement = connection.prepare_cached(FIND)?;
    let found = statement
        .query_row(params![key.user.to_string(), key.key], |row| {
            let known = Known {
                subject: row.get("subject")?,
                answer: row.get("answer")?,
            };
            Ok((row.get::<_, String>("fingerprint")?, known))
        })
        .optional()?;
    match found {
        Some((fingerprint, _)) if fingerprint != key.fingerprint => Err(StoreError::KeyReused),
        found => Ok(found.map(|(_, known)| known)),
    }
}

const KEEP: &str =
    "insert into idempotency_keys (user, key, fingerprint, subject, answer, created_at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6)";

/// Keeps a key.
pub(super) fn keep(
    connection: &Connection,
    key: Option<&IdempotencyKey>,
    subject: &str,
    answer: Option<&str>,
    at: DateTime<Utc>,
) -> Stored<()> {
    let Some(key) = key else { return Ok(()) };
    connection.prepare_cached(KEEP)?.execute(params![
        key.user.to_string(),
        key.key,
        key.fingerprint,
        subject,
        answer,
        ms(at),
    ])?;
    Ok(())
}

const FORGET: &str = "delete from idempotency_keys where created_at_ms < ?1";

/// Forgets keys made before.
pub(super) fn forget(connection: &Connection, before: DateTime<Utc>) -> Stored<()> {
    connection.prepare_cached(FORGET)?.execute([ms(before)])?;
    Ok(())
}

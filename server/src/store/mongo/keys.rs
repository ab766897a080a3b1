//! Idempotency keys: a document written in the transaction of the creation it protects, so both are there or neither.

use bson::doc;
use chrono::{DateTime, Utc};

use super::{
    documents::{KeyDoc, KeyId, date},
    error::{Attempt, Failure},
    link::Tx,
};
use crate::store::{IdempotencyKey, StoreError};

/// What the key stands for; [`StoreError::KeyReused`] where it came with another request.
pub(super) async fn find(tx: &mut Tx, key: Option<&IdempotencyKey>) -> Attempt<Option<KeyDoc>> {
    let Some(key) = key else { return Ok(None) };
    let keys = tx.kept.keys.clone();
    let id = doc! { "user": key.user.object_id(), "key": &key.key };
    let known = tx.one(&keys, doc! { "_id": id }).await?;
    match known {
        Some(known) if known.fingerprint != key.fingerprint => {
            Err(Failure::Final(StoreError::KeyReused))
        }
        known => Ok(known),
    }
}

/// Remembers what a request created or changed.
pub(super) async fn keep(
    tx: &mut Tx,
    key: Option<&IdempotencyKey>,
    subject: String,
    answer: Option<String>,
    at: DateTime<Utc>,
) -> Attempt<()> {
    let Some(key) = key else { return Ok(()) };
    let keys = tx.kept.keys.clone();
    tx.insert(&keys, [document(key, subject, answer, at)]).await
}

/// A key as it is kept.
pub(super) fn document(
    key: &IdempotencyKey,
    subject: String,
    answer: Option<String>,
    at: DateTime<Utc>,
) -> KeyDoc {
    KeyDoc {
        id: KeyId {
            user: key.user.object_id(),
            key: key.key.clone(),
        },
        fingerprint: key.fingerprint.clone(),
        subject,
        answer,
        created_at: date(at),
    }
}

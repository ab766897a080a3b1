//! Users, their ledger and their idempotency keys.

use bson::{DateTime as Date, oid::ObjectId};
use serde::{Deserialize, Serialize};

use super::{date, time};
use crate::{
    domain::{User, credits::LedgerReason},
    store::LedgerEntry,
};

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct UserDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: ObjectId,
    pub(in crate::store::mongo) email: String,
    pub(in crate::store::mongo) password_hash: String,
    pub(in crate::store::mongo) is_superuser: bool,
    pub(in crate::store::mongo) credits: i64,
    /// Number of the newest entry of the ledger.
    pub(in crate::store::mongo) ledger_entries: i64,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) created_at: Date,
}

impl UserDoc {
    /// A user without entries in the ledger.
    pub(in crate::store::mongo) fn of(user: &User, password_hash: &str) -> Self {
        Self {
            id: user.id.object_id(),
            email: user.email.clone(),
            password_hash: password_hash.to_owned(),
            is_superuser: user.is_superuser,
            credits: user.credits,
            ledger_entries: 0,
            created_at: date(user.created_at),
        }
    }
}

impl From<&UserDoc> for User {
    fn from(document: &UserDoc) -> Self {
        Self {
            id: document.id.into(),
            email: document.email.clone(),
            credits: document.credits,
            is_superuser: document.is_superuser,
            created_at: time(document.created_at),
        }
    }
}

/// Names an entry: entries of a user are numbered upwards.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::store::mongo) struct LedgerId {
    pub(in crate::store::mongo) user: ObjectId,
    pub(in crate::store::mongo) number: i64,
}

/// An entry of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct LedgerDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: LedgerId,
    pub(in crate::store::mongo) amount: i64,
    pub(in crate::store::mongo) balance: i64,
    pub(in crate::store::mongo) reason: LedgerReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) operation: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) probe: Option<ObjectId>,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) at: Date,
}

impl LedgerDoc {
    /// An entry of that user.
    pub(in crate::store::mongo) fn of(user: ObjectId, entry: &LedgerEntry) -> Self {
        Self {
            id: LedgerId {
                user,
                number: entry.id,
            },
            amount: entry.amount,
            balance: entry.balance,
            reason: entry.reason,
            operation: entry.operation.map(|id| id.object_id()),
            probe: entry.probe.map(|id| id.object_id()),
            at: date(entry.at),
        }
    }
}

impl From<LedgerDoc> for LedgerEntry {
    fn from(document: LedgerDoc) -> Self {
        Self {
            id: document.id.number,
            amount: document.amount,
            balance: document.balance,
            reason: document.reason,
            operation: document.operation.map(Into::into),
            probe: document.probe.map(Into::into),
            at: time(document.at),
        }
    }
}

/// Names a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct KeyId {
    pub(in crate::store::mongo) user: ObjectId,
    pub(in crate::store::mongo) key: String,
}

/// An idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::store::mongo) struct KeyDoc {
    #[serde(rename = "_id")]
    pub(in crate::store::mongo) id: KeyId,
    pub(in crate::store::mongo) fingerprint: String,
    /// What the request created or changed.
    pub(in crate::store::mongo) subject: String,
    /// What its answer said beside the subject: JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::store::mongo) answer: Option<String>,
    #[serde(deserialize_with = "super::read_date")]
    pub(in crate::store::mongo) created_at: Date,
}

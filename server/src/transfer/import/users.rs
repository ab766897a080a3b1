//! Users of the old database.

use std::collections::HashMap;

use bson::{
    oid::ObjectId,
    raw::{RawBsonRef, RawDocument},
};
use chrono::{DateTime, Utc};
use probe_protocol::UserId;

use super::{
    notes::{Notes, Sort, quoted},
    raw::{self, Members},
};
use crate::{
    domain::{User, credits::LedgerReason},
    passwords,
    store::{LedgerEntry, Record},
};

/// Longest address that is kept, bytes: nobody logs in with a longer one, and addresses are in an index.
const LONGEST_ADDRESS: usize = 1024;

/// Which user keeps an address that several have: the oldest.
#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<String, ObjectId>);

impl Addresses {
    /// Looks at a user.
    pub(super) fn see(&mut self, document: &RawDocument) {
        let Ok(members) = Members::of(document) else {
            return;
        };
        if let (Some(id), Some(address)) = (members.id("_id"), address(&members)) {
            let oldest = self.0.entry(address.to_owned()).or_insert(id);
            *oldest = id.min(*oldest);
        }
    }

    fn keeps(&self, id: ObjectId, address: &str) -> bool {
        self.0.get(address).is_none_or(|oldest| *oldest == id)
    }
}

/// The address, as it is looked up: blanks around it come from copying and pasting.
fn address<'a>(members: &Members<'a>) -> Option<&'a str> {
    let address = members.text("email")?.trim();
    (!address.is_empty() && address.len() <= LONGEST_ADDRESS).then_some(address)
}

/// The address of someone whose own is that of another user. Unique, and nobody registers it by accident.
pub(super) fn set_aside(id: UserId, address: &str) -> String {
    format!("duplicate-{id}.{address}")
}

/// Tells of it.
pub(super) fn note_set_aside(notes: &mut Notes<'_>, id: UserId, address: &str) {
    notes.add(Sort::Address, || {
        let new = set_aside(id, address);
        format!(
            "user {id}: another user has the address {}; it is kept as {} and logs in with that and the old password",
            quoted(address),
            quoted(&new)
        )
    });
}

/// Converts a user; `None` where it cannot be taken.
pub(super) fn convert(
    document: &RawDocument,
    addresses: &Addresses,
    notes: &mut Notes<'_>,
) -> Option<(User, String)> {
    let Ok(members) = Members::of(document) else {
        notes.add(Sort::NotTaken, || {
            "a user is damaged and not taken".to_owned()
        });
        return None;
    };
    let Some(object_id) = members.id("_id") else {
        notes.add(Sort::NotTaken, || {
            "a user has no ObjectId and is not taken".to_owned()
        });
        return None;
    };
    let id = UserId::from(object_id);
    let email = match address(&members) {
        Some(address) if addresses.keeps(object_id, address) => address.to_owned(),
        Some(address) => {
            note_set_aside(notes, id, address);
            set_aside(id, address)
        }
        None => {
            // Below `invalid` nobody registers (RFC 2606).
            let email = format!("nobody-{id}@invalid");
            notes.add(Sort::Address, || {
                format!("user {id}: has no usable e-mail address and is kept as {email}")
            });
            email
        }
    };
    let user = User {
        id,
        email,
        credits: balance(id, members.get("credits"), notes),
        is_superuser: members.get("is_superuser") == Some(RawBsonRef::Boolean(true)),
        created_at: raw::made_at(object_id),
    };
    let password = members.text("password");
    let usable = password.filter(|hash| passwords::is_passlib(hash));
    if usable.is_none() {
        notes.add(Sort::Password, || {
            format!("user {id}: has no usable password and cannot log in")
        });
    }
    Some((user, usable.unwrap_or(passwords::UNUSABLE).to_owned()))
}

/// A balance in whole credits. Nobody loses a part of one.
fn balance(id: UserId, credits: Option<RawBsonRef<'_>>, notes: &mut Notes<'_>) -> i64 {
    let balance = match credits {
        Some(RawBsonRef::Int32(credits)) => i64::from(credits).max(0),
        Some(RawBsonRef::Int64(credits)) => credits.max(0),
        // What is no number becomes 0, what is too large the most there is.
        Some(RawBsonRef::Double(credits)) => credits.ceil().max(0.0) as i64,
        _ => 0,
    };
    let is_same = match credits {
        Some(RawBsonRef::Int32(credits)) => i64::from(credits) == balance,
        Some(RawBsonRef::Int64(credits)) => credits == balance,
        Some(RawBsonRef::Double(credits)) => credits == balance as f64 && balance < i64::MAX,
        Some(_) => false,
        None => true,
    };
    if !is_same {
        notes.add(Sort::Balance, || {
            let was = credits.map(shown).unwrap_or_default();
            format!("user {id}: had {was} as credits and has {balance} now")
        });
    }
    balance
}

fn shown(credits: RawBsonRef<'_>) -> String {
    match credits {
        RawBsonRef::Double(credits) => credits.to_string(),
        RawBsonRef::Int32(credits) => credits.to_string(),
        RawBsonRef::Int64(credits) => credits.to_string(),
        _ => "no number".to_owned(),
    }
}

/// What is written for a user: the user, and where there is a balance the entry that explains it.
pub(super) fn records(user: User, password_hash: String, now: DateTime<Utc>) -> Vec<Record> {
    let (id, balance) = (user.id, user.credits);
    let mut records = vec![Record::User {
        user,
        password_hash,
    }];
    if balance > 0 {
        records.push(Record::Ledger {
            user: id,
            entry: LedgerEntry {
                id: 1,
                amount: balance,
                balance,
                reason: LedgerReason::Grant,
                operation: None,
                probe: None,
                at: now,
            },
        });
    }
    records
}

#[cfg(test)]
mod tests;

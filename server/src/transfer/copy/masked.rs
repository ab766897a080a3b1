//! What a clone keeps of people: nothing that reaches them or lets anybody in. What was measured, where, and what it cost
//! stays as it is.
//!
//! The same record always becomes the same, so that a clone that was cut off can go on, and can be compared.

use crate::{passwords, store::Record};

/// Added to the generation of a probe's tokens. Far more than a probe's tokens are ever rotated, so that neither a token
/// of today nor one that is made for the original later is good for the clone, whatever its key.
const GENERATIONS: u32 = 1_000_000;
/// A domain that never exists (RFC 6761), so that nothing is ever sent to anybody.
const DOMAIN: &str = "masked.invalid";

/// Masks a record.
pub(super) fn mask(record: &mut Record) {
    match record {
        Record::User {
            user,
            password_hash,
        } => {
            user.email = format!("user-{}@{DOMAIN}", user.id);
            passwords::UNUSABLE.clone_into(password_hash);
        }
        Record::Probe { probe, .. } => {
            probe.token_generation = probe.token_generation.saturating_add(GENERATIONS);
        }
        Record::Operation { .. }
        | Record::Assignment { .. }
        | Record::Result { .. }
        | Record::Ledger { .. }
        | Record::Key { .. } => {}
    }
}

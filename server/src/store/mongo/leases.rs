//! Which hub does the work that only time triggers.
//!
//! A lease is a document. Its time is the server's, since the clocks of hubs differ. Who works under it writes into it
//! first, in the same transaction: so a change of holder and the work of the former one are in conflict, and the work
//! begins anew and finds that its lease is gone.

use std::{sync::Arc, time::Duration};

use bson::{Document, doc, oid::ObjectId};
use serde::{Deserialize, Serialize};

use super::{
    error::{Attempt, Failure},
    link::Tx,
};
use crate::store::{Lease, StoreError, Work};

/// The lease of a work.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LeaseDoc {
    /// [`Work::as_str`].
    #[serde(rename = "_id")]
    id: String,
    /// Absent where it was given up.
    holder: Option<String>,
    fence: i64,
}

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) work: Work,
    pub(super) holder: Arc<str>,
    pub(super) length: Duration,
}

/// Takes or renews a lease; `None` where somebody else has it.
pub(super) async fn take(tx: &mut Tx, wish: &Wish) -> Attempt<Option<Lease>> {
    let leases = tx.kept.leases.clone();
    let found = tx
        .put(&leases, doc! { "_id": wish.work.as_str() }, granting(wish))
        .await?;
    if found.holder.as_deref() != Some(&wish.holder) {
        return Ok(None);
    }
    Ok(Some(Lease {
        work: wish.work,
        holder: wish.holder.clone(),
        fence: u64::try_from(found.fence)?,
    }))
}

/// What becomes of the document: who has it, or finds it free, gets it; else it stays as it is.
fn granting(wish: &Wish) -> Vec<Document> {
    let length = i64::try_from(wish.length.as_millis()).unwrap_or(i64::MAX);
    // Literal: a name that begins with `$` would be a field.
    let holder = doc! { "$literal": &*wish.holder };
    let is_theirs = doc! { "$eq": ["$holder", &holder] };
    let is_over = doc! { "$lte": [{ "$ifNull": ["$until", "$$NOW"] }, "$$NOW"] };
    let next = doc! { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] };
    let until = doc! { "$add": ["$$NOW", length] };
    let is_granted = |then: Document, or: &str| doc! { "$cond": ["$is_granted", then, or] };
    vec![
        doc! { "$set": { "is_theirs": is_theirs, "is_granted": { "$or": [{ "$eq": ["$holder", &holder] }, is_over] } } },
        doc! { "$set": {
            "holder": is_granted(holder, "$holder"),
            "fence": { "$cond": ["$is_theirs", "$fence", is_granted(next, "$fence")] },
            "until": is_granted(until, "$until"),
        } },
        doc! { "$unset": ["is_theirs", "is_granted"] },
    ]
}

fn this(lease: &Lease) -> Attempt<Document> {
    Ok(doc! {
        "_id": lease.work.as_str(),
        "holder": &*lease.holder,
        "fence": i64::try_from(lease.fence)?,
    })
}

/// Takes hold of a lease, before anything else in the transaction. [`StoreError::LeaseLost`] where it is not the newest
/// any more. One whose time is over and that nobody else took is as good as before.
pub(super) async fn hold(tx: &mut Tx, lease: &Lease) -> Attempt<()> {
    let leases = tx.kept.leases.clone();
    let change = doc! { "$set": { "turn": ObjectId::new() } };
    match tx.change(&leases, this(lease)?, change).await? {
        Some(_) => Ok(()),
        None => Err(Failure::Final(StoreError::LeaseLost)),
    }
}

/// Gives a lease up; its number stays.
pub(super) async fn release(tx: &mut Tx, lease: &Lease) -> Attempt<()> {
    let leases = tx.kept.leases.clone();
    let change = doc! { "$unset": { "holder": "", "until": "" } };
    tx.change(&leases, this(lease)?, change).await?;
    Ok(())
}

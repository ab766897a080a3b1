//! Lists in pages: newest or oldest first, of everyone or of one owner.

use bson::{Document, doc, oid::ObjectId};
use futures::TryStreamExt as _;
use mongodb::Collection;
use probe_protocol::UserId;
use serde::de::DeserializeOwned;

use super::{
    error::Attempt,
    schema::{BY_ID, along},
};
use crate::store::Span;

/// How many documents at most, as the driver wants it; 0 would mean all.
pub(super) fn limit(documents: usize) -> i64 {
    i64::try_from(documents).unwrap_or(i64::MAX)
}

/// The same as the size of a batch: a page comes at once, and not the first hundred before the others.
pub(super) fn at_once(documents: usize) -> u32 {
    u32::try_from(documents).unwrap_or(u32::MAX)
}

/// A page of a list: at most `most` documents of a span that meet `condition`.
pub(super) async fn page<T, Id>(
    collection: &Collection<T>,
    condition: Document,
    owner: Option<UserId>,
    span: Span<Id>,
    most: usize,
    object_id: impl Fn(Id) -> ObjectId,
) -> Attempt<Vec<T>>
where
    T: DeserializeOwned + Send + Sync + Unpin,
{
    if most == 0 {
        return Ok(Vec::new());
    }
    let (beyond, order, id) = match span {
        Span::Before(id) => ("$lt", -1, id),
        Span::After(id) => ("$gt", 1, id),
    };
    let mut filter = condition;
    // Without a word MongoDB may walk along the identifiers of everybody's.
    let index = match owner {
        Some(owner) => {
            filter.insert("owner", owner.object_id());
            format!("{}_by_owner", collection.name())
        }
        None => BY_ID.to_owned(),
    };
    if let Some(id) = id {
        filter.insert("_id", doc! { beyond: object_id(id) });
    }
    let find = collection
        .find(filter)
        .sort(doc! { "_id": order })
        .hint(along(&index))
        .batch_size(at_once(most))
        .limit(limit(most));
    Ok(find.await?.try_collect().await?)
}

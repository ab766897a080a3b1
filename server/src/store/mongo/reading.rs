//! Reading an operation with what belongs to it.

use bson::doc;
use futures::TryStreamExt as _;
use probe_protocol::{OperationId, UserId};

use super::{
    Kept,
    documents::{AssignmentDoc, AssignmentId},
    error::Attempt,
    link::SENT_AT_ONCE,
};
use crate::domain::{Assignment, Operation};

/// An operation.
pub(super) async fn one(kept: &Kept, id: OperationId) -> Attempt<Option<Operation>> {
    let found = kept
        .operations
        .find_one(doc! { "_id": id.object_id() })
        .await?;
    found.map(|document| document.operation()).transpose()
}

/// Its assignments, in the order of their probes' ids.
pub(super) async fn assignments(kept: &Kept, id: OperationId) -> Attempt<Vec<Assignment>> {
    let find = kept
        .assignments
        .find(doc! { "_id": AssignmentId::of_operation(id) })
        .sort(doc! { "_id": 1 })
        .batch_size(SENT_AT_ONCE);
    let found: Vec<AssignmentDoc> = find.await?.try_collect().await?;
    Ok(found.iter().map(Assignment::from).collect())
}

/// An operation with its assignments; without them where `reader` may not have them.
pub(super) async fn whole(
    kept: &Kept,
    id: OperationId,
    reader: Option<UserId>,
) -> Attempt<Option<(Operation, Vec<Assignment>)>> {
    let Some(operation) = one(kept, id).await? else {
        return Ok(None);
    };
    let is_theirs = reader.is_none_or(|reader| reader == operation.plan.owner);
    let assignments = if is_theirs {
        assignments(kept, id).await?
    } else {
        Vec::new()
    };
    Ok(Some((operation, assignments)))
}

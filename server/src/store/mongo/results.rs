//! Reading results, in the order of their numbers.

use bson::{RawDocumentBuf, doc};
use bytes::Bytes;
use probe_protocol::{ContentFormat, OperationId};

use super::{
    Kept,
    documents::{RawDoc, RawOfDoc, ReadDoc, ResultId},
    error::Attempt,
    paging,
};
use crate::store::ResultRow;

/// Results with a number above `after`, in order, until there are `most` or their documents exceed `most_bytes`.
pub(super) async fn list(
    kept: &Kept,
    id: OperationId,
    after: u64,
    most: usize,
    most_bytes: usize,
) -> Attempt<Vec<ResultRow>> {
    // No number is above the largest that can be kept.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    if most == 0 {
        return Ok(found);
    }
    let mut cursor = kept
        .results
        .clone_with_type::<RawDocumentBuf>()
        .find(doc! { "_id.operation": id.object_id(), "seq": { "$gt": after } })
        .projection(doc! { "raw": 0 })
        .sort(doc! { "seq": 1 })
        .limit(paging::limit(most))
        .await?;
    let mut bytes = 0_usize;
    while bytes <= most_bytes && cursor.advance().await? {
        let document: ReadDoc<'_> = bson::deserialize_from_slice(cursor.current().as_bytes())?;
        let row = document.row()?;
        bytes = bytes.saturating_add(row.result.document.len());
        found.push(row);
    }
    Ok(found)
}

/// The raw bytes of one result.
pub(super) async fn raw(
    kept: &Kept,
    id: OperationId,
    seq: u64,
) -> Attempt<Option<(ContentFormat, Bytes)>> {
    let Ok(seq) = i64::try_from(seq) else {
        return Ok(None);
    };
    let found = kept
        .results
        .clone_with_type::<RawOfDoc>()
        .find_one(doc! { "_id.operation": id.object_id(), "seq": seq })
        .projection(doc! { "format": 1, "raw": 1 })
        .await?;
    let Some(RawOfDoc { id, format, raw }) = found else {
        return Ok(None);
    };
    let raw = match raw {
        Some(raw) => Some(raw.bytes.into()),
        None => apart(kept, id).await?,
    };
    Ok(raw.map(|raw| (format, raw)))
}

/// Raw bytes that stand apart.
pub(super) async fn apart(kept: &Kept, id: ResultId) -> Attempt<Option<Bytes>> {
    let found = kept.raws.find_one(doc! { "_id": id }).await?;
    Ok(found.map(RawDoc::bytes))
}

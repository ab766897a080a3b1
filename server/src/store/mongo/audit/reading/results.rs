//! Pages of results, without what fills them: documents and raw bytes.

use bson::{Bson, DateTime as Date, Document, doc};
use futures::TryStreamExt as _;
use probe_protocol::ContentFormat;
use serde::Deserialize;

use super::{
    super::super::{
        Kept,
        documents::{ResultId, time},
        error::Attempt,
        paging,
        schema::along,
    },
    Raw, behind, end, member, object_id, read, whole_number,
};
use crate::{
    domain::audit::{ClockFacts, ResultFacts},
    store::{Edge, Facts},
};

/// What is read of a result.
#[derive(Debug, Deserialize)]
struct ResultHead {
    #[serde(rename = "_id")]
    id: ResultId,
    seq: i64,
    #[serde(rename = "format")]
    _format: ContentFormat,
    #[serde(rename = "undecoded")]
    _undecoded: u32,
    #[serde(rename = "measured")]
    _measured: bool,
    rewarded: bool,
    received_at: Date,
    started_at: Date,
    #[serde(rename = "finished_at")]
    _finished_at: Date,
    clock: Option<ClockHead>,
}

#[derive(Debug, Deserialize)]
struct ClockHead {
    offset_us: i64,
    error_us: i64,
}

const HEAD: [&str; 9] = [
    "seq",
    "format",
    "undecoded",
    "measured",
    "rewarded",
    "received_at",
    "started_at",
    "finished_at",
    "clock",
];

fn result(head: ResultHead) -> Attempt<ResultFacts> {
    Ok(ResultFacts {
        operation: head.id.operation.into(),
        seq: head.seq,
        probe: head.id.probe.into(),
        rewarded: head.rewarded,
        started_at: time(head.started_at),
        received_at: time(head.received_at),
        clock: head.clock.map(|clock| ClockFacts {
            offset_us: clock.offset_us,
            error_us: clock.error_us,
        }),
    })
}

pub(in crate::store::mongo::audit) async fn results(
    kept: &Kept,
    after: Option<&Edge>,
    last: Option<&Edge>,
    limit: usize,
) -> Attempt<Facts<ResultFacts>> {
    let mut raw = Vec::new();
    if let Some(edge) = after.filter(|edge| edge.number < Edge::WHOLE) {
        // The rest of one operation.
        let rest = doc! { "_id.operation": object_id(edge)?, "seq": { "$gt": edge.number } };
        raw = numbered(kept, rest, limit).await?;
    }
    if raw.len() < limit {
        let mut between = behind(after)?;
        if let Some(last) = last {
            between.insert("$lte", object_id(last)?);
        }
        let more = doc! { "_id.operation": between };
        raw.extend(numbered(kept, more, limit - raw.len()).await?);
    }
    let edge = |raw: &Raw| {
        let seq = whole_number(raw.get("seq").ok().flatten());
        let id = member(raw, "operation")?.to_hex();
        // Numbers that are none come last among those of an operation.
        let number = seq.unwrap_or(Edge::WHOLE);
        Some(Edge { id, number })
    };
    let (read, unreadable) = read("results", &raw, result);
    Ok(Facts {
        read,
        unreadable,
        end: end(&raw, limit, edge),
    })
}

async fn numbered(kept: &Kept, filter: Document, limit: usize) -> Attempt<Vec<Raw>> {
    let results = kept.results.clone_with_type::<Raw>();
    let head: Document = HEAD
        .iter()
        .map(|field| ((*field).to_owned(), Bson::Int32(1)))
        .collect();
    let find = results
        .find(filter)
        .sort(doc! { "_id.operation": 1, "seq": 1 })
        .projection(head)
        .hint(along("results_by_number"))
        .limit(paging::limit(limit));
    Ok(find.await?.try_collect().await?)
}

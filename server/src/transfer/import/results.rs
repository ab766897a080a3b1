//! Results of an old operation, which lay inside it.

use std::collections::{HashMap, HashSet};

use bson::raw::{RawArray, RawBsonRef};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use probe_protocol::{ContentFormat, Kind, OperationId, ProbeId, ResultCode};

use super::{
    notes::{Count, Notes, Sort},
    raw::{self, Members, Unshowable},
    times,
};
use crate::{
    decode::{self, Readout},
    store::{NewResult, ResultRow},
};

/// The operation that they belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// Which.
    pub(super) id: OperationId,
    /// What it measures with.
    pub(super) kind: Kind,
    /// When it was created.
    pub(super) created_at: DateTime<Utc>,
    /// When it is imported.
    pub(super) now: DateTime<Utc>,
}

/// What was taken of them.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Numbered 1, 2, 3 … in the order in which they came.
    pub(super) rows: Vec<ResultRow>,
    /// How many each probe has.
    pub(super) of_probe: HashMap<ProbeId, u32>,
    /// What became of them.
    pub(super) count: Count,
}

/// Takes the results of these probes.
pub(super) fn take(
    list: Option<RawBsonRef<'_>>,
    owner: Owner,
    probes: &HashSet<ProbeId>,
    notes: &mut Notes<'_>,
) -> Results {
    let mut results = Results::default();
    let mut seen = HashSet::new();
    let Some(list) = as_list(list) else {
        return results;
    };
    for (index, item) in list.into_iter().enumerate() {
        let read = item.map_err(|_| "is damaged").and_then(|item| {
            let (probe, code, document) = parts(item)?;
            if !probes.contains(&probe) {
                return Err("is of a probe that does not belong to the operation");
            }
            if !seen.insert((probe, code.clone())) {
                return Err("is there twice");
            }
            let (readout, run) = read(document, owner, index, notes)?;
            Ok((probe, code, readout, run))
        });
        match read {
            Ok((probe, code, readout, run)) => {
                results.count.taken();
                *results.of_probe.entry(probe).or_default() += 1;
                results.rows.push(ResultRow {
                    seq: results.count.taken,
                    probe,
                    // It was stored soon after; nobody knows when.
                    received_at: run.finished_at,
                    // The reward is part of the owner's balance, of which no entry tells.
                    rewarded: false,
                    result: kept(code, readout, run),
                });
            }
            Err(why) => {
                results.count.left();
                note(notes, Sort::Result, owner.id, index, why);
            }
        }
    }
    results
}

/// How many there are, when none is taken.
pub(super) fn count(list: Option<RawBsonRef<'_>>) -> u64 {
    as_list(list).map_or(0, |list| list.into_iter().count() as u64)
}

fn as_list(value: Option<RawBsonRef<'_>>) -> Option<&RawArray> {
    value?.as_array()
}

fn note(notes: &mut Notes<'_>, sort: Sort, id: OperationId, index: usize, why: &str) {
    let number = index.saturating_add(1);
    notes.add(sort, || {
        let what = match sort {
            Sort::Document => "is taken without its document",
            _ => "is not taken",
        };
        format!("operation {id}: result {number} {why}; it {what}")
    });
}

type Parts<'a> = (ProbeId, ResultCode, RawBsonRef<'a>);

fn parts(item: RawBsonRef<'_>) -> Result<Parts<'_>, &'static str> {
    let members = item.as_document().ok_or("is no document")?;
    let members = Members::of(members).map_err(|_| "is damaged")?;
    let probe = members.id("probe").ok_or("names no probe")?;
    let code = members.text("unique_code").ok_or("has no code")?;
    let code = ResultCode::try_from(code.to_owned())
        .map_err(|_| "has a code that is none of this system")?;
    let document = members.get("results");
    let document = document
        .filter(|it| matches!(it, RawBsonRef::Array(_) | RawBsonRef::String(_)))
        .ok_or("is neither a list nor a text")?;
    Ok((probe.into(), code, document))
}

fn read(
    document: RawBsonRef<'_>,
    owner: Owner,
    index: usize,
    notes: &mut Notes<'_>,
) -> Result<(Readout, times::Run), &'static str> {
    let document = match raw::json(document) {
        Ok(document) => document,
        Err(Unshowable::Damaged) => return Err("is damaged"),
        Err(why @ (Unshowable::Deep | Unshowable::Many)) => {
            let why = why.to_string();
            note(notes, Sort::Document, owner.id, index, &why);
            let run = times::unknown(owner.created_at);
            return Ok((decode::unreadable(owner.kind, &why), run));
        }
    };
    let readout = decode::read_document(owner.kind, &document);
    if readout.undecoded > 0 {
        note(notes, Sort::Document, owner.id, index, "is too long");
    }
    Ok((readout, times::of(&document, owner.created_at, owner.now)))
}

fn kept(code: ResultCode, readout: Readout, run: times::Run) -> NewResult {
    NewResult {
        code,
        format: ContentFormat::Json,
        // What the probe sent was never kept.
        raw: Bytes::new(),
        document: readout.document,
        summary: readout.summary,
        undecoded: readout.undecoded,
        measured: readout.measured,
        started_at: run.started_at,
        finished_at: run.finished_at,
        clock: None,
    }
}

#[cfg(test)]
mod tests;

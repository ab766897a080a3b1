//! What is written of assignments. Most of a batch change alike, those that one operation was sent to at the same moment and
//! those of which a result was counted, and one statement for all of them costs a fraction of one for each.

use std::collections::HashMap;

use bson::{Bson, DateTime as Date, Document, doc};
use probe_protocol::OperationId;

use super::{Held, Terms};
use crate::{
    domain::{Assignment, AssignmentState, lifecycle},
    store::mongo::{
        documents::{AssignmentId, date},
        link::Alike,
    },
};

/// One change for all that change alike.
pub(super) fn of<'h>(
    operations: &HashMap<OperationId, Terms>,
    assignments: impl Iterator<Item = &'h Held>,
) -> Vec<Alike> {
    let mut groups: HashMap<Changed<'_>, Vec<Bson>> = HashMap::new();
    for held in assignments {
        let it = &held.assignment;
        let terms = operations.get(&it.operation).filter(|_| held.changed);
        let changed = Changed {
            moved: terms.map(|terms| Moved::of(it, terms)),
            counted: held.counted,
        };
        if changed.moved.is_some() || changed.counted > 0 {
            let id = AssignmentId::of(it.operation, it.probe);
            groups.entry(changed).or_default().push(id.into());
        }
    }
    let alike = |(changed, ids): (Changed<'_>, Vec<Bson>)| Alike {
        ids,
        change: changed.document(),
    };
    groups.into_iter().map(alike).collect()
}

/// What became different; the same for all that change alike.
#[derive(PartialEq, Eq, Hash)]
struct Changed<'a> {
    moved: Option<Moved<'a>>,
    /// Results that were counted: what most results change, and no index has it.
    counted: u32,
}

/// What a step may change, as it is then.
#[derive(PartialEq, Eq, Hash)]
struct Moved<'a> {
    state: AssignmentState,
    planned_runs: u32,
    delivered_at: Option<Date>,
    accepted_at: Option<Date>,
    ended_at: Option<Date>,
    ends_at: Option<Date>,
    reason: Option<&'a str>,
}

impl<'a> Moved<'a> {
    fn of(it: &'a Assignment, terms: &Terms) -> Self {
        let ends_at = lifecycle::open_until(it.state, terms.expires_at, terms.closes_at);
        Self {
            state: it.state,
            planned_runs: it.planned_runs,
            delivered_at: it.delivered_at.map(date),
            accepted_at: it.accepted_at.map(date),
            ended_at: it.ended_at.map(date),
            ends_at: (!it.state.is_ended()).then(|| date(ends_at)),
            reason: it.reason.as_deref(),
        }
    }
}

impl Changed<'_> {
    fn document(&self) -> Document {
        let mut change = Document::new();
        if let Some(it) = &self.moved {
            let mut set = doc! { "state": it.state.as_str(), "planned_runs": it.planned_runs };
            let mut unset = Document::new();
            let known = [
                ("delivered_at", it.delivered_at.map(Bson::from)),
                ("accepted_at", it.accepted_at.map(Bson::from)),
                ("ended_at", it.ended_at.map(Bson::from)),
                ("ends_at", it.ends_at.map(Bson::from)),
                ("reason", it.reason.map(Bson::from)),
            ];
            for (name, value) in known {
                match value {
                    Some(value) => set.insert(name, value),
                    None => unset.insert(name, ""),
                };
            }
            change.extend(
                [("$set", set), ("$unset", unset)].map(|(way, of)| (way.to_owned(), of.into())),
            );
        }
        if self.counted > 0 {
            change.insert("$inc", doc! { "results": i64::from(self.counted) });
        }
        change
    }
}

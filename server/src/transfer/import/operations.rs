//! Operations of the old database, each with its results.
//!
//! Some run on: agents hold them and go on measuring. Those become what the hub would have made of them itself, held to
//! the same whitelist, and accepted on all their probes. All others are over and kept for their results; what of their
//! parameters no probe would ever be sent is shown as it was written and nothing else.

use std::collections::HashSet;

use bson::raw::RawDocument;
use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Kind, OperationId, ProbeId, ResultFormat, TargetPolicy, UserId};
use serde_json::{Map, Value, json};

use super::{
    notes::{Count, Notes, Sort, quoted},
    prices,
    raw::{self, Members, number},
    results::{self, Results},
};
use crate::{
    domain::{
        Assignment, AssignmentState, Offline, Operation, Order, Plan, credits,
        lifecycle::open_until,
    },
    old_words::{
        asking::{self, MOST_SENT},
        remains::{self, Remains},
        stop_time,
    },
    store::Record,
};

/// What operations are held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What may be measured.
    pub(crate) policy: TargetPolicy,
    /// How long after a stop time results count.
    pub(crate) grace: TimeDelta,
    /// The time of the import, to the millisecond.
    pub(crate) now: DateTime<Utc>,
}

/// What operations may name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Users that are there.
    pub(super) users: HashSet<UserId>,
    /// Probes that are there.
    pub(super) probes: HashSet<ProbeId>,
}

/// What an operation is made of.
struct Old {
    id: OperationId,
    owner: UserId,
    kind: Kind,
    created_at: DateTime<Utc>,
    /// As they were sent; empty where they cannot be shown.
    params: Map<String, Value>,
    /// Whether they are kept as they were sent.
    is_shown: bool,
    result_format: String,
    /// What was paid.
    credits: f64,
    /// Probes that were paid for.
    paid_probes: usize,
    /// Those of them that are there, each once.
    probes: Vec<ProbeId>,
}

/// What it becomes, before its results are known.
struct Draft {
    plan: Plan,
    /// When it ended; none where it runs on.
    ended_at: Option<DateTime<Utc>>,
}

/// Its identifier.
pub(super) fn id(document: &RawDocument) -> Option<OperationId> {
    let id = document.get_object_id("_id").ok()?;
    Some(id.into())
}

/// How many results lie in it.
pub(super) fn count_results(document: &RawDocument) -> u64 {
    Members::of(document).map_or(0, |members| results::count(members.get("results")))
}

/// Converts an operation: the records of it and what became of its results. No records where it cannot be taken.
pub(super) fn convert(
    document: &RawDocument,
    known: &Known,
    rules: Rules,
    notes: &mut Notes<'_>,
) -> (Vec<Record>, Count) {
    let members = Members::of(document);
    let old = members
        .as_ref()
        .map_err(|_| "an operation is damaged".to_owned())
        .and_then(|members| read(members, known, notes));
    let (members, old) = match (&members, old) {
        (Ok(members), Ok(old)) => (members, old),
        (members, old) => {
            let why = old.err().unwrap_or_default();
            notes.add(Sort::NotTaken, || format!("{why}; it is not taken"));
            let list = members.as_ref().ok().and_then(|it| it.get("results"));
            let found = results::count(list);
            let left = Count {
                found,
                left: found,
                ..Count::default()
            };
            return (Vec::new(), left);
        }
    };
    let draft = draft(&old, rules, notes);
    let owner = results::Owner {
        id: old.id,
        kind: old.kind,
        created_at: old.created_at,
        now: rules.now,
    };
    let probes = old.probes.iter().copied().collect();
    let results = results::take(members.get("results"), owner, &probes, notes);
    let count = results.count;
    (records(&old, draft, results, notes), count)
}

fn read(members: &Members<'_>, known: &Known, notes: &mut Notes<'_>) -> Result<Old, String> {
    let object_id = members.id("_id").ok_or("an operation has no ObjectId")?;
    let id = OperationId::from(object_id);
    let word = members.text("operation");
    let kind = Kind::ALL.iter().find(|kind| word == Some(kind.as_str()));
    let kind = *kind.ok_or_else(|| {
        let word = word.map_or("nothing".to_owned(), quoted);
        format!("operation {id}: {word} is no kind of measurement")
    })?;
    let owner = members.id("owner").map(UserId::from);
    let owner = owner
        .filter(|owner| known.users.contains(owner))
        .ok_or_else(|| format!("operation {id}: its owner is not there"))?;
    let (paid_probes, probes) = probes(id, members, known, notes);
    let params = members.get("params").map(raw::json);
    let (params, is_shown) = match params {
        Some(Ok(Value::Object(params))) => {
            let length = json!(params).to_string().len();
            let fits = length <= MOST_SENT;
            if !fits {
                let why = format!("have {length} bytes");
                note_params(notes, id, &why);
            }
            (params, fits)
        }
        Some(Err(why)) => {
            note_params(notes, id, &why.to_string());
            (Map::new(), false)
        }
        _ => (Map::new(), true),
    };
    Ok(Old {
        id,
        owner,
        kind,
        created_at: raw::made_at(object_id),
        params,
        is_shown,
        result_format: members.text("result_format").unwrap_or("").to_owned(),
        credits: members.get("credits").and_then(number).unwrap_or(0.0),
        paid_probes,
        probes,
    })
}

fn note_params(notes: &mut Notes<'_>, id: OperationId, why: &str) {
    notes.add(Sort::Parameters, || {
        format!("operation {id}: its parameters {why} and are shown as far as they could be read")
    });
}

/// How many probes it names, and those of them that are there.
fn probes(
    id: OperationId,
    members: &Members<'_>,
    known: &Known,
    notes: &mut Notes<'_>,
) -> (usize, Vec<ProbeId>) {
    let named: Vec<Option<ProbeId>> = members
        .list("probes")
        .into_iter()
        .flatten()
        .map(|item| item.ok()?.as_object_id().map(ProbeId::from))
        .collect();
    let mut there: Vec<ProbeId> = named
        .iter()
        .flatten()
        .copied()
        .filter(|probe| known.probes.contains(probe))
        .collect();
    there.sort_unstable();
    there.dedup();
    let missing = named.len().saturating_sub(there.len());
    if missing > 0 || there.is_empty() {
        notes.add(Sort::Probes, || {
            let count = named.len();
            format!("operation {id}: {missing} of its {count} probes are not there")
        });
    }
    (named.len(), there)
}

/// What it becomes, by what the hub would make of it when it was created.
fn draft(old: &Old, rules: Rules, notes: &mut Notes<'_>) -> Draft {
    let body = json!({
        "params": old.params, "probes": old.probes, "result_format": old.result_format,
    });
    let order = |policy| asking::read(old.kind, &body, policy, old.created_at).ok();
    let planned = |order: Order| Plan::of(order, old.id, old.owner, rules.grace, old.created_at);
    let plan = order(TargetPolicy::Any).and_then(|order| planned(order).ok());
    let (mut plan, stop, is_order) = match plan {
        Some(plan) => {
            let stop = plan.expires_at;
            (plan, stop, true)
        }
        None => {
            let stop = old.params.get("stop_time").and_then(Value::as_str);
            let stop = stop.and_then(stop_time::parse).unwrap_or(old.created_at);
            (remainder(old), stop, false)
        }
    };
    if !old.is_shown {
        plan.as_sent = None;
    }
    let paid = prices::paid_runs(old.credits, old.paid_probes, plan.run_price);
    let is_over = stop <= rules.now;
    if is_order && !is_over && order(rules.policy).is_some() {
        plan.planned_runs = plan.planned_runs.max(paid);
        return Draft {
            plan,
            ended_at: None,
        };
    }
    if !is_over {
        notes.add(Sort::Running, || {
            let id = old.id;
            format!(
                "operation {id}: is not over, but nothing that this hub would send to probes; its further results are not \
                 taken"
            )
        });
    }
    let ended_at = stop.min(rules.now).max(old.created_at);
    plan.planned_runs = paid;
    plan.expires_at = ended_at;
    // What an agent sends for a while after the end still counts.
    let grace = if is_over {
        rules.grace
    } else {
        TimeDelta::zero()
    };
    plan.closes_at = ended_at.checked_add_signed(grace).unwrap_or(ended_at);
    Draft {
        plan,
        ended_at: Some(ended_at),
    }
}

/// A plan of one that never could be an order: for people, since nothing runs by it.
fn remainder(old: &Old) -> Plan {
    let Remains { targets, schedule } = Remains::of(old.kind, &old.params);
    let is_dump = old.kind == Kind::Traceroute && old.result_format == "dump";
    Plan {
        id: old.id,
        owner: old.owner,
        kind: old.kind,
        params: json!({}),
        targets,
        schedule,
        result_format: if is_dump {
            ResultFormat::Dump
        } else {
            ResultFormat::Json
        },
        offline: Offline::Skip,
        run_price: credits::run_price(old.kind, remains::destinations(&old.params)),
        planned_runs: 1,
        created_at: old.created_at,
        expires_at: old.created_at,
        closes_at: old.created_at,
        as_sent: Some(Value::Object(old.params.clone())),
    }
}

/// All that is written for an operation.
fn records(old: &Old, draft: Draft, results: Results, notes: &mut Notes<'_>) -> Vec<Record> {
    let Draft { mut plan, ended_at } = draft;
    let results_of = |probe: &ProbeId| results.of_probe.get(probe).copied().unwrap_or(0);
    let runs_of = |probe: &ProbeId| results_of(probe).max(plan.planned_runs);
    let charged = prices::total(plan.run_price, old.probes.iter().map(runs_of));
    let runs: Vec<u32> = old.probes.iter().map(runs_of).collect();
    if charged.is_none() {
        plan.run_price = 0;
    }
    let charged = charged.unwrap_or(0);
    if charged as f64 != old.credits {
        notes.add(Sort::Price, || {
            let (id, was) = (old.id, old.credits);
            format!("operation {id}: cost {was} credits and is shown with {charged}")
        });
    }
    if ended_at.is_some() {
        // Results that are kept count.
        let begun = results.rows.iter().map(|row| row.result.started_at);
        plan.closes_at = begun.fold(plan.closes_at, Ord::max);
    }
    let open_assignments = match ended_at {
        None => u32::try_from(old.probes.len()).unwrap_or(u32::MAX),
        Some(_) => 0,
    };
    let mut records = Vec::with_capacity(1 + old.probes.len() + results.rows.len());
    let mut assignments = Vec::with_capacity(old.probes.len());
    for (probe, planned_runs) in old.probes.iter().zip(runs) {
        assignments.push(assignment(
            &plan,
            *probe,
            planned_runs,
            results_of(probe),
            ended_at,
        ));
    }
    records.push(Record::Operation {
        operation: Box::new(Operation {
            plan,
            charged,
            refunded: 0,
            last_seq: results.count.taken,
            cancelled_at: None,
            ended_at,
        }),
        open_assignments,
    });
    records.extend(assignments);
    records.extend(results.rows.into_iter().map(|row| Record::Result {
        operation: old.id,
        row: Box::new(row),
    }));
    records
}

fn assignment(
    plan: &Plan,
    probe: ProbeId,
    planned_runs: u32,
    results: u32,
    ended_at: Option<DateTime<Utc>>,
) -> Record {
    let state = match (ended_at, &plan.schedule) {
        (None, _) => AssignmentState::Accepted,
        (Some(_), Some(_)) => AssignmentState::Finished,
        // Nothing would bound what still counts of it.
        (Some(_), None) => AssignmentState::Cancelled,
    };
    let ends_at = open_until(state, plan.expires_at, plan.closes_at);
    Record::Assignment {
        assignment: Assignment {
            operation: plan.id,
            probe,
            state,
            reason: None,
            planned_runs,
            results,
            // It was sent when it was created, and nobody asked what came of it.
            delivered_at: Some(plan.created_at),
            accepted_at: Some(plan.created_at),
            ended_at,
        },
        created_at: plan.created_at,
        ends_at: ended_at.is_none().then_some(ends_at),
    }
}

#[cfg(test)]
mod tests;

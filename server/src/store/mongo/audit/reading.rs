//! Pages of facts. Documents are read as bytes first, so that one that is not as it must be does not hide the others.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::{Collection, action::Find};
use probe_protocol::{OperationId, ProbeId, UserId};
use serde::{Deserialize, de::DeserializeOwned};

use super::super::{
    Kept,
    documents::{
        AssignmentDoc, AssignmentId, LedgerDoc, LedgerId, OnlyId, OperationDoc, ProbeDoc, UserDoc,
        time,
    },
    error::{Attempt, Failure},
    link::Tx,
    paging,
    schema::{BY_ID, along},
};
use crate::{
    domain::audit::{AssignmentFacts, EntryFacts, OperationFacts, ProbeFacts, Thing, UserFacts},
    store::{Edge, Facts, OperationsFacts, StoreError, Unreadable},
};

mod results;

pub(super) use results::results;

type Raw = RawDocumentBuf;

fn object_id(edge: &Edge) -> Attempt<ObjectId> {
    let wrong = || StoreError::Corrupt(format!("{} is no identifier", edge.id));
    Ok(ObjectId::parse_str(&edge.id).map_err(|_| wrong())?)
}

/// The condition for identifiers behind an edge.
fn behind(after: Option<&Edge>) -> Attempt<Document> {
    Ok(match after {
        Some(edge) => doc! { "$gt": object_id(edge)? },
        None => doc! { "$gte": ObjectId::from_bytes([0; 12]) },
    })
}

/// What identifies a document: a member of its `_id`, or all of it.
fn member(raw: &Raw, name: &str) -> Option<ObjectId> {
    match raw.get("_id").ok()?? {
        RawBsonRef::ObjectId(id) if name.is_empty() => Some(id),
        RawBsonRef::Document(id) => id.get_object_id(name).ok(),
        _ => None,
    }
}

fn whole_number(value: Option<RawBsonRef<'_>>) -> Option<i64> {
    match value? {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        _ => None,
    }
}

fn unread(part: &str, raw: &Raw, why: &str) -> Unreadable {
    let id = raw.get("_id").ok().flatten();
    let id = id.and_then(|id| Bson::try_from(id).ok());
    let name = match id {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(id) => id.to_string(),
        None => "without a name".to_owned(),
    };
    let named = |name: &str| member(raw, name);
    let mut it = Unreadable::of(format!("{part} {name}"), why);
    match part {
        "users" => it.user = named("").map(UserId::from),
        "probes" => it.probe = named("").map(ProbeId::from),
        "operations" => it.operation = named("").map(OperationId::from),
        "ledger" => {
            it.user = named("user").map(UserId::from);
            let balance = whole_number(raw.get("balance").ok().flatten());
            it.entry = number(raw).map(|number| (number, balance));
        }
        _ => {
            it.operation = named("operation").map(OperationId::from);
            it.probe = named("probe").map(ProbeId::from);
        }
    }
    it
}

/// The number in the name of an entry.
fn number(raw: &Raw) -> Option<i64> {
    let id = raw.get_document("_id").ok()?;
    whole_number(id.get("number").ok().flatten())
}

/// What documents say, and those that say nothing.
fn read<D: DeserializeOwned, T>(
    part: &str,
    raw: &[Raw],
    facts: impl Fn(D) -> Attempt<T>,
) -> (Vec<T>, Vec<Unreadable>) {
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    for raw in raw {
        let document = bson::deserialize_from_slice(raw.as_bytes());
        match document.map_err(Failure::from).and_then(&facts) {
            Ok(facts) => read.push(facts),
            Err(failure) => unreadable.push(unread(part, raw, &failure.to_string())),
        }
    }
    (read, unreadable)
}

/// The end of a full page.
fn end(raw: &[Raw], limit: usize, edge: impl Fn(&Raw) -> Option<Edge>) -> Option<Edge> {
    if raw.len() < limit {
        return None;
    }
    raw.iter().rev().find_map(edge)
}

fn by_object_id(raw: &Raw) -> Option<Edge> {
    member(raw, "").map(|id| Edge::behind(id.to_hex()))
}

/// Documents behind an edge in the order of their identifiers.
fn next<'a, T: Send + Sync>(
    raw: &'a Collection<T>,
    after: Option<&Edge>,
    limit: usize,
) -> Attempt<Find<'a, T>> {
    Ok(raw
        .find(doc! { "_id": behind(after)? })
        .sort(doc! { "_id": 1 })
        .hint(along(BY_ID))
        .limit(paging::limit(limit)))
}

/// A user's entry, as far as a balance goes.
#[derive(Debug, Deserialize)]
struct LeavesDoc {
    #[serde(rename = "_id")]
    id: LedgerId,
    balance: i64,
}

pub(super) async fn users(
    tx: &mut Tx,
    after: Option<&Edge>,
    limit: usize,
) -> Attempt<Facts<UserFacts>> {
    let users = tx.kept.users.clone_with_type::<Raw>();
    let raw = tx.all(next(&users, after, limit)?).await?;
    let (found, unreadable) = read("users", &raw, |user: UserDoc| Ok(user));
    // The newest entry of each, and one that is newer than that.
    let names = found.iter().flat_map(|user| {
        [0, 1].map(
            |more| doc! { "user": user.id, "number": user.ledger_entries.saturating_add(more) },
        )
    });
    let names: Vec<Document> = names.collect();
    let entries = tx.kept.ledger.clone_with_type::<LeavesDoc>();
    let entries = entries
        .find(doc! { "_id": { "$in": names } })
        .projection(doc! { "balance": 1 })
        .hint(along(BY_ID));
    let mut newest: HashMap<ObjectId, (i64, i64)> = HashMap::new();
    for entry in tx.all(entries).await? {
        let known = newest.entry(entry.id.user).or_default();
        *known = (*known).max((entry.id.number, entry.balance));
    }
    let read = found.iter().map(|user| UserFacts {
        id: user.id.into(),
        credits: user.credits,
        entries: Some(user.ledger_entries),
        newest: newest.get(&user.id).copied(),
    });
    Ok(Facts {
        read: read.collect(),
        unreadable,
        end: end(&raw, limit, by_object_id),
    })
}

pub(super) async fn probes(
    kept: &Kept,
    after: Option<&Edge>,
    limit: usize,
) -> Attempt<Facts<ProbeFacts>> {
    let probes = kept.probes.clone_with_type::<Raw>();
    let raw: Vec<Raw> = next(&probes, after, limit)?.await?.try_collect().await?;
    let (read, unreadable) = read("probes", &raw, |probe: ProbeDoc| {
        Ok(ProbeFacts {
            id: probe.id.into(),
            owner: probe.owner.into(),
            load: None,
        })
    });
    Ok(Facts {
        read,
        unreadable,
        end: end(&raw, limit, by_object_id),
    })
}

pub(super) async fn operations(
    tx: &mut Tx,
    after: Option<&Edge>,
    limit: usize,
) -> Attempt<OperationsFacts> {
    let operations = tx.kept.operations.clone_with_type::<Raw>();
    let raw = tx.all(next(&operations, after, limit)?).await?;
    let (found, unreadable) = read("operations", &raw, operation);
    let operations = Facts {
        read: found,
        unreadable,
        end: end(&raw, limit, by_object_id),
    };
    let all_of = |edge: &Edge| Attempt::Ok(AssignmentId::behind(object_id(edge)?.into()));
    let mut between = doc! { "$gt": after.map(all_of).transpose()?.unwrap_or_default() };
    if let Some(end) = &operations.end {
        between.insert("$lt", all_of(end)?);
    }
    let assignments = tx.kept.assignments.clone_with_type::<Raw>();
    let assignments = assignments
        .find(doc! { "_id": between })
        .sort(doc! { "_id": 1 })
        .hint(along(BY_ID));
    let raw = tx.all(assignments).await?;
    let (found, unreadable) = read("assignments", &raw, assignment);
    let assignments = Facts {
        read: found,
        unreadable,
        end: None,
    };
    Ok((operations, assignments))
}

fn operation(document: OperationDoc) -> Attempt<OperationFacts> {
    let (last_seq, open_assignments) = (document.last_seq, document.open_assignments);
    // All of it, as a hub reads it.
    let whole = document.operation()?;
    Ok(OperationFacts {
        id: whole.plan.id,
        owner: whole.plan.owner,
        run_price: whole.plan.run_price.into(),
        charged: whole.charged,
        refunded: whole.refunded,
        last_seq,
        open_assignments,
        created_at: whole.plan.created_at,
        expires_at: whole.plan.expires_at,
        closes_at: whole.plan.closes_at,
        is_repeated: whole.plan.schedule.is_some(),
        ended_at: whole.ended_at,
    })
}

fn assignment(document: AssignmentDoc) -> Attempt<AssignmentFacts> {
    Ok(AssignmentFacts {
        operation: document.id.operation.into(),
        probe: document.id.probe.into(),
        state: document.state,
        planned_runs: document.planned_runs.into(),
        results: document.results.into(),
        run_price: Some(document.run_price.into()),
        ended_at: document.ended_at.map(time),
        ends_at: document.ends_at.map(time),
    })
}

pub(super) async fn entries(
    kept: &Kept,
    after: Option<&Edge>,
    limit: usize,
) -> Attempt<Facts<EntryFacts>> {
    let behind = match after {
        Some(edge) => doc! { "$gt": { "user": object_id(edge)?, "number": edge.number } },
        None => doc! { "$gte": { "user": ObjectId::from_bytes([0; 12]) } },
    };
    let ledger = kept.ledger.clone_with_type::<Raw>();
    let find = ledger
        .find(doc! { "_id": behind })
        .sort(doc! { "_id": 1 })
        .hint(along(BY_ID))
        .limit(paging::limit(limit));
    let raw: Vec<Raw> = find.await?.try_collect().await?;
    let edge = |raw: &Raw| {
        let id = member(raw, "user")?.to_hex();
        number(raw).map(|number| Edge { id, number })
    };
    let (read, unreadable) = read("ledger", &raw, |entry: LedgerDoc| {
        Ok(EntryFacts {
            user: entry.id.user.into(),
            number: entry.id.number,
            amount: entry.amount,
            balance: entry.balance,
            reason: entry.reason,
            operation: entry.operation.map(Into::into),
            probe: entry.probe.map(Into::into),
        })
    });
    Ok(Facts {
        read,
        unreadable,
        end: end(&raw, limit, edge),
    })
}

/// The entries of a user, as a condition on their names.
pub(super) fn of_user(user: UserId, above: i64) -> Document {
    let user = user.object_id();
    doc! {
        "$gt": { "user": user, "number": above },
        "$lte": { "user": user, "number": Bson::MaxKey },
    }
}

pub(super) async fn first_entry(kept: &Kept, user: UserId) -> Attempt<Option<DateTime<Utc>>> {
    let first = kept
        .ledger
        .find_one(doc! { "_id": of_user(user, i64::MIN) })
        .sort(doc! { "_id": 1 })
        .hint(along(BY_ID));
    Ok(first.await?.map(|entry| time(entry.at)))
}

pub(super) async fn absent(kept: &Kept, things: &[Thing]) -> Attempt<Vec<Thing>> {
    let id = |thing: &Thing| match thing {
        Thing::User(id) => (kept.users.name(), id.object_id()),
        Thing::Probe(id) => (kept.probes.name(), id.object_id()),
        Thing::Operation(id) => (kept.operations.name(), id.object_id()),
    };
    let mut wanted: HashMap<&str, Vec<ObjectId>> = HashMap::new();
    for thing in things {
        let (name, id) = id(thing);
        wanted.entry(name).or_default().push(id);
    }
    let mut there: HashSet<(&str, ObjectId)> = HashSet::new();
    for (name, ids) in wanted {
        let collection: Collection<OnlyId<ObjectId>> = kept.database.collection(name);
        let find = collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "_id": 1 })
            .hint(along(BY_ID));
        let found: Vec<OnlyId<ObjectId>> = find.await?.try_collect().await?;
        there.extend(found.into_iter().map(|only| (name, only.id)));
    }
    let is_absent = |thing: &&Thing| !there.contains(&id(thing));
    Ok(things.iter().filter(is_absent).copied().collect())
}

//! What has one right answer is worked out from what else is there, and written, in one transaction. Whoever changes the
//! same thing meanwhile writes the same document, so one of the two begins anew.

use bson::{Bson, DateTime as Date, Document, doc, oid::ObjectId};
use probe_protocol::{OperationId, ProbeId, UserId};
use serde::Deserialize;

use super::{
    super::{
        documents::{AssignmentDoc, AssignmentId, date, time},
        error::Attempt,
        link::Tx,
        paging,
        schema::{BY_ID, along},
    },
    reading::of_user,
};
use crate::domain::{audit::Repair, lifecycle};

/// Entries of a ledger that are added up at a time.
const ENTRIES_AT_ONCE: usize = 10_000;

pub(super) async fn repair(tx: &mut Tx, repair: Repair) -> Attempt<Option<String>> {
    match repair {
        Repair::Results(operation, probe) => results(tx, operation, probe).await,
        Repair::Ends(operation, probe) => ends(tx, operation, probe).await,
        Repair::Open(operation) => open(tx, operation).await,
        Repair::Balance(user) => credits(tx, user).await,
        // It is not kept.
        Repair::Load(_) => Ok(None),
    }
}

#[derive(Debug, Deserialize)]
struct TermsHead {
    last_seq: i64,
    expires_at: Date,
    closes_at: Date,
}

async fn terms(tx: &mut Tx, operation: OperationId) -> Attempt<Option<TermsHead>> {
    let operations = tx.kept.operations.clone_with_type::<TermsHead>();
    tx.one(&operations, doc! { "_id": operation.object_id() })
        .await
}

#[derive(Debug, Deserialize)]
struct CountDoc {
    count: i64,
    last: i64,
}

/// How many results there are, and the largest number among them.
async fn count(tx: &mut Tx, filter: Document, index: &str) -> Attempt<CountDoc> {
    let results = tx.kept.results.clone();
    let group = doc! { "_id": Bson::Null, "count": { "$sum": 1_i64 }, "last": { "$max": "$seq" } };
    let counting = results
        .aggregate([doc! { "$match": filter }, doc! { "$group": group }])
        .hint(along(index))
        .with_type::<CountDoc>();
    let found = tx.sum(counting).await?;
    let none = CountDoc { count: 0, last: 0 };
    Ok(found.into_iter().next().unwrap_or(none))
}

async fn results(tx: &mut Tx, operation: OperationId, probe: ProbeId) -> Attempt<Option<String>> {
    let Some(terms) = terms(tx, operation).await? else {
        return Ok(None);
    };
    let all = doc! { "_id.operation": operation.object_id() };
    let all = count(tx, all, "results_by_number").await?;
    if all.count != terms.last_seq || all.last != terms.last_seq {
        return Ok(None);
    }
    let (operation_id, probe_id) = (operation.object_id(), probe.object_id());
    let code = |code: Bson| doc! { "operation": operation_id, "probe": probe_id, "code": code };
    let of_probe = doc! { "_id": { "$gt": code(Bson::MinKey), "$lt": code(Bson::MaxKey) } };
    let there = count(tx, of_probe, BY_ID).await?.count;
    let assignments = tx.kept.assignments.clone();
    let wrong = doc! {
        "_id": AssignmentId::of(operation, probe),
        "results": { "$ne": there },
        "planned_runs": { "$gte": there },
    };
    let set = doc! { "$set": { "results": there } };
    let changed = tx.change(&assignments, wrong, set).await?;
    Ok(changed.map(|_| {
        format!("the assignment of operation {operation} to probe {probe} counts {there} results")
    }))
}

async fn ends(tx: &mut Tx, operation: OperationId, probe: ProbeId) -> Attempt<Option<String>> {
    let assignments = tx.kept.assignments.clone();
    let id = doc! { "_id": AssignmentId::of(operation, probe) };
    let found = tx.one(&assignments, id.clone()).await?;
    let (Some(AssignmentDoc { state, ends_at, .. }), Some(terms)) =
        (found, terms(tx, operation).await?)
    else {
        return Ok(None);
    };
    let change = if state.is_ended() {
        doc! { "$unset": { "ends_at": "" } }
    } else {
        let at = lifecycle::open_until(state, time(terms.expires_at), time(terms.closes_at));
        if ends_at == Some(date(at)) {
            return Ok(None);
        }
        doc! { "$set": { "ends_at": date(at) } }
    };
    let changed = tx.change(&assignments, id, change).await?;
    Ok(changed.map(|changed| {
        let at = changed.ends_at.map(time);
        let at = at.map_or_else(|| "not".to_owned(), |at| format!("at {at}"));
        format!("the assignment of operation {operation} to probe {probe} ends by time {at}")
    }))
}

#[derive(Debug, Default, Deserialize)]
struct OpenDoc {
    open: i64,
    ended: Option<Date>,
}

#[derive(Debug, Deserialize)]
struct EndDoc {
    open_assignments: i64,
    ended_at: Option<Date>,
}

async fn open(tx: &mut Tx, operation: OperationId) -> Attempt<Option<String>> {
    let assignments = tx.kept.assignments.clone();
    let is_open = super::super::settling::is_open();
    let open = doc! { "$cond": [{ "$in": ["$state", is_open.get("$in")] }, 1_i64, 0_i64] };
    let group =
        doc! { "_id": Bson::Null, "open": { "$sum": open }, "ended": { "$max": "$ended_at" } };
    let of_operation = doc! { "$match": { "_id": AssignmentId::of_operation(operation) } };
    let counting = assignments
        .aggregate([of_operation, doc! { "$group": group }])
        .hint(along(BY_ID))
        .with_type::<OpenDoc>();
    let there = tx.sum(counting).await?.into_iter().next();
    let there = there.unwrap_or_default();
    let operations = tx.kept.operations.clone_with_type::<EndDoc>();
    let id = doc! { "_id": operation.object_id() };
    let Some(kept) = tx.one(&operations, id.clone()).await? else {
        return Ok(None);
    };
    let ended_at = match there.open {
        0 => kept.ended_at.or(there.ended),
        _ => None,
    };
    let is_right = kept.open_assignments == there.open && kept.ended_at == ended_at;
    if is_right || (there.open == 0 && ended_at.is_none()) {
        return Ok(None);
    }
    let change = match ended_at {
        Some(at) => doc! { "$set": { "open_assignments": there.open, "ended_at": at } },
        None => {
            doc! { "$set": { "open_assignments": there.open }, "$unset": { "ended_at": "" } }
        }
    };
    tx.change(&operations, id, change).await?;
    Ok(Some(match there.open {
        0 => format!("operation {operation} has no open assignment and has ended"),
        open => format!("operation {operation} has {open} open assignments and has not ended"),
    }))
}

#[derive(Debug, Deserialize)]
struct AccountDoc {
    credits: i64,
    ledger_entries: i64,
}

#[derive(Debug, Deserialize)]
struct EntryHead {
    #[serde(rename = "_id")]
    id: EntryName,
    amount: i64,
    balance: i64,
}

#[derive(Debug, Deserialize)]
struct EntryName {
    #[serde(rename = "user")]
    _user: ObjectId,
    number: i64,
}

/// A balance, where the ledger is whole: then it is what the entries add up to. Where neither the balance nor the count of
/// entries fits, an entry may have been lost, and there is no right answer.
async fn credits(tx: &mut Tx, user: UserId) -> Attempt<Option<String>> {
    let users = tx.kept.users.clone_with_type::<AccountDoc>();
    let id = doc! { "_id": user.object_id() };
    let Some(kept) = tx.one(&users, id.clone()).await? else {
        return Ok(None);
    };
    let Some((entries, sum)) = added_up(tx, user).await? else {
        return Ok(None);
    };
    let fits = (kept.credits == sum, kept.ledger_entries == entries);
    if sum < 0 || !matches!(fits, (true, false) | (false, true)) {
        return Ok(None);
    }
    let set = doc! { "$set": { "credits": sum, "ledger_entries": entries } };
    tx.change(&users, id, set).await?;
    Ok(Some(format!(
        "the balance of user {user} is {sum}, as its ledger of {entries} entries says"
    )))
}

/// How many entries a ledger has and what they add up to, if it is whole.
async fn added_up(tx: &mut Tx, user: UserId) -> Attempt<Option<(i64, i64)>> {
    let ledger = tx.kept.ledger.clone_with_type::<EntryHead>();
    let (mut entries, mut sum) = (0_i64, 0_i64);
    loop {
        // From below zero on, where numbers that are none begin.
        let above = if entries == 0 { i64::MIN } else { entries };
        let find = ledger
            .find(doc! { "_id": of_user(user, above) })
            .sort(doc! { "_id": 1 })
            .hint(along(BY_ID))
            .limit(paging::limit(ENTRIES_AT_ONCE));
        let page = tx.all(find).await?;
        for entry in &page {
            let follows = entries.checked_add(1) == Some(entry.id.number);
            if !follows || sum.checked_add(entry.amount) != Some(entry.balance) {
                return Ok(None);
            }
            (entries, sum) = (entry.id.number, entry.balance);
        }
        if page.len() < ENTRIES_AT_ONCE {
            return Ok(Some((entries, sum)));
        }
    }
}

//! Creating an operation: who runs it, what it costs, and the documents of it, in one transaction.
//!
//! The transaction begins by taking hold of the owner's balance: it is what others want too.

use bson::doc;
use probe_protocol::{ProbeId, UserId};

use super::{
    balances::Cause,
    documents::{AssignmentDoc, KeyDoc, LedgerDoc, OperationDoc, as_kept},
    error::{Attempt, Failure},
    keys,
    link::Tx,
    operations, probes,
};
use crate::{
    domain::{
        Assignment, AssignmentState, Candidate, Operation, Plan, Refusal, credits::LedgerReason,
        lifecycle, selection,
    },
    store::{Created, IdempotencyKey, Opened, StoreError},
};

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    plan: Plan,
    candidates: Vec<Candidate>,
    key: Option<IdempotencyKey>,
}

impl Asked {
    /// Who pays.
    pub(super) fn owner(&self) -> UserId {
        self.plan.owner
    }

    /// An operation on those candidates that fit.
    pub(super) fn new(
        mut plan: Plan,
        candidates: Vec<Candidate>,
        key: Option<IdempotencyKey>,
    ) -> Self {
        plan.created_at = as_kept(plan.created_at);
        plan.expires_at = as_kept(plan.expires_at);
        plan.closes_at = as_kept(plan.closes_at);
        Self {
            plan,
            candidates,
            key,
        }
    }
}

/// Creates an operation.
pub(super) async fn open(tx: &mut Tx, asked: &Asked) -> Attempt<Result<Created<Opened>, Refusal>> {
    let Asked {
        plan,
        candidates,
        key,
    } = asked;
    tx.hold(plan.owner).await?;
    if let Some(known) = keys::find(tx, key.as_ref()).await? {
        return opened_before(tx, &known)
            .await
            .map(|opened| Ok(Created::Before(opened)));
    }
    let ids: Vec<ProbeId> = candidates.iter().map(|candidate| candidate.probe).collect();
    let known = probes::capacities(tx, &ids).await?;
    let (chosen, left_out) = selection::select(plan, candidates, known);
    if chosen.is_empty() {
        return Ok(Err(Refusal::NoAvailableProbe(left_out)));
    }
    let price = plan
        .price_per_probe()
        .saturating_mul(i64::try_from(chosen.len())?);
    if let Err(balance) = charge(tx, plan, price).await? {
        return Ok(Err(Refusal::NotEnoughCredits { price, balance }));
    }
    let operation = Operation {
        plan: plan.clone(),
        charged: price,
        refunded: 0,
        last_seq: 0,
        cancelled_at: None,
        ended_at: None,
    };
    let document = OperationDoc::of(&operation, i64::try_from(chosen.len())?)?;
    let operations = tx.kept.operations.clone();
    tx.insert(&operations, [document]).await?;
    let assigned: Vec<AssignmentDoc> = chosen
        .iter()
        .map(|&probe| assignment(plan, probe))
        .collect();
    let assignments = tx.kept.assignments.clone();
    tx.insert(&assignments, &assigned).await?;
    let answer = serde_json::to_string(&left_out)?;
    keys::keep(
        tx,
        key.as_ref(),
        plan.id.to_string(),
        Some(answer),
        plan.created_at,
    )
    .await?;
    Ok(Ok(Created::New(Opened {
        operation,
        probes: chosen,
        left_out,
    })))
}

/// What a repeated request opened, as it stands now.
async fn opened_before(tx: &mut Tx, known: &KeyDoc) -> Attempt<Opened> {
    let missing = || {
        let text = format!("an idempotency key names no operation: {}", known.subject);
        Failure::Final(StoreError::Corrupt(text))
    };
    let id = known.subject.parse().map_err(|_| missing())?;
    let operation = operations::one(tx, id).await?.ok_or_else(missing)?;
    let left_out = known
        .answer
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?;
    Ok(Opened {
        operation,
        probes: operations::probes_of(tx, id).await?,
        left_out: left_out.unwrap_or_default(),
    })
}

/// Takes the price where there are enough credits; else the balance.
async fn charge(tx: &mut Tx, plan: &Plan, price: i64) -> Attempt<Result<(), i64>> {
    let users = tx.kept.users.clone();
    let owner = doc! { "_id": plan.owner.object_id() };
    let filter = doc! { "_id": plan.owner.object_id(), "credits": { "$gte": price } };
    let change = doc! { "$inc": { "credits": -price, "ledger_entries": 1_i64 } };
    let Some(user) = tx.change(&users, filter, change).await? else {
        let user = tx.one(&users, owner).await?;
        return Ok(Err(user.map_or(0, |user| user.credits)));
    };
    let cause = Cause {
        reason: LedgerReason::Charge,
        operation: Some(plan.id),
        probe: None,
        at: plan.created_at,
    };
    let entry = cause.entry(user.ledger_entries, -price, user.credits);
    let ledger = tx.kept.ledger.clone();
    tx.insert(&ledger, [LedgerDoc::of(user.id, &entry)]).await?;
    Ok(Ok(()))
}

fn assignment(plan: &Plan, probe: ProbeId) -> AssignmentDoc {
    let state = AssignmentState::Pending;
    let assignment = Assignment {
        operation: plan.id,
        probe,
        state,
        reason: None,
        planned_runs: plan.planned_runs,
        results: 0,
        delivered_at: None,
        accepted_at: None,
        ended_at: None,
    };
    let ends_at = lifecycle::open_until(state, plan.expires_at, plan.closes_at);
    AssignmentDoc::of(&assignment, plan.run_price, plan.created_at, Some(ends_at))
}

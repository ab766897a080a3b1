//! Operations: reading them, cancelling them, and ending what only time ends. [`super::opening`] creates them,
//! [`super::recording`] takes what probes report of them.

use std::sync::Arc;

use async_trait::async_trait;
use bson::{DateTime as Date, doc, oid::ObjectId};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use probe_protocol::{ContentFormat, Kind, OperationId, ProbeId, ResultFormat, UserId};
use serde::Deserialize;

use super::{
    MongoStore,
    books::Books,
    documents::{AssignmentId, OnlyId, date, operation_ids},
    error::Attempt,
    leases,
    link::Tx,
    opening::{self, Asked},
    paging, reading, recording, results, settling,
};
use crate::{
    domain::{
        Assignment, Candidate, Operation, Plan, Refusal, lifecycle, operation::remaining_runs,
    },
    store::{
        Brief, Change, Created, IdempotencyKey, Lease, Opened, OperationStore, Outcome, Progress,
        Report, ResultRow, Span, Stored, Work,
    },
};

#[async_trait]
impl OperationStore for MongoStore {
    async fn open(
        &self,
        plan: Plan,
        candidates: Vec<Candidate>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Result<Created<Opened>, Refusal>> {
        let asked = Arc::new(Asked::new(plan, candidates, key));
        self.write_in_turn(asked.owner(), move |tx| {
            let asked = asked.clone();
            Box::pin(async move { opening::open(tx, &asked).await })
        })
        .await
    }

    async fn operation(&self, id: OperationId) -> Stored<Option<Operation>> {
        self.read(move |kept| async move { reading::one(&kept, id).await })
            .await
    }

    async fn assignments(&self, id: OperationId) -> Stored<Vec<Assignment>> {
        self.read(move |kept| async move { reading::assignments(&kept, id).await })
            .await
    }

    async fn whole_operation(
        &self,
        id: OperationId,
        reader: Option<UserId>,
    ) -> Stored<Option<(Operation, Vec<Assignment>)>> {
        self.read(move |kept| async move { reading::whole(&kept, id, reader).await })
            .await
    }

    async fn operations(
        &self,
        owner: Option<UserId>,
        span: Span<OperationId>,
        limit: usize,
    ) -> Stored<Vec<Operation>> {
        self.read(move |kept| async move {
            let page = paging::page(
                &kept.operations,
                doc! {},
                owner,
                span,
                limit,
                OperationId::object_id,
            );
            page.await?
                .into_iter()
                .map(|document| document.operation())
                .collect()
        })
        .await
    }

    async fn cancel(
        &self,
        id: OperationId,
        at: DateTime<Utc>,
    ) -> Stored<Option<(Operation, Vec<Change>)>> {
        let owner = self
            .read(move |kept| async move {
                let operations = kept.operations.clone_with_type::<OwnerDoc>();
                let find = operations.find_one(doc! { "_id": id.object_id() });
                Ok(find.projection(doc! { "owner": 1, "_id": 0 }).await?)
            })
            .await?;
        let Some(OwnerDoc { owner }) = owner else {
            return Ok(None);
        };
        self.write_in_turn(owner.into(), move |tx| Box::pin(cancel(tx, id, at)))
            .await
    }

    async fn briefs(&self, ids: Vec<OperationId>) -> Stored<Vec<Brief>> {
        let ids = operation_ids(&ids);
        self.read(move |kept| {
            let filter = doc! { "_id": { "$in": &ids } };
            async move {
                let operations = kept.operations.clone_with_type::<BriefDoc>();
                let find = operations
                    .find(filter)
                    .projection(doc! { "kind": 1, "result_format": 1 });
                let found: Vec<BriefDoc> = find.await?.try_collect().await?;
                Ok(found.into_iter().map(Brief::from).collect())
            }
        })
        .await
    }

    async fn progress(&self, ids: Vec<OperationId>) -> Stored<Vec<Progress>> {
        let ids = operation_ids(&ids);
        self.read(move |kept| {
            let filter = doc! { "_id": { "$in": &ids } };
            async move {
                let operations = kept.operations.clone_with_type::<ProgressDoc>();
                let find = operations
                    .find(filter)
                    .projection(doc! { "last_seq": 1, "ended_at": 1 });
                let found: Vec<ProgressDoc> = find.await?.try_collect().await?;
                Ok(found.into_iter().map(Progress::from).collect())
            }
        })
        .await
    }

    async fn record(&self, reports: Arc<Vec<Report>>) -> Stored<Vec<Outcome>> {
        let ready = recording::prepare(&reports);
        let doubt = Arc::new(self.doubt.like());
        let (of_these, is_many) = (doubt.clone(), reports.len() > 1);
        let outcomes = self
            .write_parts(is_many, move |tx| {
                let (reports, ready, doubt) = (reports.clone(), ready.clone(), of_these.clone());
                Box::pin(async move { recording::record(tx, &reports, ready, &doubt).await })
            })
            .await?;
        self.doubt.set(doubt.is_there());
        Ok(outcomes)
    }

    async fn results(
        &self,
        id: OperationId,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<ResultRow>> {
        self.read(
            move |kept| async move { results::list(&kept, id, after, limit, most_bytes).await },
        )
        .await
    }

    async fn operation_with_results(
        &self,
        id: OperationId,
        reader: Option<UserId>,
        after: u64,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Option<(Operation, Vec<ResultRow>)>> {
        self.read(move |kept| async move {
            let Some(operation) = reading::one(&kept, id).await? else {
                return Ok(None);
            };
            let found = match reader {
                Some(reader) if reader != operation.plan.owner => Vec::new(),
                _ => results::list(&kept, id, after, limit, most_bytes).await?,
            };
            Ok(Some((operation, found)))
        })
        .await
    }

    async fn raw(&self, id: OperationId, seq: u64) -> Stored<Option<(ContentFormat, Bytes)>> {
        self.read(move |kept| async move { results::raw(&kept, id, seq).await })
            .await
    }

    async fn end_overdue(
        &self,
        lease: &Lease,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Vec<Change>> {
        lease.is_for(Work::EndOverdue)?;
        // A read first: most of the time nothing is overdue, and a transaction for nothing costs each hub one every second.
        let any = self
            .read(move |kept| async move {
                let overdue = kept
                    .assignments
                    .find_one(doc! { "ends_at": { "$lte": date(now) } });
                Ok(overdue.await?.is_some())
            })
            .await?;
        if !any || limit == 0 {
            return Ok(Vec::new());
        }
        let lease = lease.clone();
        self.write(move |tx| {
            let lease = lease.clone();
            Box::pin(async move {
                leases::hold(tx, &lease).await?;
                end_overdue(tx, now, limit).await
            })
        })
        .await
    }
}

/// Whose operation it is.
#[derive(Debug, Deserialize)]
struct OwnerDoc {
    owner: ObjectId,
}

/// What is needed to read results of an operation.
#[derive(Debug, Deserialize)]
struct BriefDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    kind: Kind,
    result_format: ResultFormat,
}

impl From<BriefDoc> for Brief {
    fn from(document: BriefDoc) -> Self {
        Self {
            operation: document.id.into(),
            kind: document.kind,
            result_format: document.result_format,
        }
    }
}

/// How far an operation is.
#[derive(Debug, Deserialize)]
struct ProgressDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    last_seq: u64,
    ended_at: Option<Date>,
}

impl From<ProgressDoc> for Progress {
    fn from(document: ProgressDoc) -> Self {
        Self {
            operation: document.id.into(),
            last_seq: document.last_seq,
            ended: document.ended_at.is_some(),
        }
    }
}

/// An operation.
pub(super) async fn one(tx: &mut Tx, id: OperationId) -> Attempt<Option<Operation>> {
    let operations = tx.kept.operations.clone();
    let found = tx.one(&operations, doc! { "_id": id.object_id() }).await?;
    found.map(|document| document.operation()).transpose()
}

/// The probes of an operation, in the order of their ids.
pub(super) async fn probes_of(tx: &mut Tx, id: OperationId) -> Attempt<Vec<ProbeId>> {
    let assignments = tx
        .kept
        .assignments
        .clone_with_type::<OnlyId<AssignmentId>>();
    let find = assignments
        .find(doc! { "_id": AssignmentId::of_operation(id) })
        .projection(doc! { "_id": 1 })
        .sort(doc! { "_id": 1 });
    let found = tx.all(find).await?;
    Ok(found.into_iter().map(|only| only.id.probe.into()).collect())
}

/// Cancels what has not ended; what has, stays as it ended.
async fn cancel(
    tx: &mut Tx,
    id: OperationId,
    at: DateTime<Utc>,
) -> Attempt<Option<(Operation, Vec<Change>)>> {
    let operations = tx.kept.operations.clone();
    let open = doc! {
        "_id": id.object_id(),
        "cancelled_at": { "$exists": false },
        "ended_at": { "$exists": false },
    };
    let change = doc! { "$set": { "cancelled_at": date(at) } };
    let mut changes = Vec::new();
    if let Some(document) = tx.change(&operations, open, change).await? {
        let schedule = document.plan()?.schedule;
        let ahead = schedule.map(|schedule| remaining_runs(Some(&schedule), at));
        let mut books = Books::default();
        let assignments = tx.kept.assignments.clone();
        let open = doc! { "_id": AssignmentId::of_operation(id), "state": settling::is_open() };
        let find = assignments.find(open).sort(doc! { "_id": 1 });
        for key in books.load_found(tx, find).await? {
            changes.extend(books.cancel(key, ahead, at));
        }
        books.write(tx).await?;
    }
    Ok(one(tx, id).await?.map(|operation| (operation, changes)))
}

async fn end_overdue(tx: &mut Tx, now: DateTime<Utc>, limit: usize) -> Attempt<Vec<Change>> {
    let mut books = Books::default();
    let assignments = tx.kept.assignments.clone();
    let overdue = assignments
        .find(doc! { "ends_at": { "$lte": date(now) } })
        .sort(doc! { "ends_at": 1 })
        .limit(paging::limit(limit));
    let mut changes = Vec::new();
    for key in books.load_found(tx, overdue).await? {
        let next = books
            .get(key)
            .map(|(assignment, _)| lifecycle::overdue(assignment.state));
        changes.extend(next.and_then(|next| books.end(key, next, now)));
    }
    books.write(tx).await?;
    Ok(changes)
}

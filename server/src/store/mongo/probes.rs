//! Probes: registration, lists, changes, deletion.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bson::{Document, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use probe_protocol::{ProbeId, UserId};
use serde::Deserialize;

use super::{
    Kept, MongoStore,
    books::Books,
    documents::{CapacityDoc, Point, ProbeDoc, StandingDoc, as_kept, date, probe_ids},
    error::{Attempt, Failure},
    keys,
    link::{SENT_AT_ONCE, Tx},
    paging,
    settling::{self, Hello},
};
use crate::{
    domain::{
        Agent, Capacity, FIRST_GENERATION, Holdings, Plan, Presence, Probe,
        operation::remaining_runs, probe::ProbeCard,
    },
    store::{
        Change, Created, IdempotencyKey, NewProbe, ProbeStore, Settled, Span, Standing, StoreError,
        Stored, Who,
    },
};

#[async_trait]
impl ProbeStore for MongoStore {
    async fn create_probe(
        &self,
        probe: NewProbe,
        key: Option<IdempotencyKey>,
    ) -> Stored<Created<Probe>> {
        let probe = Probe {
            id: ProbeId::new(),
            owner: probe.owner,
            name: probe.name,
            location: probe.location,
            token_generation: FIRST_GENERATION,
            created_at: as_kept(probe.created_at),
            last_seen: None,
            agent: None,
            load: 0,
            refused_results: 0,
            sessions: 0,
        };
        let made = Arc::new((probe, key));
        self.write(move |tx| {
            let made = made.clone();
            Box::pin(async move { create(tx, &made.0, made.1.as_ref()).await })
        })
        .await
    }

    async fn probe(&self, id: ProbeId) -> Stored<Option<Probe>> {
        self.read(move |kept| async move {
            let found = kept.probes.find_one(alive(id)).await?;
            let found = with_loads(&kept, found.into_iter().collect()).await?;
            Ok(found.into_iter().next())
        })
        .await
    }

    async fn seen_probes(
        &self,
        owner: Option<UserId>,
        span: Span<ProbeId>,
        limit: usize,
        who: Who,
    ) -> Stored<Vec<(Probe, Option<Presence>)>> {
        self.read(move |kept| {
            let who = who.clone();
            async move {
                let page = paging::page(
                    &kept.probes,
                    not_deleted(),
                    owner,
                    span,
                    limit,
                    ProbeId::object_id,
                );
                let page = page.await?;
                let ids: Vec<ProbeId> = page.iter().map(|document| document.id.into()).collect();
                let seen = who(&ids);
                let known = page.iter().zip(&seen).filter(|(_, seen)| seen.is_some());
                let known = known.map(|(document, _)| document.id).collect();
                let sums = sums(&kept, known).await?;
                Ok(loaded(page, sums).into_iter().zip(seen).collect())
            }
        })
        .await
    }

    async fn probes_by_id(&self, ids: Vec<ProbeId>) -> Stored<Vec<Probe>> {
        self.read(move |kept| {
            let filter = these(&ids);
            async move {
                let find = kept.probes.find(filter).batch_size(SENT_AT_ONCE);
                let found = find.await?.try_collect().await?;
                with_loads(&kept, found).await
            }
        })
        .await
    }

    async fn standings(&self, ids: Vec<ProbeId>) -> Stored<Vec<Standing>> {
        match ids[..] {
            [one] => Ok(self.look_up(one).await?.into_iter().collect()),
            _ => self.all_standings(ids).await,
        }
    }

    async fn change_probe(&self, id: ProbeId, card: ProbeCard) -> Stored<Option<Probe>> {
        let mut set = Document::new();
        if let Some(name) = card.name {
            set.insert("name", name);
        }
        if let Some(location) = card.location {
            let point = bson::serialize_to_bson(&Point::from(location)).map_err(Failure::from)?;
            set.insert("location", point);
        }
        if set.is_empty() {
            return self.probe(id).await;
        }
        self.change(id, doc! { "$set": set }).await
    }

    async fn rotate_token(&self, id: ProbeId) -> Stored<Option<Probe>> {
        self.change(id, doc! { "$inc": { "token_generation": 1 } })
            .await
    }

    async fn delete_probe(&self, id: ProbeId, at: DateTime<Utc>) -> Stored<Option<Vec<Change>>> {
        self.write(move |tx| Box::pin(delete(tx, id, at))).await
    }

    async fn settle(
        &self,
        id: ProbeId,
        generation: u32,
        agent: Agent,
        holdings: Holdings,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Option<Settled>> {
        let hello = Hello {
            probe: id,
            generation,
            agent,
            holdings,
            at,
            limit,
        };
        self.arrive(hello).await
    }

    async fn pending(&self, probes: Vec<ProbeId>, limit: usize) -> Stored<Vec<(ProbeId, Plan)>> {
        let probes = Arc::new(probes);
        self.read(move |kept| {
            let probes = probes.clone();
            async move { settling::pending(&kept, &probes, limit).await }
        })
        .await
    }
}

impl MongoStore {
    async fn change(&self, id: ProbeId, change: Document) -> Stored<Option<Probe>> {
        self.write(move |tx| {
            let change = change.clone();
            Box::pin(async move {
                let probes = tx.kept.probes.clone();
                let changed = tx.change(&probes, alive(id), change).await?;
                Ok(with_loads_in(tx, changed.into_iter().collect())
                    .await?
                    .into_iter()
                    .next())
            })
        })
        .await
    }
}

/// The fields of a [`StandingDoc`].
pub(super) fn standing() -> Document {
    doc! { "token_generation": 1, "sessions": 1 }
}

fn not_deleted() -> Document {
    doc! { "deleted_at": { "$exists": false } }
}

fn alive(id: ProbeId) -> Document {
    doc! { "_id": id.object_id(), "deleted_at": { "$exists": false } }
}

/// These probes, as far as they are not deleted.
pub(super) fn these(ids: &[ProbeId]) -> Document {
    doc! { "_id": { "$in": probe_ids(ids) }, "deleted_at": { "$exists": false } }
}

impl MongoStore {
    /// The standings of these probes, in one query.
    pub(super) async fn all_standings(&self, ids: Vec<ProbeId>) -> Stored<Vec<Standing>> {
        self.read(move |kept| {
            let filter = these(&ids);
            async move {
                let probes = kept.probes.clone_with_type::<StandingDoc>();
                let find = probes
                    .find(filter)
                    .batch_size(SENT_AT_ONCE)
                    .projection(standing());
                let found: Vec<StandingDoc> = find.await?.try_collect().await?;
                Ok(found.into_iter().map(Standing::from).collect())
            }
        })
        .await
    }
}

async fn create(
    tx: &mut Tx,
    probe: &Probe,
    key: Option<&IdempotencyKey>,
) -> Attempt<Created<Probe>> {
    let probes = tx.kept.probes.clone();
    if let Some(known) = keys::find(tx, key).await? {
        // Even where it was deleted since: the request was carried out.
        let id: Option<ProbeId> = known.subject.parse().ok();
        let before = match id {
            Some(id) => tx.one(&probes, doc! { "_id": id.object_id() }).await?,
            None => None,
        };
        let made = with_loads_in(tx, before.into_iter().collect())
            .await?
            .into_iter()
            .next();
        let text = || format!("an idempotency key names no probe: {}", known.subject);
        return made
            .map(Created::Before)
            .ok_or_else(|| Failure::Final(StoreError::Corrupt(text())));
    }
    tx.insert(&probes, [ProbeDoc::from(probe)]).await?;
    keys::keep(tx, key, probe.id.to_string(), None, probe.created_at).await?;
    Ok(Created::New(probe.clone()))
}

/// What these probes can take; unknown and deleted ones are left out. Only of one that said so does the load decide
/// anything, and only what it can take is opened on it: so few are summed up. What waits for a probe that never said hello
/// has no such bound, and is not counted.
pub(super) async fn capacities(tx: &mut Tx, ids: &[ProbeId]) -> Attempt<Vec<Capacity>> {
    let probes = tx.kept.probes.clone_with_type::<CapacityDoc>();
    let find = probes.find(these(ids)).projection(CapacityDoc::fields());
    let found = tx.all(find).await?;
    let limited = found.iter().filter(|document| document.agent.is_some());
    let limited = limited.map(|document| document.id).collect();
    let load_of = by_probe(sums_in(tx, limited).await?);
    let with_load = |document: CapacityDoc| {
        let load = load_of(document.id);
        document.with_load(load)
    };
    Ok(found.into_iter().map(with_load).collect())
}

async fn delete(tx: &mut Tx, id: ProbeId, at: DateTime<Utc>) -> Attempt<Option<Vec<Change>>> {
    let probes = tx.kept.probes.clone();
    let change = doc! { "$set": { "deleted_at": date(at) } };
    if tx.change(&probes, alive(id), change).await?.is_none() {
        return Ok(None);
    }
    let mut books = Books::default();
    let mut changes = Vec::new();
    for key in settling::load_open(&mut books, tx, &[id]).await? {
        let schedule = books
            .get(key)
            .and_then(|(_, terms)| terms.schedule.as_ref());
        let ahead = schedule.map(|schedule| remaining_runs(Some(schedule), at));
        changes.extend(books.cancel(key, ahead, at));
    }
    books.write(tx).await?;
    Ok(Some(changes))
}

/// The sum of what is open on a probe.
#[derive(Debug, Deserialize)]
struct LoadDoc {
    #[serde(rename = "_id")]
    probe: ObjectId,
    load: i64,
}

fn ids(documents: &[ProbeDoc]) -> Vec<ObjectId> {
    documents.iter().map(|document| document.id).collect()
}

fn loads(ids: Vec<ObjectId>) -> [Document; 2] {
    [
        doc! { "$match": { "_id.probe": { "$in": ids }, "state": settling::is_open() } },
        doc! { "$group": { "_id": "$_id.probe", "load": { "$sum": "$run_price" } } },
    ]
}

/// Looks the sum of a probe up; a probe on which nothing is open has none.
fn by_probe(loads: Vec<LoadDoc>) -> impl Fn(ObjectId) -> i64 {
    let pairs = loads.into_iter().map(|load| (load.probe, load.load));
    let loads: HashMap<ObjectId, i64> = pairs.collect();
    move |probe| loads.get(&probe).copied().unwrap_or(0)
}

fn loaded(documents: Vec<ProbeDoc>, loads: Vec<LoadDoc>) -> Vec<Probe> {
    let load_of = by_probe(loads);
    let with_load = |document: ProbeDoc| {
        let load = load_of(document.id);
        document.with_load(load)
    };
    documents.into_iter().map(with_load).collect()
}

/// Probes with the sums of what is open on them, in the same order.
pub(super) async fn with_loads(kept: &Kept, documents: Vec<ProbeDoc>) -> Attempt<Vec<Probe>> {
    let sums = sums(kept, ids(&documents)).await?;
    Ok(loaded(documents, sums))
}

/// The sums of what is open on these probes.
async fn sums(kept: &Kept, ids: Vec<ObjectId>) -> Attempt<Vec<LoadDoc>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sums = kept.assignments.aggregate(loads(ids));
    let sums = sums.batch_size(SENT_AT_ONCE).with_type::<LoadDoc>();
    Ok(sums.await?.try_collect().await?)
}

async fn with_loads_in(tx: &mut Tx, documents: Vec<ProbeDoc>) -> Attempt<Vec<Probe>> {
    let sums = sums_in(tx, ids(&documents)).await?;
    Ok(loaded(documents, sums))
}

async fn sums_in(tx: &mut Tx, ids: Vec<ObjectId>) -> Attempt<Vec<LoadDoc>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let assignments = tx.kept.assignments.clone();
    tx.sum(assignments.aggregate(loads(ids)).with_type::<LoadDoc>())
        .await
}

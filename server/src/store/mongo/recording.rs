//! What probes report: states and results, in order, in one transaction. A report that does not fit changes nothing
//! and says so; it is never an error, for the next reports must not pay for it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, try_join_all},
};
use probe_protocol::{ProbeId, Rejection, UserId};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{
    balances::Cause,
    books::{Books, Key},
    documents::{OnlyId, RawDoc, ResultDoc, ResultId, probe_ids},
    error::Attempt,
    link::{Tx, Update},
};
use crate::{
    domain::{
        admission::admit,
        credits::{LedgerReason, REWARD},
    },
    store::{
        Change, Move, NewResult, Outcome, Report, ResultRow, StoreError, Stored, Verdict, What,
    },
};

/// A result's document but for its number, and its raw bytes where they stand apart; none for other reports.
type Ready = Option<(RawDocumentBuf, Option<RawDoc>)>;

/// The documents of a batch, as soon as they are made.
pub(super) type Prepared = Shared<BoxFuture<'static, Stored<Arc<Vec<Ready>>>>>;

/// Documents that are made by one thread: some milliseconds of work.
const PREPARED_AT_ONCE: usize = 128;

/// Makes the documents of a batch; what takes time is done here, once, whatever happens to transactions, and while they
/// read what they need.
pub(super) fn prepare(reports: &Arc<Vec<Report>>) -> Prepared {
    let parts = (0..reports.len()).step_by(PREPARED_AT_ONCE).map(|from| {
        let reports = reports.clone();
        spawn_blocking(move || {
            let part = reports.iter().skip(from).take(PREPARED_AT_ONCE);
            part.map(document).collect::<Attempt<Vec<Ready>>>()
        })
    });
    let made = try_join_all(parts).map(|parts| {
        let parts = parts.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let parts: Vec<Vec<Ready>> = parts.into_iter().collect::<Attempt<_>>()?;
        Ok(Arc::new(parts.into_iter().flatten().collect()))
    });
    made.boxed().shared()
}

fn document(report: &Report) -> Attempt<Ready> {
    let What::Result(result) = &report.what else {
        return Ok(None);
    };
    let row = ResultRow {
        seq: 0,
        probe: report.probe,
        received_at: report.at,
        // What is stored was planned and paid for, so whatever measured something is rewarded.
        rewarded: result.measured,
        result: (**result).clone(),
    };
    let document = ResultDoc::of(report.operation, &row)?.unnumbered()?;
    Ok(Some((document, RawDoc::of(report.operation, &row))))
}

/// What is needed to know of a probe.
#[derive(Debug, Clone, Deserialize)]
struct HostDoc {
    #[serde(rename = "_id")]
    id: ObjectId,
    owner: ObjectId,
    /// Documents of earlier versions have none.
    #[serde(default)]
    sessions: u64,
}

/// A batch being taken.
struct Batch {
    books: Books,
    hosts: HashMap<ProbeId, HostDoc>,
    /// Results that are stored: by this batch, and where it is in doubt, before.
    known: HashSet<ResultId>,
    results: Vec<RawDocumentBuf>,
    raws: Vec<RawDoc>,
    refused: HashMap<ProbeId, i64>,
    /// Probes of which a claim was granted.
    claimed: HashSet<ProbeId>,
}

/// Whether results of a batch are looked up before they are stored. Repeats are rare, and their key gives them away; then
/// the transaction begins anew, in doubt. So is the one after a batch with repeats, which seldom come alone.
#[derive(Debug, Default)]
pub(super) struct Doubt(AtomicBool);

impl Doubt {
    /// As there was after another batch.
    pub(super) fn like(&self) -> Self {
        let doubt = Self::default();
        doubt.set(self.is_there());
        doubt
    }

    /// Whether there is.
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub(super) fn set(&self, is_there: bool) {
        self.0.store(is_there, Ordering::Relaxed);
    }
}

/// Takes reports in order; one outcome for each. `doubt` is of these reports alone.
pub(super) async fn record(
    tx: &mut Tx,
    reports: &[Report],
    ready: Prepared,
    doubt: &Doubt,
) -> Attempt<Vec<Outcome>> {
    let mut batch = Batch::load(tx, reports, doubt.is_there()).await?;
    let ready = ready.await?;
    let mut outcomes = batch.take_all(reports, &ready)?;
    // Who is refused may have been taken before.
    if !doubt.is_there() && !outcomes.iter().all(is_welcome) {
        batch = Batch::load(tx, reports, true).await?;
        outcomes = batch.take_all(reports, &ready)?;
    }
    match batch.write(tx).await {
        Ok(()) => doubt.set(!outcomes.iter().all(is_welcome)),
        Err(failure) => {
            if failure.is_duplicate() {
                doubt.set(true);
            }
            return Err(failure);
        }
    }
    Ok(outcomes)
}

fn is_welcome(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::New { .. } | Verdict::Noted)
}

fn result_id(report: &Report, result: &NewResult) -> ResultId {
    ResultId::of(report.operation, report.probe, &result.code)
}

impl Batch {
    async fn load(tx: &mut Tx, reports: &[Report], in_doubt: bool) -> Attempt<Self> {
        let mut books = Books::default();
        let mut keys: Vec<Key> = reports
            .iter()
            .map(|report| (report.operation, report.probe))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        books.load(tx, &keys).await?;
        let heard = reports.iter().filter(|report| needs_host(&report.what));
        let mut probes: Vec<ProbeId> = heard.map(|report| report.probe).collect();
        probes.sort_unstable();
        probes.dedup();
        Ok(Self {
            books,
            hosts: hosts(tx, &probes).await?,
            known: if in_doubt {
                known(tx, reports).await?
            } else {
                HashSet::new()
            },
            results: Vec::new(),
            raws: Vec::new(),
            refused: HashMap::new(),
            claimed: HashSet::new(),
        })
    }

    fn take_all(&mut self, reports: &[Report], ready: &[Ready]) -> Attempt<Vec<Outcome>> {
        let take = |(report, ready): (&Report, &Ready)| match &report.what {
            What::Result(result) => self.take(report, result, ready),
            What::Unusable => Ok(self.refuse(report.probe, Verdict::Noted)),
            state => Ok(Outcome {
                verdict: Verdict::Noted,
                changed: self.note(report, state),
            }),
        };
        reports.iter().zip(ready).map(take).collect()
    }

    /// A report of a state.
    fn note(&mut self, report: &Report, what: &What) -> Option<Change> {
        let (key, at) = ((report.operation, report.probe), report.at);
        let (assignment, terms) = self.books.get(key)?;
        let moves = what.moves(assignment)?;
        match what {
            // What leaves when its time is over could only be paid for.
            What::Claimed if at >= terms.expires_at || !self.is_of_the_newest(report) => {
                return None;
            }
            What::Claimed => drop(self.claimed.insert(report.probe)),
            What::Refused(reason) => self.books.set_reason(key, reason),
            _ => {}
        }
        match moves {
            Move::Step(next, paid) => self.books.step(key, next, paid, at),
            Move::Accept(next) => self.books.accept(key, next, 0, at),
        }
    }

    /// Whether the probe's newest session reported it. What another one claims never leaves.
    fn is_of_the_newest(&self, report: &Report) -> bool {
        let host = self.hosts.get(&report.probe);
        host.is_some_and(|host| host.sessions == report.session)
    }

    /// A result: stored once, numbered, counted, rewarded.
    fn take(&mut self, report: &Report, result: &NewResult, ready: &Ready) -> Attempt<Outcome> {
        let id = result_id(report, result);
        if self.known.contains(&id) {
            return Ok(Outcome {
                verdict: Verdict::Duplicate,
                changed: None,
            });
        }
        let key = (report.operation, report.probe);
        let Some((assignment, terms)) = self.books.get(key) else {
            let why = if self.books.knows(report.operation) {
                Rejection::NotAssigned
            } else {
                Rejection::UnknownOperation
            };
            return Ok(self.refuse(report.probe, Verdict::Rejected(why)));
        };
        let closes_at = terms.schedule.as_ref().map(|_| terms.closes_at);
        if let Err(why) = admit(assignment, closes_at, result.started_at) {
            return Ok(self.refuse(report.probe, Verdict::Rejected(why)));
        }
        let (Some((seq, changed)), Some((document, raw))) =
            (self.books.count(key, report.at), ready)
        else {
            return Ok(self.refuse(report.probe, Verdict::Rejected(Rejection::NotAssigned)));
        };
        self.results
            .push(ResultDoc::numbered(document.clone(), seq)?);
        self.raws.extend(raw.clone());
        self.known.insert(id);
        if result.measured
            && let Some(host) = self.hosts.get(&report.probe)
        {
            let cause = Cause {
                reason: LedgerReason::Reward,
                operation: Some(report.operation),
                probe: Some(report.probe),
                at: report.at,
            };
            self.books.credit(UserId::from(host.owner), REWARD, cause);
        }
        Ok(Outcome {
            verdict: Verdict::New { seq },
            changed,
        })
    }

    /// Counts a result that is not taken.
    fn refuse(&mut self, probe: ProbeId, verdict: Verdict) -> Outcome {
        if self.hosts.contains_key(&probe) {
            *self.refused.entry(probe).or_default() += 1;
        }
        Outcome {
            verdict,
            changed: None,
        }
    }

    async fn write(self, tx: &mut Tx) -> Attempt<()> {
        self.books.write(tx).await?;
        let refused = self.refused.iter().map(|(probe, count)| Update {
            filter: doc! { "_id": probe.object_id() },
            change: doc! { "$inc": { "refused_results": count } },
        });
        // Written, so that a hello at the same time and the claim cannot both be true: one of them begins anew.
        let claimed = self.claimed.iter().map(|probe| Update {
            filter: doc! { "_id": probe.object_id() },
            change: doc! { "$inc": { "claims": 1_i64 } },
        });
        let probes = tx.kept.probes.clone();
        let updates = refused.chain(claimed).collect();
        tx.update(&probes, updates).await?;
        let results = tx.kept.results.clone_with_type::<RawDocumentBuf>();
        tx.insert(&results, &self.results).await?;
        let raws = tx.kept.raws.clone();
        tx.insert(&raws, &self.raws).await
    }
}

/// Whether it matters who reports it.
const fn needs_host(what: &What) -> bool {
    match what {
        What::Result(_) | What::Unusable | What::Claimed => true,
        What::Delivered | What::Accepted | What::Refused(_) | What::Finished => false,
    }
}

async fn hosts(tx: &mut Tx, probes: &[ProbeId]) -> Attempt<HashMap<ProbeId, HostDoc>> {
    if probes.is_empty() {
        return Ok(HashMap::new());
    }
    let collection = tx.kept.probes.clone_with_type::<HostDoc>();
    let find = collection
        .find(doc! { "_id": { "$in": probe_ids(probes) } })
        .projection(doc! { "owner": 1, "sessions": 1 });
    let found = tx.all(find).await?.into_iter();
    Ok(found.map(|host| (host.id.into(), host)).collect())
}

/// Which of these results are stored already.
async fn known(tx: &mut Tx, reports: &[Report]) -> Attempt<HashSet<ResultId>> {
    let mut ids = Vec::new();
    for report in reports {
        if let What::Result(result) = &report.what {
            ids.push(Bson::from(result_id(report, result)));
        }
    }
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let results = tx.kept.results.clone_with_type::<OnlyId<ResultId>>();
    let find = results
        .find(doc! { "_id": { "$in": ids } })
        .projection(doc! { "_id": 1 });
    let found = tx.all(find).await?;
    Ok(found.into_iter().map(|only| only.id).collect())
}

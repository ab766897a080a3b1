//! What probes report: states and results, in order, in one transaction. A report that does not fit changes nothing
//! and says so; it is never an error, for the next reports must not pay for it.
//!
//! Results are by far the most of it. What they count up (numbers of operations, results of assignments, balances) is read
//! once, worked out in memory and written once at the end of the batch. What moves an assignment to another state is rare;
//! [`assignments`] writes it at once.

use std::collections::{HashMap, hash_map::Entry};

use probe_protocol::{OperationId, ProbeId, Rejection, UserId};
use rusqlite::{Connection, OptionalExtension};

use super::{
    assignments::{self, Held, Terms},
    balance::{Accounts, Cause},
    codec::{parsed, whole},
    results,
};
use crate::{
    domain::{
        AssignmentState,
        admission::admit,
        credits::{LedgerReason, REWARD},
        lifecycle,
    },
    store::{Change, Move, NewResult, Outcome, Report, Stored, Verdict, What},
};

/// Takes reports in order; one outcome for each.
pub(super) fn record(connection: &Connection, reports: &[Report]) -> Stored<Vec<Outcome>> {
    let mut batch = Batch::new(connection);
    let take = |report: &Report| match &report.what {
        What::Result(result) => batch.take(report, result),
        What::Unusable => refuse(connection, report.probe, Verdict::Noted),
        state => Ok(Outcome {
            verdict: Verdict::Noted,
            changed: batch.note(report, state)?,
        }),
    };
    let outcomes = reports.iter().map(take).collect::<Stored<_>>()?;
    batch.write()?;
    Ok(outcomes)
}

/// An operation that the batch is about.
#[derive(Debug)]
struct Operation {
    terms: Terms,
    /// Number of its last result.
    last_seq: i64,
    /// Whether that has to be written.
    grew: bool,
}

/// An assignment that the batch is about.
#[derive(Debug)]
struct Counted {
    held: Held,
    /// Whether its count of results has to be written.
    grew: bool,
}

/// Names an assignment.
type Key = (OperationId, ProbeId);

/// A batch being taken. What is known not to be there is `None`.
struct Batch<'c> {
    connection: &'c Connection,
    operations: HashMap<OperationId, Option<Operation>>,
    assignments: HashMap<Key, Option<Counted>>,
    hosts: HashMap<ProbeId, Option<UserId>>,
    accounts: Accounts,
}

impl<'c> Batch<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            operations: HashMap::new(),
            assignments: HashMap::new(),
            hosts: HashMap::new(),
            accounts: Accounts::default(),
        }
    }

    /// Reads an assignment and its operation, unless they were read before.
    fn load(&mut self, (id, probe): Key) -> Stored<()> {
        let operation = match self.operations.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let found = assignments::terms(self.connection, id)?;
                unknown.insert(found.map(|(terms, last_seq)| Operation {
                    terms,
                    last_seq,
                    grew: false,
                }))
            }
        };
        if let Entry::Vacant(unknown) = self.assignments.entry((id, probe)) {
            let held = match operation {
                Some(operation) => assignments::under(self.connection, operation.terms, id, probe)?,
                None => None,
            };
            unknown.insert(held.map(|held| Counted { held, grew: false }));
        }
        Ok(())
    }

    /// A report of a state.
    fn note(&mut self, report: &Report, what: &What) -> Stored<Option<Change>> {
        let (key, at) = ((report.operation, report.probe), report.at);
        self.load(key)?;
        let Some(Some(counted)) = self.assignments.get_mut(&key) else {
            return Ok(None);
        };
        // What is not moved stays as it was.
        let mut held = counted.held.clone();
        let terms = held.terms;
        // What leaves when its time is over could only be paid for.
        let is_claim = matches!(what, What::Claimed);
        if is_claim && (at >= terms.expires_at || !is_of_the_newest(self.connection, report)?) {
            return Ok(None);
        }
        if let What::Refused(reason) = what {
            held.assignment.reason = Some(lifecycle::short_reason(reason).to_owned());
        }
        let Some(moves) = what.moves(&held.assignment) else {
            return Ok(None);
        };
        self.accounts.close(self.connection, terms.owner)?;
        let changed = match moves {
            Move::Step(next, paid) => {
                assignments::step(self.connection, &mut held, next, paid, at)?
            }
            Move::Accept(next) => assignments::accept(self.connection, &mut held, next, 0, at)?,
        };
        if changed.is_some() {
            // All of it was written.
            *counted = Counted { held, grew: false };
        }
        Ok(changed)
    }

    /// A result: stored once, numbered, counted, rewarded.
    fn take(&mut self, report: &Report, result: &NewResult) -> Stored<Outcome> {
        let key = (report.operation, report.probe);
        self.load(key)?;
        let Some(Some(operation)) = self.operations.get_mut(&key.0) else {
            return self.turn_down(report, result, Rejection::UnknownOperation);
        };
        let Some(Some(Counted { held, .. })) = self.assignments.get(&key) else {
            return self.turn_down(report, result, Rejection::NotAssigned);
        };
        let closes_at = held.terms.is_repeated.then_some(held.terms.closes_at);
        if let Err(why) = admit(&held.assignment, closes_at, result.started_at) {
            return self.turn_down(report, result, why);
        }
        let seq = operation.last_seq + 1;
        if !results::insert(self.connection, report, result, seq)? {
            return Ok(said(Verdict::Duplicate));
        }
        (operation.last_seq, operation.grew) = (seq, true);
        let changed = self.count(report)?;
        if result.measured {
            self.reward(report)?;
        }
        Ok(Outcome {
            verdict: Verdict::New {
                seq: u64::try_from(seq)?,
            },
            changed,
        })
    }

    /// A result that would not be taken now. It may have been before.
    fn turn_down(&self, report: &Report, result: &NewResult, why: Rejection) -> Stored<Outcome> {
        let (connection, probe) = (self.connection, report.probe);
        if results::is_known(connection, report.operation, probe, &result.code)? {
            return Ok(said(Verdict::Duplicate));
        }
        refuse(connection, probe, Verdict::Rejected(why))
    }

    /// Counts a result: it shows that the probe runs the assignment, and may be the last one.
    fn count(&mut self, report: &Report) -> Stored<Option<Change>> {
        let (connection, at) = (self.connection, report.at);
        let key = (report.operation, report.probe);
        let Some(Some(counted)) = self.assignments.get_mut(&key) else {
            return Ok(None);
        };
        let held = &mut counted.held;
        let results = held.assignment.results.saturating_add(1);
        let mut changed = None;
        if matches!(
            held.assignment.state,
            AssignmentState::Pending | AssignmentState::Delivered
        ) {
            self.accounts.close(connection, held.terms.owner)?;
            let next = AssignmentState::Accepted;
            changed = assignments::accept(connection, held, next, results, at)?;
        }
        held.assignment.results = results;
        counted.grew = true;
        let planned = held.assignment.planned_runs;
        if results >= planned {
            self.accounts.close(connection, held.terms.owner)?;
            let next = AssignmentState::Finished;
            let ended = assignments::step(connection, held, next, planned, at)?;
            // A step writes all of the assignment.
            counted.grew = ended.is_none();
            changed = ended.or(changed);
        }
        Ok(changed)
    }

    /// Rewards whoever hosts the probe.
    fn reward(&mut self, report: &Report) -> Stored<()> {
        let host = match self.hosts.entry(report.probe) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(host(self.connection, report.probe)?),
        };
        let Some(host) = host else {
            return Ok(());
        };
        let cause = Cause {
            reason: LedgerReason::Reward,
            operation: Some(report.operation),
            probe: Some(report.probe),
            at: report.at,
        };
        self.accounts.credit(self.connection, host, REWARD, cause)
    }

    /// Writes what was counted up.
    fn write(self) -> Stored<()> {
        for (id, operation) in self.operations {
            if let Some(operation) = operation.filter(|operation| operation.grew) {
                results::set_last_seq(self.connection, id, operation.last_seq)?;
            }
        }
        for counted in self.assignments.into_values().flatten() {
            if counted.grew {
                assignments::count(self.connection, &counted.held)?;
            }
        }
        self.accounts.write(self.connection)
    }
}

fn said(verdict: Verdict) -> Outcome {
    Outcome {
        verdict,
        changed: None,
    }
}

const SESSIONS: &str = "select sessions from probes where id = ?1";

/// Whether the probe's newest session reported it. What another one claims would not leave, and the newest was told what
/// is pending before.
fn is_of_the_newest(connection: &Connection, report: &Report) -> Stored<bool> {
    let mut statement = connection.prepare_cached(SESSIONS)?;
    let newest = statement
        .query_row([report.probe.to_string()], |row| whole(row, "sessions"))
        .optional()?;
    Ok(newest == Some(report.session))
}

const REFUSE: &str = "update probes set refused_results = refused_results + 1 where id = ?1";

/// Counts a result that is not taken.
fn refuse(connection: &Connection, probe: ProbeId, verdict: Verdict) -> Stored<Outcome> {
    let mut statement = connection.prepare_cached(REFUSE)?;
    statement.execute([probe.to_string()])?;
    Ok(Outcome {
        verdict,
        changed: None,
    })
}

const HOST: &str = "select owner from probes where id = ?1";

/// Who hosts a probe.
fn host(connection: &Connection, probe: ProbeId) -> Stored<Option<UserId>> {
    let mut statement = connection.prepare_cached(HOST)?;
    let found = statement.query_row([probe.to_string()], |row| parsed(row, "owner"));
    Ok(found.optional()?)
}

//! What probes report: states and results, in order, in one transaction. A report that does not fit changes nothing
//! and says so; it is never an error, for the next reports must not pay for it.

use probe_protocol::{ProbeId, Rejection, UserId};
use rusqlite::{Connection, OptionalExtension};

use super::{
    assignments::{self, Held},
    balance::{self, Cause},
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
    reports
        .iter()
        .map(|report| match &report.what {
            What::Result(result) => take(connection, report, result),
            What::Unusable => refuse(connection, report.probe, Verdict::Noted),
            state => Ok(Outcome {
                verdict: Verdict::Noted,
                changed: note(connection, report, state)?,
            }),
        })
        .collect()
}

/// A report of a state.
fn note(connection: &Connection, report: &Report, what: &What) -> Stored<Option<Change>> {
    let Some(mut held) = assignments::one(connection, report.operation, report.probe)? else {
        return Ok(None);
    };
    let (held, at) = (&mut held, report.at);
    // What leaves when its time is over could only be paid for.
    let is_claim = matches!(what, What::Claimed);
    if is_claim && (at >= held.expires_at || !is_of_the_newest(connection, report)?) {
        return Ok(None);
    }
    if let What::Refused(reason) = what {
        held.assignment.reason = Some(lifecycle::short_reason(reason).to_owned());
    }
    match what.moves(&held.assignment) {
        Some(Move::Step(next, paid)) => assignments::step(connection, held, next, paid, at),
        Some(Move::Accept(next)) => assignments::accept(connection, held, next, 0, at),
        None => Ok(None),
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

const KNOWN: &str = "select 1 from operations where id = ?1";

/// A result: stored once, numbered, counted, rewarded.
fn take(connection: &Connection, report: &Report, result: &NewResult) -> Stored<Outcome> {
    let said = |verdict| {
        Ok(Outcome {
            verdict,
            changed: None,
        })
    };
    if results::is_known(connection, report.operation, report.probe, &result.code)? {
        return said(Verdict::Duplicate);
    }
    let Some(mut held) = assignments::one(connection, report.operation, report.probe)? else {
        let known = connection
            .prepare_cached(KNOWN)?
            .exists([report.operation.to_string()])?;
        let why = if known {
            Rejection::NotAssigned
        } else {
            Rejection::UnknownOperation
        };
        return refuse(connection, report.probe, Verdict::Rejected(why));
    };
    let closes_at = held.is_repeated.then_some(held.closes_at);
    if let Err(why) = admit(&held.assignment, closes_at, result.started_at) {
        return refuse(connection, report.probe, Verdict::Rejected(why));
    }
    let seq = results::insert(connection, report, result)?;
    let changed = count(connection, &mut held, report)?;
    if result.measured {
        reward(connection, report)?;
    }
    Ok(Outcome {
        verdict: Verdict::New { seq },
        changed,
    })
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

/// Counts a result: it shows that the probe runs the assignment, and may be the last one.
fn count(connection: &Connection, held: &mut Held, report: &Report) -> Stored<Option<Change>> {
    let mut changed = None;
    let counted = held.assignment.results.saturating_add(1);
    if matches!(
        held.assignment.state,
        AssignmentState::Pending | AssignmentState::Delivered
    ) {
        changed = assignments::accept(
            connection,
            held,
            AssignmentState::Accepted,
            counted,
            report.at,
        )?;
    }
    assignments::count(connection, held)?;
    held.assignment.results = counted;
    let planned = held.assignment.planned_runs;
    if counted >= planned {
        let ended = assignments::step(
            connection,
            held,
            AssignmentState::Finished,
            planned,
            report.at,
        )?;
        changed = ended.or(changed);
    }
    Ok(changed)
}

const HOST: &str = "select owner from probes where id = ?1";

/// Rewards whoever hosts the probe.
fn reward(connection: &Connection, report: &Report) -> Stored<()> {
    let cause = Cause {
        reason: LedgerReason::Reward,
        operation: Some(report.operation),
        probe: Some(report.probe),
        at: report.at,
    };
    match host(connection, report.probe)? {
        Some(host) => balance::credit(connection, host, REWARD, cause),
        None => Ok(()),
    }
}

fn host(connection: &Connection, probe: ProbeId) -> Stored<Option<UserId>> {
    let mut statement = connection.prepare_cached(HOST)?;
    let found = statement.query_row([probe.to_string()], |row| parsed(row, "owner"));
    Ok(found.optional()?)
}

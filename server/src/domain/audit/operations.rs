//! An operation, its assignments and its results must agree.

use std::collections::HashSet;

use probe_protocol::ProbeId;

use super::{
    Finding, Repair, Rule,
    facts::{AssignmentFacts, OperationFacts},
    measured::Tally,
};
use crate::domain::lifecycle;

/// What is wrong with an operation. `assignments` are all of it, as of the same moment; `results` were counted for it.
/// Where results may be `forgotten` by age, fewer of them prove nothing.
pub(crate) fn operation(
    it: &OperationFacts,
    assignments: &[AssignmentFacts],
    results: &Tally,
    forgotten: bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    money(it, assignments, &mut found);
    end(it, assignments, &mut found);
    numbers(it, results, forgotten, &mut found);
    for assignment in assignments {
        one(it, assignment, &mut found);
        counted(it, assignment, results, forgotten, &mut found);
    }
    unassigned(it, assignments, results, &mut found);
    found
}

fn money(it: &OperationFacts, assignments: &[AssignmentFacts], found: &mut Vec<Finding>) {
    let OperationFacts {
        charged, refunded, ..
    } = *it;
    if !(0..=charged.max(0)).contains(&refunded) {
        let what = format!("{charged} credits were charged, and {refunded} given back");
        found.push(Finding::of(Rule::Refunded, what).operation(it.id));
        return;
    }
    let planned = assignments.iter().fold(0_i64, |sum, assignment| {
        sum.saturating_add(assignment.planned_runs)
    });
    let (paid, price) = (
        charged.saturating_sub(refunded),
        it.run_price.saturating_mul(planned),
    );
    if paid != price {
        let what = format!(
            "{paid} credits are paid ({charged} charged, {refunded} given back), and the {planned} runs that are planned \
             cost {price}"
        );
        found.push(Finding::of(Rule::Price, what).operation(it.id));
    }
}

fn end(it: &OperationFacts, assignments: &[AssignmentFacts], found: &mut Vec<Finding>) {
    let is_open = |assignment: &&AssignmentFacts| !assignment.state.is_ended();
    let open = assignments.iter().filter(is_open).count();
    let open = i64::try_from(open).unwrap_or(i64::MAX);
    let repair = Repair::Open(it.id);
    if it.open_assignments != open {
        let what = format!(
            "it counts {} open assignments and has {open}",
            it.open_assignments
        );
        let finding = Finding::of(Rule::OpenAssignments, what).operation(it.id);
        found.push(finding.repair(repair));
    }
    let wrong = match (open, it.ended_at) {
        (0, None) => Some("nothing of it is open, and it has not ended".to_owned()),
        (1.., Some(at)) => Some(format!("it ended at {at}, and {open} assignments are open")),
        _ => None,
    };
    if let Some(what) = wrong {
        let finding = Finding::of(Rule::Ended, what).operation(it.id);
        let ended = assignments.iter().any(|one| one.ended_at.is_some());
        found.push(if open > 0 || ended {
            finding.repair(repair)
        } else {
            finding
        });
    }
    if it.closes_at < it.expires_at {
        let what = format!(
            "it closes at {}, and its time is over at {}",
            it.closes_at, it.expires_at
        );
        found.push(Finding::of(Rule::Closes, what).operation(it.id));
    }
}

fn numbers(it: &OperationFacts, results: &Tally, forgotten: bool, found: &mut Vec<Finding>) {
    if let Some((seq, probe)) = results.late {
        let what = format!("result {seq} began after {}", it.closes_at);
        let finding = Finding::of(Rule::ResultLate, what).operation(it.id);
        found.push(finding.probe(probe));
    }
    let wrong = if let Some(seq) = results.twice {
        Some(format!("number {seq} is there twice"))
    } else if let Some(seq) = results.beyond {
        let last = it.last_seq;
        Some(format!(
            "it counts {last} results, and there is number {seq}"
        ))
    } else if forgotten || results.is_partial {
        None
    } else if let Some((from, to)) = results.hole {
        Some(format!(
            "of {} results, {from} to {to} are missing",
            it.last_seq
        ))
    } else if results.last < it.last_seq {
        let from = results.last.saturating_add(1);
        Some(format!(
            "of {0} results, {from} to {0} are missing",
            it.last_seq
        ))
    } else {
        None
    };
    if let Some(what) = wrong {
        found.push(Finding::of(Rule::ResultNumbers, what).operation(it.id));
    }
}

/// An assignment by itself.
fn one(it: &OperationFacts, assignment: &AssignmentFacts, found: &mut Vec<Finding>) {
    let AssignmentFacts {
        probe,
        state,
        planned_runs,
        results,
        ..
    } = *assignment;
    let mut add = |rule, what: String| {
        let finding = Finding::of(rule, what).operation(it.id).probe(probe);
        found.push(if rule == Rule::AssignmentEnd {
            finding.repair(Repair::Ends(it.id, probe))
        } else {
            finding
        });
    };
    if results > planned_runs || planned_runs < 0 {
        let what = format!("{results} results count, of {planned_runs} runs that are paid for");
        add(Rule::OverPlan, what);
    }
    if let Some(price) = assignment.run_price.filter(|price| *price != it.run_price) {
        let what = format!("a run costs {price} here, and {} there", it.run_price);
        add(Rule::AssignmentPrice, what);
    }
    if state.is_ended() != assignment.ended_at.is_some() {
        let what = match assignment.ended_at {
            Some(at) => format!("it is {} and ended at {at}", state.as_str()),
            None => format!("it is {} and never ended", state.as_str()),
        };
        add(Rule::AssignmentState, what);
        return;
    }
    let ends_at = lifecycle::open_until(state, it.expires_at, it.closes_at);
    let wanted = (!state.is_ended()).then_some(ends_at);
    if assignment.ends_at != wanted {
        let shown = |at: Option<chrono::DateTime<chrono::Utc>>| {
            at.map_or_else(|| "never".to_owned(), |at| format!("at {at}"))
        };
        let what = format!(
            "it is {} and would end by time {}, not {}",
            state.as_str(),
            shown(assignment.ends_at),
            shown(wanted)
        );
        add(Rule::AssignmentEnd, what);
    }
}

/// An assignment and its results.
fn counted(
    it: &OperationFacts,
    assignment: &AssignmentFacts,
    results: &Tally,
    forgotten: bool,
    found: &mut Vec<Finding>,
) {
    let there = results.of_probe.get(&assignment.probe).copied();
    let there = there.unwrap_or_default();
    let counts = assignment.results;
    let fits = if forgotten {
        there <= counts
    } else {
        there == counts
    };
    if fits || results.is_partial {
        return;
    }
    let what = format!("it counts {counts} results and has {there}");
    let finding = Finding::of(Rule::AssignmentResults, what)
        .operation(assignment.operation)
        .probe(assignment.probe);
    // Where some are missing, the count is what is left of them.
    let is_whole = results.twice.is_none() && results.count == it.last_seq;
    let may_hold = there <= assignment.planned_runs;
    found.push(if is_whole && may_hold && !forgotten {
        finding.repair(Repair::Results(assignment.operation, assignment.probe))
    } else {
        finding
    });
}

/// Results of probes that have no assignment.
fn unassigned(
    it: &OperationFacts,
    assignments: &[AssignmentFacts],
    results: &Tally,
    found: &mut Vec<Finding>,
) {
    let assigned: HashSet<ProbeId> = assignments.iter().map(|one| one.probe).collect();
    let mut others: Vec<_> = results
        .of_probe
        .iter()
        .filter(|(probe, _)| !assigned.contains(probe))
        .collect();
    others.sort();
    for (probe, count) in others {
        let what = format!("{count} results of a probe that has no assignment");
        let finding = Finding::of(Rule::Orphan, what).operation(it.id);
        found.push(finding.probe(*probe));
    }
}

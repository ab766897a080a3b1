//! A sound world gives no finding, and each kind of damage gives exactly its own.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use super::*;
use crate::domain::{AssignmentState, credits::LedgerReason, lifecycle, tests::STATES};

mod properties;

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// An operation with everything that belongs to it.
#[derive(Debug, Clone)]
struct World {
    operation: OperationFacts,
    assignments: Vec<AssignmentFacts>,
    results: Vec<ResultFacts>,
    entries: Vec<EntryFacts>,
}

/// What is planned on a probe, where it stands, and how many results there are.
type Plan = (u32, usize, u32);

impl World {
    fn of(run_price: u32, is_repeated: bool, plans: &[Plan]) -> Self {
        let (id, owner) = (OperationId::new(), UserId::new());
        let (expires_at, closes_at) = (
            noon() + TimeDelta::hours(1),
            noon() + TimeDelta::minutes(65),
        );
        let mut world = Self {
            operation: OperationFacts {
                id,
                owner,
                run_price: run_price.into(),
                charged: 0,
                refunded: 0,
                last_seq: 0,
                open_assignments: 0,
                created_at: noon(),
                expires_at,
                closes_at,
                is_repeated,
                ended_at: None,
            },
            assignments: Vec::new(),
            results: Vec::new(),
            entries: Vec::new(),
        };
        for &(planned, state, results) in plans {
            world.assign(planned, STATES[state % STATES.len()], results.min(planned));
        }
        world.pay();
        world
    }

    fn assign(&mut self, planned: u32, state: AssignmentState, results: u32) {
        let probe = ProbeId::new();
        let it = &mut self.operation;
        let ended_at = state.is_ended().then_some(noon() + TimeDelta::minutes(30));
        let ends_at = lifecycle::open_until(state, it.expires_at, it.closes_at);
        // What is refused or expired was given back.
        let paid = match state {
            AssignmentState::Refused | AssignmentState::Expired => results,
            _ => planned,
        };
        it.charged += it.run_price * i64::from(planned);
        it.refunded += it.run_price * i64::from(planned - paid);
        it.open_assignments += i64::from(ended_at.is_none());
        self.assignments.push(AssignmentFacts {
            operation: it.id,
            probe,
            state,
            planned_runs: paid.into(),
            results: results.into(),
            run_price: Some(it.run_price),
            ended_at,
            ends_at: ended_at.is_none().then_some(ends_at),
        });
        for number in 0..results {
            it.last_seq += 1;
            self.results.push(ResultFacts {
                operation: it.id,
                seq: it.last_seq,
                probe,
                rewarded: number % 2 == 0,
                started_at: noon() + TimeDelta::minutes(10),
                received_at: noon() + TimeDelta::minutes(11),
                clock: None,
            });
        }
        it.ended_at = (it.open_assignments == 0).then_some(noon() + TimeDelta::minutes(30));
    }

    /// Enters what was charged, given back and rewarded, in a ledger that begins with a grant.
    fn pay(&mut self) {
        let it = &self.operation;
        let grant = it.charged + 7;
        let (mut amounts, id) = (vec![(LedgerReason::Grant, grant)], it.id);
        if it.charged != 0 {
            amounts.push((LedgerReason::Charge, -it.charged));
        }
        if it.refunded != 0 {
            amounts.push((LedgerReason::Refund, it.refunded));
        }
        let rewarded = self.results.iter().filter(|one| one.rewarded);
        amounts.extend(rewarded.map(|_| (LedgerReason::Reward, 10)));
        let mut balance = 0;
        for (number, (reason, amount)) in (1..).zip(amounts) {
            balance += amount;
            self.entries.push(EntryFacts {
                user: it.owner,
                number,
                amount,
                balance,
                reason,
                operation: (reason != LedgerReason::Grant).then_some(id),
                probe: None,
            });
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for result in &self.results {
            tally.add(&self.operation, result);
        }
        tally
    }

    fn user(&self) -> UserFacts {
        let last = self.entries.last().unwrap();
        UserFacts {
            id: self.operation.owner,
            credits: last.balance,
            entries: Some(last.number),
            newest: Some((last.number, last.balance)),
        }
    }

    fn findings_where(&self, forgotten: bool) -> Vec<Finding> {
        let (tally, mut said) = (self.tally(), Sums::default());
        let mut found = operation(&self.operation, &self.assignments, &tally, forgotten);
        let mut ledger = Ledger::default();
        for entry in &self.entries {
            found.extend(ledger.next(entry));
            if entry.operation == Some(self.operation.id) {
                said.add(entry);
            }
        }
        found.extend(sums(&self.operation, &tally, &said, forgotten, false));
        found
    }

    fn rules(&self) -> Vec<Rule> {
        let found = self.findings_where(false);
        found.iter().map(|finding| finding.rule).collect()
    }
}

/// Two probes: one at work with results, one that has finished.
fn usual() -> World {
    World::of(3, true, &[(5, 2, 3), (2, 3, 2)])
}

/// Damage, and what it is found as.
type Damage = (&'static str, fn(&mut World), &'static [Rule]);

const DAMAGES: &[Damage] = &[
    (
        "counts an open assignment too much",
        |world| world.operation.open_assignments += 1,
        &[Rule::OpenAssignments],
    ),
    (
        "ended too early",
        |world| world.operation.ended_at = Some(noon()),
        &[Rule::Ended],
    ),
    (
        "closes too early",
        |world| {
            world.operation.closes_at = noon() + TimeDelta::minutes(59);
            world.assignments[0].ends_at = Some(world.operation.closes_at);
        },
        &[Rule::Closes],
    ),
    (
        "gave back too much",
        |world| world.operation.refunded = world.operation.charged + 1,
        &[Rule::Refunded, Rule::LedgerRefund],
    ),
    (
        "plans what was not paid",
        |world| world.assignments[0].planned_runs += 1,
        &[Rule::Price],
    ),
    (
        "counts a result too much",
        |world| world.assignments[0].results += 1,
        &[Rule::AssignmentResults],
    ),
    (
        "counts more results than runs",
        |world| world.assignments[1].results += 1,
        &[Rule::OverPlan, Rule::AssignmentResults],
    ),
    (
        "has another price",
        |world| world.assignments[0].run_price = Some(99),
        &[Rule::AssignmentPrice],
    ),
    (
        "has ended and has not",
        |world| world.assignments[1].ended_at = None,
        &[Rule::AssignmentState],
    ),
    (
        "ends at another time",
        |world| world.assignments[0].ends_at = Some(noon()),
        &[Rule::AssignmentEnd],
    ),
    (
        "would end again",
        |world| world.assignments[1].ends_at = Some(noon()),
        &[Rule::AssignmentEnd],
    ),
    (
        "counts a number too much",
        |world| world.operation.last_seq += 1,
        &[Rule::ResultNumbers],
    ),
    (
        "has a number twice",
        |world| world.results[1].seq = 1,
        &[Rule::ResultNumbers],
    ),
    (
        "has a late result",
        |world| world.results[0].started_at = world.operation.closes_at + TimeDelta::seconds(1),
        &[Rule::ResultLate],
    ),
    (
        "was not charged",
        |world| world.entries[1].operation = None,
        &[Rule::LedgerCharge],
    ),
    (
        "was rewarded for nothing",
        |world| world.results[1].rewarded = true,
        &[Rule::LedgerReward],
    ),
    (
        "has results of a stranger",
        |world| {
            let probe = ProbeId::new();
            let of = world.assignments[0].probe;
            world.assignments[0].probe = probe;
            let theirs = world.results.iter_mut().filter(|one| one.probe == of);
            theirs.take(1).for_each(|one| one.probe = probe);
            world.assignments[0].results = 1;
        },
        &[Rule::Orphan],
    ),
];

#[test]
fn each_damage_is_found_as_what_it_is() {
    assert_eq!(usual().rules(), []);
    for (what, damage, expected) in DAMAGES {
        let mut world = usual();
        damage(&mut world);
        assert_eq!(world.rules(), *expected, "{what}");
        for finding in world.findings_where(false) {
            let of = (finding.operation, finding.user);
            assert!(of != (None, None), "{what}: {finding:?}");
        }
    }
}

#[test]
fn a_balance_is_its_newest_entry() {
    let user = usual().user();
    let rules = |user: UserFacts| -> Vec<Rule> {
        let found = account(&user);
        found.iter().map(|finding| finding.rule).collect()
    };
    let more = user.credits + 1;
    assert_eq!(
        rules(UserFacts {
            credits: more,
            ..user
        }),
        [Rule::Balance]
    );
    let uncounted = UserFacts {
        entries: None,
        ..user
    };
    assert_eq!(rules(uncounted), []);
    let entries = user.entries.map(|entries| entries + 1);
    assert_eq!(rules(UserFacts { entries, ..user }), [Rule::LedgerNumbers]);
    let nothing = UserFacts {
        credits: -1,
        entries: Some(0),
        newest: None,
        ..user
    };
    assert_eq!(rules(nothing), [Rule::Negative, Rule::Balance]);
}

#[test]
fn what_was_paid_for_elsewhere_is_older_than_its_ledger() {
    let mut world = usual();
    world
        .entries
        .retain(|entry| entry.reason != LedgerReason::Charge);
    let mut said = Sums::default();
    world.entries.iter().for_each(|entry| said.add(entry));
    let found = |imported| sums(&world.operation, &world.tally(), &said, false, imported);
    assert_eq!(found(true), []);
    assert_eq!(found(false)[0].rule, Rule::LedgerCharge);
    let after = |seconds| noon() + TimeDelta::seconds(seconds);
    let is_older = |first| is_older_than_its_ledger(&world.operation, first);
    assert!(is_older(Some(after(1))) && is_older(None));
    assert!(!is_older(Some(after(0))) && !is_older(Some(after(-1))));
}

#[test]
fn a_load_is_counted_where_it_is_kept() {
    let probe = ProbeFacts {
        id: ProbeId::new(),
        owner: UserId::new(),
        load: Some((3, 3)),
    };
    assert_eq!(load(&probe), None);
    let none = ProbeFacts {
        load: None,
        ..probe
    };
    assert_eq!(load(&none), None);
    let wrong = ProbeFacts {
        load: Some((3, 2)),
        ..probe
    };
    assert_eq!(load(&wrong).unwrap().repair, Some(Repair::Load(probe.id)));
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    for rule in Rule::ALL {
        let name = serde_json::to_value(rule).unwrap();
        assert_eq!(name, rule.as_str());
    }
}

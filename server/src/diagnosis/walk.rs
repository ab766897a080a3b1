//! The way through everything: users, probes, then operations with their assignments and results, then ledgers. Each page
//! of facts is of one moment, and what is compared between two pages is only what never changes, so a hub that works
//! meanwhile is never taken for damage. [`ledgers`] compares ledgers with operations.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use probe_protocol::OperationId;

use super::{
    Company, Found,
    clocks::{CLOCKS_ARE_KNOWN_FOR, ProbeClocks},
    report::LookedAt,
};
use crate::{
    domain::audit::{
        AssignmentFacts, Finding, OperationFacts, ResultFacts, Rule, Tally, Thing, account, load,
        operation,
    },
    store::{Edge, Store, Stored, Unreadable},
};

mod ledgers;

use ledgers::Account;

/// Users and probes of a page.
const PEOPLE_AT_ONCE: usize = 200;
/// Operations of a page, with their assignments, of which one may have thousands.
const OPERATIONS_AT_ONCE: usize = 50;
/// Results of a page: a read of some milliseconds.
const RESULTS_AT_ONCE: usize = 2000;
/// Operations that are held against one passage through all ledgers: some 30 MB of memory.
const OPERATIONS_A_PASSAGE: usize = 100_000;
/// Things whose being there is asked for in one query.
const THINGS_AT_ONCE: usize = 1000;
/// Things that are known to be there, so that nobody asks again; forgotten when there are more, some 10 MB.
const MOST_PRESENT: usize = 200_000;

/// What a walk brings home.
pub(super) struct Walked {
    pub(super) found: Found,
    pub(super) looked_at: LookedAt,
    pub(super) clocks: ProbeClocks,
}

/// See the module.
struct Walk<'a> {
    store: &'a dyn Store,
    company: &'a mut dyn Company,
    /// Whether results may have been forgotten.
    forgets: bool,
    /// Clocks are known by results since then.
    clocks_since: DateTime<Utc>,
    walked: Walked,
    present: HashSet<Thing>,
}

/// An operation with all that belongs to it.
struct Whole {
    facts: OperationFacts,
    assignments: Vec<AssignmentFacts>,
    results: Tally,
    /// Whether all assignments could be read.
    is_whole: bool,
}

/// Goes through everything.
pub(super) async fn walk(
    store: &dyn Store,
    forgets: bool,
    now: DateTime<Utc>,
    company: &mut dyn Company,
) -> Stored<Walked> {
    let mut walk = Walk {
        store,
        company,
        forgets,
        clocks_since: now - CLOCKS_ARE_KNOWN_FOR,
        walked: Walked {
            found: Found::default(),
            looked_at: LookedAt::default(),
            clocks: ProbeClocks::new(),
        },
        present: HashSet::new(),
    };
    walk.inspect().await?;
    walk.users().await?;
    walk.probes().await?;
    let (mut after, mut is_first) = (None, true);
    loop {
        let (accounts, end) = walk.operations(after).await?;
        if is_first || !accounts.is_empty() {
            walk.ledgers(accounts, is_first).await?;
        }
        (after, is_first) = (end, false);
        if after.is_none() {
            return Ok(walk.walked);
        }
    }
}

impl Walk<'_> {
    fn unreadable(&mut self, things: Vec<Unreadable>) {
        self.walked
            .found
            .extend(things.into_iter().map(|thing| Finding {
                user: thing.user,
                probe: thing.probe,
                operation: thing.operation,
                ..Finding::of(Rule::Unreadable, format!("{}: {}", thing.name, thing.why))
            }));
    }

    async fn inspect(&mut self) -> Stored<()> {
        self.company.between("the database itself", 0).await?;
        let found = self.store.inspect().await?;
        let findings = found.into_iter().map(|what| Finding::of(Rule::Store, what));
        self.walked.found.extend(findings);
        Ok(())
    }

    async fn users(&mut self) -> Stored<()> {
        let mut after = None;
        loop {
            let page = self
                .store
                .user_facts(after.as_ref(), PEOPLE_AT_ONCE)
                .await?;
            self.walked.looked_at.users += whole(page.read.len() + page.unreadable.len());
            for user in &page.read {
                self.walked.found.extend(account(user));
            }
            self.unreadable(page.unreadable);
            let done = self.walked.looked_at.users;
            self.company.between("users", done).await?;
            after = page.end;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn probes(&mut self) -> Stored<()> {
        let mut after = None;
        loop {
            let page = self
                .store
                .probe_facts(after.as_ref(), PEOPLE_AT_ONCE)
                .await?;
            self.walked.looked_at.probes += whole(page.read.len() + page.unreadable.len());
            let owners = page.read.iter().map(|probe| Thing::User(probe.owner));
            let absent = self.absent(owners.collect()).await?;
            for probe in &page.read {
                self.walked.found.extend(load(probe));
                if absent.contains(&Thing::User(probe.owner)) {
                    let what = "the user who hosts it is not there";
                    let finding = Finding::of(Rule::Orphan, what).probe(probe.id);
                    self.walked.found.add(finding.user(probe.owner));
                }
            }
            self.unreadable(page.unreadable);
            let done = self.walked.looked_at.probes;
            self.company.between("probes", done).await?;
            after = page.end;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Those of these that are not there.
    async fn absent(&mut self, things: HashSet<Thing>) -> Stored<HashSet<Thing>> {
        if self.present.len() > MOST_PRESENT {
            self.present.clear();
        }
        let asked: Vec<Thing> = things.difference(&self.present).copied().collect();
        let mut absent = HashSet::new();
        for some in asked.chunks(THINGS_AT_ONCE) {
            absent.extend(self.store.absent(some.to_vec()).await?);
        }
        let present = asked.into_iter().filter(|thing| !absent.contains(thing));
        self.present.extend(present);
        Ok(absent)
    }

    /// Operations behind an edge, as many as ledgers are held against at a time: what ledgers should say of them, and where
    /// they end.
    async fn operations(
        &mut self,
        mut after: Option<Edge>,
    ) -> Stored<(HashMap<OperationId, Account>, Option<Edge>)> {
        let mut accounts = HashMap::new();
        loop {
            let end = self.some_operations(after.as_ref(), &mut accounts).await?;
            let done = self.walked.looked_at.operations;
            self.company.between("operations", done).await?;
            if end.is_none() || accounts.len() >= OPERATIONS_A_PASSAGE {
                return Ok((accounts, end));
            }
            after = end;
        }
    }

    async fn some_operations(
        &mut self,
        after: Option<&Edge>,
        accounts: &mut HashMap<OperationId, Account>,
    ) -> Stored<Option<Edge>> {
        let (operations, assignments) = self
            .store
            .operation_facts(after, OPERATIONS_AT_ONCE)
            .await?;
        let looked = &mut self.walked.looked_at;
        looked.operations += whole(operations.read.len() + operations.unreadable.len());
        looked.assignments += whole(assignments.read.len() + assignments.unreadable.len());
        let mut wholes: HashMap<OperationId, Whole> = HashMap::new();
        for facts in operations.read {
            let it = Whole {
                facts,
                assignments: Vec::new(),
                results: Tally::default(),
                is_whole: true,
            };
            wholes.insert(facts.id, it);
        }
        let mut strays: Vec<(OperationId, Finding)> = Vec::new();
        for assignment in assignments.read {
            match wholes.get_mut(&assignment.operation) {
                Some(it) => it.assignments.push(assignment),
                None => strays.push(stray_assignment(&assignment)),
            }
        }
        for thing in &assignments.unreadable {
            if let Some(it) = thing.operation.and_then(|id| wholes.get_mut(&id)) {
                it.is_whole = false;
            }
        }
        let end = operations.end;
        self.unreadable(operations.unreadable);
        self.unreadable(assignments.unreadable);
        self.results(after, end.as_ref(), &mut wholes, &mut strays)
            .await?;
        self.orphans(strays).await?;
        self.judge(wholes, accounts).await?;
        Ok(end)
    }

    /// Counts the results of operations between two edges.
    async fn results(
        &mut self,
        after: Option<&Edge>,
        last: Option<&Edge>,
        wholes: &mut HashMap<OperationId, Whole>,
        strays: &mut Vec<(OperationId, Finding)>,
    ) -> Stored<()> {
        let mut after = after.cloned();
        let mut stray = None;
        loop {
            let page = self
                .store
                .result_facts(after.as_ref(), last, RESULTS_AT_ONCE);
            let page = page.await?;
            self.walked.looked_at.results += whole(page.read.len() + page.unreadable.len());
            for result in &page.read {
                self.note_clock(result);
                match wholes.get_mut(&result.operation) {
                    Some(it) => it.results.add(&it.facts, result),
                    // One finding for all results of an operation.
                    None if stray == Some(result.operation) => {}
                    None => {
                        stray = Some(result.operation);
                        strays.push(stray_result(result));
                    }
                }
            }
            for thing in &page.unreadable {
                if let Some(it) = thing.operation.and_then(|id| wholes.get_mut(&id)) {
                    it.results.is_partial = true;
                }
            }
            self.unreadable(page.unreadable);
            after = page.end;
            if after.is_none() {
                return Ok(());
            }
            let done = self.walked.looked_at.results;
            self.company.between("results", done).await?;
        }
    }

    fn note_clock(&mut self, result: &ResultFacts) {
        let Some(clock) = result.clock else { return };
        if result.received_at < self.clocks_since {
            return;
        }
        let known = self.walked.clocks.entry(result.probe);
        let known = known.or_insert((result.received_at, clock));
        if known.0 <= result.received_at {
            *known = (result.received_at, clock);
        }
    }

    /// What names operations that were not among those of its page: some were made meanwhile, others cannot be read.
    async fn orphans(&mut self, strays: Vec<(OperationId, Finding)>) -> Stored<()> {
        let named = strays.iter().map(|(id, _)| Thing::Operation(*id));
        let absent = self.absent(named.collect()).await?;
        let orphans = strays
            .into_iter()
            .filter(|(id, _)| absent.contains(&Thing::Operation(*id)));
        self.walked
            .found
            .extend(orphans.map(|(_, finding)| finding));
        Ok(())
    }

    async fn judge(
        &mut self,
        wholes: HashMap<OperationId, Whole>,
        accounts: &mut HashMap<OperationId, Account>,
    ) -> Stored<()> {
        let mut named: HashSet<Thing> = HashSet::new();
        for it in wholes.values() {
            named.insert(Thing::User(it.facts.owner));
            let probes = it.assignments.iter().map(|one| Thing::Probe(one.probe));
            named.extend(probes);
        }
        let absent = self.absent(named).await?;
        let mut wholes: Vec<Whole> = wholes.into_values().collect();
        wholes.sort_unstable_by_key(|it| it.facts.id);
        for mut it in wholes {
            let owner = it.facts.owner;
            if absent.contains(&Thing::User(owner)) {
                let what = "the user who pays is not there";
                let finding = Finding::of(Rule::Orphan, what).operation(it.facts.id);
                self.walked.found.add(finding.user(owner));
            }
            for one in &it.assignments {
                if absent.contains(&Thing::Probe(one.probe)) {
                    let what = "it is assigned to a probe that is not there";
                    let finding = Finding::of(Rule::Orphan, what).operation(it.facts.id);
                    self.walked.found.add(finding.probe(one.probe));
                }
            }
            self.confirm_beyond(&mut it).await?;
            // What cannot be read may be what is missing.
            if it.is_whole {
                let findings = operation(&it.facts, &it.assignments, &it.results, self.forgets);
                self.walked.found.extend(findings);
            }
            accounts.insert(it.facts.id, Account::of(&it.facts, &it.results));
        }
        Ok(())
    }

    /// Results with numbers beyond the operation's count came meanwhile, as a rule: then it counts them by now.
    async fn confirm_beyond(&mut self, it: &mut Whole) -> Stored<()> {
        if let Some(seq) = it.results.beyond {
            let now = self.store.operation(it.facts.id).await?;
            let counts =
                now.is_some_and(|now| u64::try_from(seq).is_ok_and(|seq| now.last_seq >= seq));
            it.results.beyond = it.results.beyond.filter(|_| !counts);
        }
        Ok(())
    }
}

fn stray_assignment(assignment: &AssignmentFacts) -> (OperationId, Finding) {
    let what = "an assignment of an operation that is not there";
    let finding = Finding::of(Rule::Orphan, what).operation(assignment.operation);
    (assignment.operation, finding.probe(assignment.probe))
}

fn stray_result(result: &ResultFacts) -> (OperationId, Finding) {
    let what = "results of an operation that is not there";
    let finding = Finding::of(Rule::Orphan, what).operation(result.operation);
    (result.operation, finding.probe(result.probe))
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

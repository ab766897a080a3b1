//! A store with short words for what the subjects do often. Every plan is made at [`noon`].

use std::{collections::HashSet, ops::Deref, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use probe_protocol::{OperationId, ProbeId, UserId};

use crate::{
    domain::{
        Agent, Assignment, AssignmentState, FIRST_GENERATION, Holdings, Operation, Plan, Probe,
        Refusal, credits,
    },
    store::{
        Change, Created, Lease, Opened, Outcome, Record, Report, Settled, Store, Stored, Verdict,
        What, Work,
    },
};
pub(super) use made::{
    agent, exactly, fresh_email, key, measured, new_probe, new_result, new_user, nine_runs,
    nothing, once, online,
};

mod made;

/// Targets of every plan; pings, so this is the price of one run too.
pub(super) const RUN_PRICE: i64 = 2;

/// Probes that are made in one transaction.
const FILLED_AT_ONCE: usize = 1000;

/// How long a lease lasts that no subject outlives.
const LONG: Duration = Duration::from_secs(600);

/// How long after its stop time a plan's runs still count.
pub(super) const GRACE: TimeDelta = TimeDelta::minutes(5);

/// When everything begins.
pub(super) fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

/// So many minutes after noon.
pub(super) fn at(minutes: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(minutes)
}

/// An empty store.
#[derive(Clone)]
pub(super) struct Hub(Arc<dyn Store>);

impl Deref for Hub {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Hub {
    pub(super) fn over(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// The store itself, where a subject wants a method of the port and not the one of the same name here.
    pub(super) fn port(&self) -> &dyn Store {
        &*self.0
    }

    /// A probe connects with its first token, which is good.
    pub(super) async fn settle(
        &self,
        probe: ProbeId,
        agent: Agent,
        holdings: Holdings,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Settled> {
        let generation = FIRST_GENERATION;
        let settled = self.0.settle(probe, generation, agent, holdings, at, limit);
        Ok(settled.await?.expect("a good token"))
    }

    /// A probe connects with a token of that generation; nothing where that is not good.
    pub(super) async fn settle_as(
        &self,
        generation: u32,
        probe: ProbeId,
        holdings: Holdings,
        at: DateTime<Utc>,
    ) -> Option<Settled> {
        let settled = self.0.settle(probe, generation, agent(60), holdings, at, 3);
        settled.await.unwrap()
    }

    /// Somebody with so many credits.
    pub(super) async fn somebody(&self, credits: i64) -> UserId {
        let user = self.create_user(new_user(&fresh_email())).await.unwrap();
        if credits > 0 {
            self.grant(user.id, credits, noon(), None).await.unwrap();
        }
        user.id
    }

    /// A probe that never said hello: it can run anything.
    pub(super) async fn host(&self, owner: UserId) -> ProbeId {
        let made = self.create_probe(new_probe(owner), None).await;
        made.unwrap().into_inner().id
    }

    /// So many probes; faster than [`Hub::host`] where they are thousands.
    pub(super) async fn hosts(&self, owner: UserId, number: usize) -> Vec<ProbeId> {
        let example = self.create_probe(new_probe(owner), None).await;
        let example = example.unwrap().into_inner();
        let mut probes = vec![example.id];
        while probes.len() < number {
            let some = (number - probes.len()).min(FILLED_AT_ONCE);
            let record = |id| Record::Probe {
                probe: Probe {
                    id,
                    ..example.clone()
                },
                deleted_at: None,
            };
            let ids: Vec<ProbeId> = (0..some).map(|_| ProbeId::new()).collect();
            let records = ids.iter().map(|&id| record(id)).collect();
            assert_eq!(self.fill(records).await.unwrap(), some);
            probes.extend(ids);
        }
        probes
    }

    /// Somebody with 1,000 credits, and a probe of somebody else.
    pub(super) async fn pair(&self) -> (UserId, ProbeId) {
        let host = self.somebody(0).await;
        (self.somebody(1000).await, self.host(host).await)
    }

    pub(super) async fn try_open(
        &self,
        plan: Plan,
        probes: &[ProbeId],
    ) -> Stored<Result<Created<Opened>, Refusal>> {
        self.open(plan, probes.iter().map(|&id| online(id)).collect(), None)
            .await
    }

    /// Opens an operation on these probes.
    pub(super) async fn opened(&self, plan: Plan, probes: &[ProbeId]) -> OperationId {
        match self.try_open(plan, probes).await.unwrap().unwrap() {
            Created::New(opened) => opened.operation.plan.id,
            Created::Before(_) => panic!("was opened before"),
        }
    }

    /// One report of the probe's newest session.
    pub(super) async fn report(
        &self,
        operation: OperationId,
        probe: ProbeId,
        at: DateTime<Utc>,
        what: What,
    ) -> Outcome {
        let session = self.sessions(probe).await;
        self.report_of(session, operation, probe, at, what).await
    }

    /// How many sessions a probe has had; none where it was deleted.
    pub(super) async fn sessions(&self, probe: ProbeId) -> u64 {
        let found = self.probe(probe).await.unwrap();
        found.map_or(0, |probe| probe.sessions)
    }

    /// One report of that session.
    pub(super) async fn report_of(
        &self,
        session: u64,
        operation: OperationId,
        probe: ProbeId,
        at: DateTime<Utc>,
        what: What,
    ) -> Outcome {
        let report = Report {
            probe,
            operation,
            session,
            at,
            what,
        };
        self.record(Arc::new(vec![report])).await.unwrap().remove(0)
    }

    /// Reports a result whose run began when it is reported.
    pub(super) async fn send(
        &self,
        operation: OperationId,
        probe: ProbeId,
        at: DateTime<Utc>,
        code: &str,
    ) -> Outcome {
        self.report(operation, probe, at, measured(code, at)).await
    }

    /// Reports that it was delivered and accepted.
    pub(super) async fn accept(
        &self,
        operation: OperationId,
        probe: ProbeId,
        at: DateTime<Utc>,
    ) -> Outcome {
        self.report(operation, probe, at, What::Delivered).await;
        self.report(operation, probe, at, What::Accepted).await
    }

    /// The lease of a work.
    pub(super) async fn leased(&self, work: Work) -> Lease {
        let lease = self.lease(work, "the hub", LONG).await;
        lease.unwrap().expect("nobody else asks for it")
    }

    /// The port's method, with its lease; so are the next ones.
    pub(super) async fn end_overdue(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Vec<Change>> {
        let lease = self.leased(Work::EndOverdue).await;
        self.0.end_overdue(&lease, now, limit).await
    }

    pub(super) async fn forget_keys(&self, before: DateTime<Utc>) -> Stored<()> {
        let lease = self.leased(Work::ForgetKeys).await;
        self.0.forget_keys(&lease, before).await
    }

    pub(super) async fn forget_results(
        &self,
        before: DateTime<Utc>,
        limit: usize,
    ) -> Stored<usize> {
        let lease = self.leased(Work::ForgetResults).await;
        self.0.forget_results(&lease, before, limit).await
    }

    pub(super) async fn assignment(&self, operation: OperationId, probe: ProbeId) -> Assignment {
        let found = self.assignments(operation).await.unwrap();
        found.into_iter().find(|it| it.probe == probe).unwrap()
    }

    pub(super) async fn state(&self, operation: OperationId, probe: ProbeId) -> AssignmentState {
        self.assignment(operation, probe).await.state
    }

    pub(super) async fn kept(&self, operation: OperationId) -> Operation {
        self.operation(operation).await.unwrap().unwrap()
    }

    pub(super) async fn balance(&self, user: UserId) -> i64 {
        self.user(user).await.unwrap().unwrap().credits
    }

    pub(super) async fn load(&self, probe: ProbeId) -> i64 {
        self.probe(probe).await.unwrap().unwrap().load
    }

    /// Credits given back to a user, one number an entry, oldest first.
    pub(super) async fn refunds(&self, user: UserId) -> Vec<i64> {
        let mut ledger = self.ledger(user, None, usize::MAX).await.unwrap();
        ledger.reverse();
        ledger
            .iter()
            .filter(|entry| entry.reason == credits::LedgerReason::Refund)
            .map(|entry| entry.amount)
            .collect()
    }

    /// Holds what is kept to what must always be true. `probes` are those that were not deleted.
    pub(super) async fn check(
        &self,
        users: &[UserId],
        probes: &[ProbeId],
        operations: &[OperationId],
    ) {
        for &user in users {
            self.check_ledger(user).await;
        }
        let mut open = Vec::new();
        for &operation in operations {
            let kept = self.kept(operation).await;
            let assignments = self.assignments(operation).await.unwrap();
            let planned: i64 = assignments
                .iter()
                .map(|it| i64::from(it.planned_runs))
                .sum();
            let price = i64::from(kept.plan.run_price);
            assert_eq!(kept.charged - kept.refunded, price * planned);
            assert!(assignments.iter().all(|it| it.results <= it.planned_runs));
            let ended = assignments.iter().all(|it| it.state.is_ended());
            assert_eq!(kept.ended_at.is_some(), ended);
            self.check_numbers(&kept, &assignments).await;
            open.extend(
                assignments
                    .iter()
                    .filter(|it| !it.state.is_ended())
                    .map(|it| (it.probe, price)),
            );
        }
        for &probe in probes {
            let prices = open.iter().filter(|(of, _)| *of == probe);
            let load: i64 = prices.map(|(_, price)| price).sum();
            assert_eq!(self.load(probe).await, load);
        }
    }

    async fn check_ledger(&self, user: UserId) {
        let mut ledger = self.ledger(user, None, usize::MAX).await.unwrap();
        ledger.reverse();
        let mut balance = 0;
        for entry in &ledger {
            balance += entry.amount;
            assert!(balance >= 0 && entry.amount != 0);
            assert_eq!(entry.balance, balance);
        }
        assert_eq!(self.balance(user).await, balance);
    }

    async fn check_numbers(&self, kept: &Operation, assignments: &[Assignment]) {
        let rows = self.results(kept.plan.id, 0, usize::MAX, usize::MAX);
        let rows = rows.await.unwrap();
        let numbers: Vec<u64> = rows.iter().map(|row| row.seq).collect();
        assert_eq!(numbers, (1..=kept.last_seq).collect::<Vec<_>>());
        let names: HashSet<_> = rows
            .iter()
            .map(|row| (row.probe, &row.result.code))
            .collect();
        assert_eq!(names.len(), rows.len());
        for it in assignments {
            let of_probe = rows.iter().filter(|row| row.probe == it.probe);
            assert_eq!(of_probe.count(), it.results as usize);
        }
    }
}

/// The verdict and the state that it changed to.
pub(super) fn brief(outcome: &Outcome) -> (Verdict, Option<AssignmentState>) {
    (outcome.verdict, outcome.changed.map(|change| change.state))
}

/// The states that were changed to.
pub(super) fn states(changes: &[Change]) -> Vec<AssignmentState> {
    changes.iter().map(|change| change.state).collect()
}

//! Money under whatever happens: random histories of everything that moves credits, held to what must always be true.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{OperationId, ProbeId, Schedule, UserId, Whole};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use super::fixture::{Hub, exactly, new_result, noon, once, online};
use crate::{
    domain::{AssignmentState, FIRST_GENERATION, Holdings, Offline, Plan, operation},
    store::{NewResult, Settled, Store, What},
};

/// Histories tried; each takes some dozens of commits.
const HISTORIES: u32 = 24;
/// Longest history, steps.
const LONGEST: usize = 60;
/// Steps between two looks at everything.
const LOOK_EVERY: usize = 10;

/// Something that happens; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Open {
        user: usize,
        probes: u8,
        minutes: i64,
        grace: i64,
    },
    Report {
        operation: usize,
        probe: usize,
        what: u8,
    },
    Result {
        operation: usize,
        probe: usize,
        code: u8,
        ago: i64,
        measured: bool,
    },
    Settle {
        probe: usize,
        held: u64,
    },
    SettleByWorth {
        probe: usize,
        worth: u32,
    },
    Cancel {
        operation: usize,
    },
    Delete {
        probe: usize,
    },
    End {
        limit: usize,
    },
    Grant {
        user: usize,
        credits: i64,
    },
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let index = || 0_usize..1000;
    let step = prop_oneof![
        4 => (index(), 1_u8..16, prop_oneof![Just(0), 2_i64..30], 0_i64..8)
            .prop_map(|(user, probes, minutes, grace)| Step::Open { user, probes, minutes, grace }),
        6 => (index(), index(), 0_u8..6)
            .prop_map(|(operation, probe, what)| Step::Report { operation, probe, what }),
        10 => (index(), index(), 0_u8..40, 0_i64..5, prop::bool::weighted(0.8)).prop_map(
            |(operation, probe, code, ago, measured)| Step::Result { operation, probe, code, ago, measured }),
        3 => (index(), any::<u64>()).prop_map(|(probe, held)| Step::Settle { probe, held }),
        3 => (index(), 0_u32..9).prop_map(|(probe, worth)| Step::SettleByWorth { probe, worth }),
        2 => index().prop_map(|operation| Step::Cancel { operation }),
        1 => index().prop_map(|probe| Step::Delete { probe }),
        2 => (1_usize..9).prop_map(|limit| Step::End { limit }),
        1 => (index(), 1_i64..50).prop_map(|(user, credits)| Step::Grant { user, credits }),
    ];
    // Mostly minutes pass, now and then a week.
    let pause = prop_oneof![20 => 0_i64..4, 1 => 10_000_i64..11_000];
    (pause, step)
}

/// Plays random histories. Needs a runtime with more than one thread.
pub(super) async fn never_goes_astray(make: impl AsyncFn() -> Arc<dyn Store>) {
    let mut runner = TestRunner::new(Config {
        cases: HISTORIES,
        failure_persistence: None,
        ..Config::default()
    });
    let played = runner.run(&vec(step(), 1..LONGEST), |steps| {
        block_in_place(|| {
            Handle::current().block_on(async {
                World::new(Hub::over(make().await)).await.play(steps).await;
            });
        });
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

/// The store and what was made in it.
struct World {
    hub: Hub,
    now: DateTime<Utc>,
    users: Vec<UserId>,
    /// All ever made; `gone` are deleted.
    probes: Vec<ProbeId>,
    gone: Vec<ProbeId>,
    operations: Vec<OperationId>,
}

impl World {
    async fn new(hub: Hub) -> Self {
        let (rich, poor) = (hub.somebody(2000).await, hub.somebody(40).await);
        let mut probes = Vec::new();
        for owner in [rich, poor, poor, poor] {
            probes.push(hub.host(owner).await);
        }
        Self {
            hub,
            now: noon(),
            users: vec![rich, poor],
            probes,
            gone: Vec::new(),
            operations: Vec::new(),
        }
    }

    async fn play(mut self, steps: Vec<(i64, Step)>) {
        for (number, (pause, step)) in steps.into_iter().enumerate() {
            self.now += TimeDelta::minutes(pause);
            self.happen(step).await;
            if number % LOOK_EVERY == 0 {
                self.look().await;
            }
        }
        self.look().await;
    }

    async fn look(&self) {
        let live = |probe: &&ProbeId| !self.gone.contains(probe);
        let probes: Vec<_> = self.probes.iter().filter(live).copied().collect();
        self.hub.check(&self.users, &probes, &self.operations).await;
        self.check_rewards().await;
    }

    /// The sum of all rewards is ten for each result that says so.
    async fn check_rewards(&self) {
        let (mut rewards, mut rewarded) = (0, 0);
        for &user in &self.users {
            let ledger = self.hub.ledger(user, None, usize::MAX).await.unwrap();
            let reward = ledger.iter().filter(|it| it.reason.as_str() == "reward");
            rewards += reward.map(|it| it.amount).sum::<i64>();
        }
        for &operation in &self.operations {
            let rows = self.hub.results(operation, 0, usize::MAX, usize::MAX);
            let rows = rows.await.unwrap();
            rewarded += rows.iter().filter(|row| row.rewarded).count();
        }
        assert_eq!(rewards, 10 * i64::try_from(rewarded).unwrap());
    }

    fn probe(&self, index: usize) -> ProbeId {
        self.probes[index % self.probes.len()]
    }

    fn user(&self, index: usize) -> UserId {
        self.users[index % self.users.len()]
    }

    fn operation(&self, index: usize) -> OperationId {
        match self.operations.as_slice() {
            [] => OperationId::new(),
            all => all[index % all.len()],
        }
    }

    async fn happen(&mut self, step: Step) {
        let (hub, now) = (self.hub.clone(), self.now);
        match step {
            Step::Open {
                user,
                probes,
                minutes,
                grace,
            } => {
                let mut plan = plan(self.user(user), minutes, now);
                plan.closes_at = plan.expires_at + TimeDelta::minutes(grace);
                self.open(plan, probes).await;
            }
            Step::Report {
                operation,
                probe,
                what,
            } => {
                let (operation, probe) = (self.operation(operation), self.probe(probe));
                hub.report(operation, probe, now, state(what)).await;
            }
            Step::Result {
                operation,
                probe,
                code,
                ago,
                measured,
            } => {
                let (operation, probe) = (self.operation(operation), self.probe(probe));
                let result = NewResult {
                    measured,
                    ..new_result(&code.to_string(), now - TimeDelta::minutes(ago))
                };
                let what = What::Result(Box::new(result));
                hub.report(operation, probe, now, what).await;
            }
            Step::Settle { probe, held } => {
                self.settle(self.probe(probe), held).await;
            }
            Step::SettleByWorth { probe, worth } => {
                self.settle_by_worth(self.probe(probe), worth).await;
            }
            Step::Cancel { operation } => {
                hub.cancel(self.operation(operation), now).await.unwrap();
            }
            Step::Delete { probe } => {
                let probe = self.probe(probe);
                hub.delete_probe(probe, now).await.unwrap();
                self.gone.push(probe);
            }
            Step::End { limit } => {
                let ended = hub.end_overdue(now, limit).await.unwrap();
                assert!(ended.len() <= limit);
            }
            Step::Grant { user, credits } => {
                let user = self.user(user);
                hub.grant(user, credits, now, None).await.unwrap();
            }
        }
    }

    async fn settle(&self, probe: ProbeId, held: u64) {
        let held = exactly(&self.some_operations(held));
        if let Some(settled) = self.hello(probe, held).await {
            assert!(settled.offers.len() <= 3);
        }
    }

    /// What a probe finds; nothing where it is deleted.
    async fn hello(&self, probe: ProbeId, held: Holdings) -> Option<Settled> {
        let settled = self.hub.settle_as(FIRST_GENERATION, probe, held, self.now);
        let settled = settled.await;
        assert_eq!(settled.is_none(), self.gone.contains(&probe));
        settled
    }

    /// What has left comes back only where it is dearer than what is said.
    async fn settle_by_worth(&self, probe: ProbeId, worth: u32) {
        let held = Holdings::Worth {
            credits: worth,
            said_at: self.now,
        };
        let Some(settled) = self.hello(probe, held).await else {
            return;
        };
        assert!(settled.offers.len() <= 3 && settled.cancel.is_empty());
        for change in settled.changed {
            let price = self.hub.kept(change.operation).await.plan.run_price;
            assert_eq!(change.state != AssignmentState::Accepted, price > worth);
        }
    }

    fn some_operations(&self, bits: u64) -> Vec<OperationId> {
        let all = self.operations.iter().enumerate();
        all.filter(|(bit, _)| bits >> (bit % 64) & 1 == 1)
            .map(|(_, id)| *id)
            .collect()
    }

    async fn open(&mut self, plan: Plan, probes: u8) {
        let chosen = self.probes.iter().enumerate();
        let candidates = chosen
            .filter(|(bit, _)| probes >> bit & 1 == 1)
            .map(|(_, id)| online(*id))
            .collect();
        let id = plan.id;
        let opened = self.hub.open(plan, candidates, None).await.unwrap();
        if opened.is_ok() {
            self.operations.push(id);
        }
    }
}

fn state(number: u8) -> What {
    match number {
        0 => What::Delivered,
        1 => What::Accepted,
        2 => What::Refused("no".to_owned()),
        3 => What::Claimed,
        4 => What::Unusable,
        _ => What::Finished,
    }
}

/// Every minute for so many minutes, or once.
fn plan(owner: UserId, minutes: i64, now: DateTime<Utc>) -> Plan {
    let schedule = (minutes > 0).then(|| Schedule {
        cron: "* * * * *".parse().unwrap(),
        times_per_minute: Whole::new(1).unwrap(),
        stop_time: now + TimeDelta::minutes(minutes),
    });
    let expires_at = schedule
        .as_ref()
        .map_or(now + operation::ONCE_WAITS, |schedule| schedule.stop_time);
    Plan {
        planned_runs: operation::planned_runs(schedule.as_ref(), now),
        expires_at,
        closes_at: expires_at,
        schedule,
        offline: Offline::Skip,
        created_at: now,
        ..once(owner)
    }
}

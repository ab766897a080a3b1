//! A small world to develop with: people, probes at real places, operations in all their states, results. What it holds was
//! measured nowhere; how it got there is what happens in a hub: orders are read and planned by `domain`, contents by
//! `decode`, and the store charges, rewards and numbers. So every promise holds, and what a hub would refuse fails here.
//!
//! Works on a store only; no session, no bus, no HTTP, no clock of its own.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use probe_protocol::{ContentFormat, Kind, OperationId, ProbeId, TargetPolicy, UserId};
use serde_json::{Value, json};

use crate::{
    decode,
    domain::{
        Agent, Candidate, FIRST_GENERATION, Holdings, Location, Order, Plan, Presence, Probe,
    },
    store::{NewProbe, NewResult, NewUser, Report, Store, StoreError, Verdict, What},
};

mod cast;
mod contents;
mod fleet;

use cast::{PEOPLE, PLACES, Place};
pub(crate) use fleet::fleet;

/// When the story begins, hours before now: long enough for a history, short enough for a look at all of it.
const BEGINS: i64 = 72;
/// Credits that a probe's agent can have in use.
const AGENT_CREDITS: u32 = 200;
/// Most assignments that are offered to a probe that says hello: more than there are.
const OFFERS: usize = 100;
/// How long a run takes.
const RUN_TAKES: TimeDelta = TimeDelta::seconds(4);

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct World {
    /// Addresses to log in with; the first is a superuser's.
    pub(crate) people: Vec<&'static str>,
    /// Probes with their owners' addresses.
    pub(crate) probes: Vec<(Probe, &'static str)>,
}

/// Why it could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rules have changed since the story was written.
    #[error("the story does not fit the rules: {0}")]
    Unfit(String),
}

fn unfit(what: impl std::fmt::Debug) -> SeedError {
    SeedError::Unfit(format!("{what:?}"))
}

/// Fills an empty store. Everybody has the password that was hashed.
///
/// # Errors
/// [`SeedError`]; then a part is there.
pub(crate) async fn fill(
    store: &dyn Store,
    password_hash: &str,
    grace: TimeDelta,
    now: DateTime<Utc>,
) -> Result<World, SeedError> {
    let mut story = Story {
        store,
        grace,
        now: now.trunc_subsecs(0),
        people: Vec::new(),
        probes: Vec::new(),
    };
    story.people_come(password_hash).await?;
    story.probes_are_set_up().await?;
    story.an_afternoon_of_pings().await?;
    story.a_night_of_pings().await?;
    story.some_names().await?;
    story.some_paths().await?;
    story.a_change_of_mind().await?;
    let running = story.what_is_running().await?;
    story.probes_are_there(running).await?;
    Ok(story.told())
}

/// What has happened so far.
struct Story<'a> {
    store: &'a dyn Store,
    grace: TimeDelta,
    now: DateTime<Utc>,
    people: Vec<UserId>,
    probes: Vec<Probe>,
}

/// What a probe says when it begins with an assignment.
fn beginning() -> [What; 2] {
    [What::Delivered, What::Accepted]
}

impl Story<'_> {
    /// So many hours ago.
    fn ago(&self, hours: i64) -> DateTime<Utc> {
        self.now - TimeDelta::hours(hours)
    }

    fn person(&self, number: usize) -> Result<UserId, SeedError> {
        let id = self.people.get(number).copied();
        id.ok_or_else(|| unfit("nobody has that number"))
    }

    async fn people_come(&mut self, password_hash: &str) -> Result<(), SeedError> {
        let begins = self.ago(BEGINS);
        for (number, (email, credits)) in PEOPLE.into_iter().enumerate() {
            let user = NewUser {
                email: email.to_owned(),
                password_hash: password_hash.to_owned(),
                is_superuser: number == 0,
                created_at: begins,
            };
            let id = self.store.create_user(user).await?.id;
            if credits > 0 {
                self.store.grant(id, credits, begins, None).await?;
            }
            self.people.push(id);
        }
        Ok(())
    }

    async fn probes_are_set_up(&mut self) -> Result<(), SeedError> {
        let at = self.ago(BEGINS - 1);
        for place in &PLACES {
            let probe = NewProbe {
                owner: self.person(place.owner)?,
                name: Some(place.name.to_owned()),
                location: Location {
                    longitude: place.longitude,
                    latitude: place.latitude,
                },
                created_at: at,
            };
            let probe = self.store.create_probe(probe, None).await?.into_inner();
            if place.is_used {
                self.hello(probe.id, Vec::new(), at).await?;
            }
            self.probes.push(probe);
        }
        Ok(())
    }

    /// An agent connects, and holds these operations.
    async fn hello(
        &self,
        probe: ProbeId,
        holds: Vec<OperationId>,
        at: DateTime<Utc>,
    ) -> Result<(), SeedError> {
        let agent = Agent {
            name: "pladmed-probe".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Kind::ALL.to_vec(),
            total_credits: AGENT_CREDITS,
        };
        let holdings = Holdings::Exactly(holds);
        self.store
            .settle(probe, FIRST_GENERATION, agent, holdings, at, OFFERS)
            .await?;
        Ok(())
    }

    /// An operation on the first so many probes, as a user orders it.
    async fn open(
        &self,
        owner: usize,
        mut body: Value,
        probes: &[Probe],
        at: DateTime<Utc>,
    ) -> Result<Plan, SeedError> {
        let ids: Vec<ProbeId> = probes.iter().map(|probe| probe.id).collect();
        body["probes"] = json!(ids);
        let order = Order::read(&body, TargetPolicy::Any, at).map_err(unfit)?;
        let owner = self.person(owner)?;
        let plan = Plan::of(order, OperationId::new(), owner, self.grace, at).map_err(unfit)?;
        let candidates = ids.iter().zip(&PLACES).map(|(&probe, place)| Candidate {
            probe,
            connected: place.is_used.then(Presence::default),
        });
        let opened = self
            .store
            .open(plan.clone(), candidates.collect(), None)
            .await?;
        opened.map_err(unfit)?;
        Ok(plan)
    }

    /// What probes say, in order: each with the time and, of a result, nothing that the hub would not take.
    async fn say(
        &self,
        plan: &Plan,
        said: Vec<(&Probe, DateTime<Utc>, What)>,
    ) -> Result<(), SeedError> {
        let reports = said.into_iter().map(|(probe, at, what)| Report {
            probe: probe.id,
            operation: plan.id,
            session: 1,
            at,
            what,
        });
        let reports: Vec<Report> = reports.collect();
        for outcome in self.store.record(Arc::new(reports)).await? {
            match outcome.verdict {
                Verdict::Noted | Verdict::New { .. } => {}
                refused => return Err(unfit(refused)),
            }
        }
        Ok(())
    }

    /// Runs an operation on these probes at these times, from its first word to its last result.
    async fn run(
        &self,
        plan: &Plan,
        probes: &[Probe],
        runs: &[DateTime<Utc>],
    ) -> Result<(), SeedError> {
        let mut said = Vec::new();
        for probe in probes {
            said.extend(beginning().map(|what| (probe, plan.created_at, what)));
        }
        for &begins in runs {
            for (number, probe) in probes.iter().enumerate() {
                let result = result(plan, number, begins)?;
                said.push((probe, begins + RUN_TAKES, What::Result(Box::new(result))));
            }
        }
        self.say(plan, said).await
    }

    /// Times of a schedule until now.
    fn runs(&self, plan: &Plan) -> Vec<DateTime<Utc>> {
        let mut runs = Vec::new();
        let Some(schedule) = &plan.schedule else {
            return runs;
        };
        // A run that ends later is not known yet.
        let end = schedule.stop_time.min(self.now - RUN_TAKES);
        let mut next = schedule.cron.next_after(plan.created_at);
        while let Some(begins) = next.filter(|&begins| begins < end) {
            runs.push(begins);
            next = schedule.cron.next_after(begins);
        }
        runs
    }

    fn some(&self, range: std::ops::Range<usize>) -> Result<&[Probe], SeedError> {
        self.probes
            .get(range)
            .ok_or_else(|| unfit("there are not so many probes"))
    }

    async fn an_afternoon_of_pings(&self) -> Result<(), SeedError> {
        let at = self.ago(48);
        let body = json!({"kind": "ping", "targets": ["1.1.1.1", "8.8.8.8", "9.9.9.9"]});
        let probes = self.some(0..5)?;
        let plan = self.open(1, body, probes, at).await?;
        self.run(&plan, probes, &[at + RUN_TAKES]).await
    }

    async fn a_night_of_pings(&self) -> Result<(), SeedError> {
        let at = self.ago(30);
        let schedule = json!({"cron": "*/15 * * * *", "stop_time": self.ago(24)});
        let body = json!({"kind": "ping", "targets": ["1.1.1.1", "9.9.9.9"], "schedule": schedule,
            "params": {"probecount": 4}});
        let probes = self.some(0..2)?;
        let plan = self.open(1, body, probes, at).await?;
        self.run(&plan, probes, &self.runs(&plan)).await?;
        let end = self.ago(24);
        let finished = probes.iter().map(|probe| (probe, end, What::Finished));
        self.say(&plan, finished.collect()).await
    }

    async fn some_names(&self) -> Result<(), SeedError> {
        let at = self.ago(20);
        let body = json!({"kind": "dns", "targets": ["example.org", "example.com"]});
        let probes = self.some(2..5)?;
        let plan = self.open(2, body, probes, at).await?;
        let (can, cannot) = probes.split_at(2);
        self.run(&plan, can, &[at + RUN_TAKES]).await?;
        let why = "no name server is configured here".to_owned();
        let refused = cannot
            .iter()
            .map(|probe| (probe, at + RUN_TAKES, What::Refused(why.clone())));
        self.say(&plan, refused.collect()).await
    }

    async fn some_paths(&self) -> Result<(), SeedError> {
        let at = self.ago(15);
        let body = json!({"kind": "traceroute", "targets": ["8.8.8.8"]});
        let probes = self.some(0..4)?;
        let plan = self.open(1, body, probes, at).await?;
        self.run(&plan, probes, &[at + RUN_TAKES]).await
    }

    /// Two hours of a day of traceroutes are paid; the rest is given back.
    async fn a_change_of_mind(&self) -> Result<(), SeedError> {
        let at = self.ago(10);
        let schedule = json!({"cron": "0 * * * *", "stop_time": at + TimeDelta::hours(24)});
        let body = json!({"kind": "traceroute", "targets": ["1.1.1.1"], "schedule": schedule});
        let probes = self.some(3..5)?;
        let plan = self.open(2, body, probes, at).await?;
        let end = self.ago(8);
        let runs = self.runs(&plan).into_iter().filter(|&run| run < end);
        self.run(&plan, probes, &runs.collect::<Vec<_>>()).await?;
        self.store.cancel(plan.id, end).await?;
        Ok(())
    }

    /// Runs for two more days; one of its probes was never connected.
    async fn what_is_running(&self) -> Result<OperationId, SeedError> {
        let at = self.ago(5);
        let schedule = json!({"cron": "30 * * * *", "stop_time": self.now + TimeDelta::days(2)});
        let body = json!({"kind": "ping", "targets": ["8.8.8.8", "9.9.9.9"], "schedule": schedule,
            "offline": "queue"});
        let plan = self.open(1, body, &self.probes, at).await?;
        self.run(&plan, self.some(0..5)?, &self.runs(&plan)).await?;
        Ok(plan.id)
    }

    /// All agents were connected a moment ago.
    async fn probes_are_there(&mut self, running: OperationId) -> Result<(), SeedError> {
        for (probe, place) in self.probes.iter().zip(&PLACES) {
            if place.is_used {
                self.hello(probe.id, vec![running], self.now).await?;
            }
        }
        Ok(())
    }

    fn told(self) -> World {
        let email = |place: &Place| PEOPLE.get(place.owner).map_or("", |(email, _)| *email);
        let owners = PLACES.iter().map(email);
        World {
            people: PEOPLE.iter().map(|(email, _)| *email).collect(),
            probes: self.probes.into_iter().zip(owners).collect(),
        }
    }
}

/// The result of a run on the probe with that number, as ingest would read it.
fn result(plan: &Plan, probe: usize, begins: DateTime<Utc>) -> Result<NewResult, SeedError> {
    let content = contents::content(plan.kind, &plan.targets, probe, begins);
    let raw = serde_json::to_vec(&content).map_err(unfit)?;
    let format = ContentFormat::Json;
    let readout = decode::read(plan.kind, plan.result_format, format, &raw);
    let code = begins.format("%Y%m%dT%H%M%SZ").to_string();
    Ok(NewResult {
        code: code.try_into().map_err(unfit)?,
        format,
        raw: raw.into(),
        document: readout.document,
        summary: readout.summary,
        undecoded: readout.undecoded,
        measured: readout.measured,
        started_at: begins,
        finished_at: begins + RUN_TAKES,
        clock: None,
    })
}

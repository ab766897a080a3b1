//! A fleet of simulated probes in one process: `pladmed-probe simulate`.
//!
//! They speak the real protocol to a real hub, on either wire, and keep nothing on disk. Each is one task of a few KiB.
//!
//! - [`options`]: what a fleet is told, and its way to be well or badly
//! - `probe` comes and goes; `session` is one websocket of it, `wire` its two languages, `dial` the way there
//! - `load`: what one probe has to do; `contents`: what scripted results hold
//! - `tally` counts and measures, [`summary`] tells it; [`limits`]: what the machine lets one process have
//!
//! This file starts and ends them. It prints nothing: that is for whoever asks.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use probe_protocol::RunResult;
use rand::{SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};
use serde_bytes::ByteBuf;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until},
};

use crate::{config::MAX_CONCURRENT, runner::Runner};

mod contents;
mod dial;
pub mod limits;
mod load;
pub mod options;
mod probe;
mod session;
pub mod summary;
mod tally;
mod wire;

use contents::Samples;
use dial::Place;
pub use dial::PlaceError;
use limits::{OpenFiles, PORTS_OF_AN_ADDRESS};
use load::Parcel;
use options::{Pace, Settings, Sources, Weather};
use probe::{Probe, Role};
use summary::{Glance, Looker, Summary, sum_up};
use tally::{Tally, Trouble};
use wire::Wire;

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what is unanswered may take to be answered at the end.
const DRAINED_WITHIN: Duration = Duration::from_secs(15);
/// How long goodbyes may take after that.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// Last bytes of 127.0.0.0/24 that probes connect from where hubs are on this machine: enough that none of them opens as
/// many connections at once as a hub takes from one address.
const LOOPBACKS: std::ops::RangeInclusive<u8> = 2..=33;

/// How far the simulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It runs.
    Running,
    /// Nothing new is made; what is unanswered is waited for.
    Draining,
    /// Everybody goes.
    Ended,
}

/// What all probes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Phase {
    /// How often all were told to leave at once.
    storm: u64,
    /// How far it is.
    stage: Stage,
}

/// What all probes share.
struct Fleet {
    places: Vec<Place>,
    /// Addresses to connect from, for each place; none where the system chooses.
    sources: Vec<Vec<IpAddr>>,
    tally: Tally,
    samples: Samples,
    runner: Option<Arc<dyn Runner>>,
    /// Measurements that may run at the same time.
    slots: Arc<Semaphore>,
    weather: Weather,
    pace: Pace,
    window: usize,
}

impl Fleet {
    /// A result as it travels.
    fn result(&self, parcel: &Parcel) -> RunResult {
        let (format, content) = self.samples.bytes(&parcel.contents);
        RunResult {
            operation: parcel.operation,
            code: parcel.code.clone(),
            format,
            content: ByteBuf::from(content),
            started_at: parcel.started_at,
            finished_at: parcel.finished_at,
        }
    }
}

/// Why a fleet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A hub cannot be aimed at.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What was asked for does not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// No address can be connected from.
    #[error("none of the source addresses can reach {0}")]
    Source(String),
    /// The machine has too little of something.
    #[error(
        "{probes} probes do not fit: this process may open {} files, which is room for {room}; raise the hard limit (ulimit -Hn), \
         or share the tokens among several processes", .files.now.unwrap_or(u64::MAX)
    )]
    Files {
        /// So many are wanted.
        probes: usize,
        /// So many fit.
        room: usize,
        /// The limit.
        files: OpenFiles,
    },
    /// The machine has too few ports.
    #[error(
        "{probes} probes do not fit: {sources} source addresses have about {} ports each; give more --sources",
        PORTS_OF_AN_ADDRESS
    )]
    Ports {
        /// So many are wanted.
        probes: usize,
        /// From so many addresses.
        sources: usize,
    },
    /// Nothing can be measured.
    #[error("cannot measure times: {0}")]
    Times(#[from] hdrhistogram::CreationError),
}

impl SimulateError {
    /// Whether other arguments would help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Place(_) | Self::Usage(_) | Self::Source(_) => true,
            Self::Files { .. } | Self::Ports { .. } | Self::Times(_) => false,
        }
    }
}

/// A fleet that may start.
pub struct Simulation {
    fleet: Arc<Fleet>,
    settings: Settings,
    roles: Vec<Role>,
}

impl Simulation {
    /// Looks for the hubs, and whether the machine has room for so many probes.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub async fn prepare(settings: Settings, files: OpenFiles) -> Result<Self, SimulateError> {
        let probes = settings.tokens.len();
        check(&settings)?;
        if probes > files.probes() {
            let room = files.probes();
            return Err(SimulateError::Files {
                probes,
                room,
                files,
            });
        }
        let mut places = Vec::new();
        for url in &settings.hubs {
            places.push(Place::find(url, settings.any_hub).await?);
        }
        let sources = sources(&settings, &places)?;
        let here: usize = sources.iter().map(Vec::len).max().unwrap_or(0);
        // Without addresses of our own the system takes ports by where they lead to.
        if here > 0 && probes > here * PORTS_OF_AN_ADDRESS {
            let sources = here;
            return Err(SimulateError::Ports { probes, sources });
        }
        let roles = roles(&settings);
        let fleet = Arc::new(Fleet {
            places,
            sources,
            tally: Tally::new()?,
            samples: Samples::new(),
            runner: settings.runner.clone(),
            slots: Arc::new(Semaphore::new(usize::from(MAX_CONCURRENT))),
            weather: settings.weather,
            pace: settings.pace,
            window: settings.window.max(1),
        });
        Ok(Self {
            fleet,
            settings,
            roles,
        })
    }

    /// How many addresses probes connect from; 0 where the system chooses.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.fleet.sources.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// How many probes speak as agents of the replaced system.
    #[must_use]
    pub fn old_probes(&self) -> usize {
        let old = self.roles.iter().filter(|role| role.wire == Wire::Old);
        old.count()
    }

    /// Runs until its time is over, or something comes from `stop`; a second one ends it without waiting for answers.
    /// `show` gets a glance each second.
    pub async fn run(self, mut stop: mpsc::Receiver<()>, mut show: impl FnMut(Glance)) -> Summary {
        let (seed, probes, old) = (self.settings.seed, self.roles.len(), self.old_probes());
        let fleet = self.fleet.clone();
        let (phase, told) = watch::channel(Phase {
            storm: 0,
            stage: Stage::Running,
        });
        let began = Instant::now();
        let (length, storm) = (self.settings.length, fleet.weather.storm);
        let mut lives = self.spawn(&told, began);
        let mut looker = Looker::new(&fleet.tally);
        let mut looks = interval_at(began + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut storms = interval(storm.unwrap_or(LOOK_EVERY));
        storms.set_missed_tick_behavior(MissedTickBehavior::Delay);
        storms.tick().await;
        let mut stage_ends = length.map(|length| began + length);
        loop {
            let ends = stage_ends.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                _ = looks.tick() => show(looker.look(&fleet.tally, probes)),
                Some(()) = stop.recv() => stage_ends = Some(go_on(&phase)),
                () = sleep_until(ends), if stage_ends.is_some() => {
                    if phase.borrow().stage == Stage::Ended {
                        lives.abort_all();
                    }
                    stage_ends = Some(go_on(&phase));
                }
                _ = storms.tick(), if storm.is_some() => phase.send_modify(|phase| phase.storm += 1),
                one = lives.join_next() => match one {
                    None => break,
                    Some(Err(error)) if error.is_panic() => {
                        fleet.tally.trouble(Trouble::Panicked, &error.to_string());
                    }
                    Some(_) => {}
                },
            }
        }
        show(looker.look(&fleet.tally, probes));
        sum_up(&fleet.tally, seed, probes, old)
    }

    fn spawn(self, told: &watch::Receiver<Phase>, began: Instant) -> JoinSet<()> {
        let Self {
            fleet,
            settings,
            roles,
        } = self;
        let gap = match settings.connect_rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1) / rate,
        };
        let mut lives = JoinSet::new();
        for (number, (token, role)) in settings.tokens.into_iter().zip(roles).enumerate() {
            let (fleet, told) = (fleet.clone(), told.clone());
            let probe = Probe::new(fleet, told, number, token, role, settings.seed);
            let turn = u32::try_from(number).unwrap_or(u32::MAX);
            lives.spawn(probe.live(began + gap * turn));
        }
        lives
    }
}

/// Goes on to the next stage; when that is over at the latest.
fn go_on(phase: &watch::Sender<Phase>) -> Instant {
    let next = if phase.borrow().stage == Stage::Running {
        Stage::Draining
    } else {
        Stage::Ended
    };
    phase.send_modify(|phase| phase.stage = next);
    let time = match next {
        Stage::Draining => DRAINED_WITHIN,
        Stage::Running | Stage::Ended => GONE_WITHIN,
    };
    Instant::now() + time
}

fn check(settings: &Settings) -> Result<(), SimulateError> {
    let real = settings.runner.is_some();
    let wrong = if settings.tokens.is_empty() {
        "there is no token: each probe needs its own"
    } else if settings.hubs.is_empty() {
        "there is no hub to connect to"
    } else if settings.liars.get() > 0.0 && settings.lies.is_empty() {
        "liars need a way to lie"
    } else if real && settings.old.get() > 0.0 {
        "real results are made on the wire of version 1 only: leave --old out"
    } else if real && settings.pace == Pace::FlatOut {
        "real results take their time: leave --pace flat-out out"
    } else {
        return Ok(());
    };
    Err(SimulateError::Usage(wrong))
}

/// Addresses to connect from, for each place.
fn sources(settings: &Settings, places: &[Place]) -> Result<Vec<Vec<IpAddr>>, SimulateError> {
    let usual = || {
        let loopback = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        LOOPBACKS.map(loopback).collect::<Vec<IpAddr>>()
    };
    let all = places.iter().zip(&settings.hubs).map(|(place, url)| {
        let suiting = |all: &[IpAddr]| -> Vec<IpAddr> {
            let suits = all.iter().copied().filter(|&source| place.suits(source));
            suits.collect()
        };
        match &settings.sources {
            None if place.is_loopback() => Ok(suiting(&usual())),
            None => Ok(Vec::new()),
            Some(Sources(given)) => Some(suiting(given))
                .filter(|suiting| !suiting.is_empty())
                .ok_or_else(|| SimulateError::Source(url.as_str().to_owned())),
        }
    });
    all.collect()
}

/// What each probe is like: as many of each kind as the shares say, drawn by the seed.
fn roles(settings: &Settings) -> Vec<Role> {
    let probes = settings.tokens.len();
    let mut dice = SmallRng::seed_from_u64(settings.seed);
    let honest = Role {
        wire: Wire::V1,
        is_slow: false,
        lie: None,
    };
    let mut roles = vec![honest; probes];
    let mut drawn: Vec<usize> = (0..probes).collect();
    let mut draw = |share: options::Share, change: &mut dyn FnMut(&mut Role)| {
        drawn.shuffle(&mut dice);
        for &number in drawn.iter().take(share.of(probes)) {
            if let Some(role) = roles.get_mut(number) {
                change(role);
            }
        }
    };
    draw(settings.old, &mut |role| role.wire = Wire::Old);
    draw(settings.weather.slow_readers, &mut |role| {
        role.is_slow = true;
    });
    let mut lies = settings.lies.iter().copied().cycle();
    draw(settings.liars, &mut |role| role.lie = lies.next());
    roles
}

#[cfg(test)]
mod tests;

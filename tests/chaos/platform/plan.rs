//! What will happen, decided before anything does: a pure function of a seed and a length. Times count from the start.

use std::{ops::Range, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// Hubs of the platform.
pub(crate) const HUBS: usize = 3;
/// More probes than any platform has; keeps seeds of different pairs apart.
const PAIRS: u64 = 1 << 20;
/// Users who create operations.
pub(crate) const CUSTOMERS: usize = 3;

/// Most probes of one operation.
const MOST_PROBES: usize = 200;
/// Pauses between orders, ms.
const ORDERS_MS: Range<u64> = 300..1700;
/// Shares of orders that are cancelled, and that run on a schedule.
const CANCELLED: f64 = 0.2;
const SCHEDULED: f64 = 0.1;
/// How long after an order it is cancelled, ms.
const CANCELLED_AFTER_MS: Range<u64> = 0..4000;
/// Every so many orders there is one that somebody watches: many probes, and it comes to its end.
const WATCHED_EVERY: usize = 15;
/// Share of offers that a probe refuses.
const REFUSED: f64 = 0.03;
/// Nothing new is ordered in so much time at the end.
const LAST_ORDER: Duration = Duration::from_secs(3);

/// Something that breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// kill -9; started again after a while.
    KillHub(usize, Duration),
    /// Stands still for a while.
    FreezeHub(usize, Duration),
    /// SIGTERM, and started again.
    RollHub(usize),
    /// kill -9 of all hubs at once; started again one after the other.
    KillAllHubs,
    /// kill -9; started again after a while.
    KillRedis(Duration),
    /// Stands still for a while.
    FreezeRedis(Duration),
    /// Everything in it is gone.
    FlushRedis,
    /// All its clients are cut off.
    CutRedis,
    /// kill -9; started again after a while. Of a replica set, the primary.
    KillStore(Duration),
    /// Stands still for a while. Of a replica set, the primary.
    FreezeStore(Duration),
    /// A share of the probes lose their connections, from a place in their list on.
    CutProbes {
        /// The first of them.
        from: usize,
        /// How many.
        count: usize,
    },
}

impl Fault {
    /// What it is called in the summary.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::KillHub(..) => "hub: kill -9",
            Self::FreezeHub(..) => "hub: SIGSTOP",
            Self::RollHub(_) => "hub: SIGTERM",
            Self::KillAllHubs => "hubs: kill -9 of all",
            Self::KillRedis(_) => "redis: kill -9",
            Self::FreezeRedis(_) => "redis: SIGSTOP",
            Self::FlushRedis => "redis: flush",
            Self::CutRedis => "redis: clients cut",
            Self::KillStore(_) => "mongod: kill -9",
            Self::FreezeStore(_) => "mongod: SIGSTOP",
            Self::CutProbes { .. } => "probes: sockets cut",
        }
    }
}

/// A fault and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// An operation to be created.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) at: Duration,
    /// Stands in its target, so that a probe knows which one it got.
    pub(crate) number: usize,
    pub(crate) customer: usize,
    /// Places of probes.
    pub(crate) probes: Vec<usize>,
    /// Runs at each minute, where it has a schedule.
    pub(crate) times_per_minute: Option<u32>,
    pub(crate) cancel_after: Option<Duration>,
    pub(crate) watched: bool,
    /// Chooses instances and pauses of whoever creates and watches it.
    pub(crate) seed: u64,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// How long things break.
    pub(crate) length: Duration,
    /// Probes of the platform.
    pub(crate) probes: usize,
    /// The last so many of them speak as agents of the replaced system do.
    pub(crate) old: usize,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) size: Size,
    /// Faults of different lanes may fall together, those of one never do.
    pub(crate) lanes: Vec<Vec<Planned>>,
    pub(crate) orders: Vec<Order>,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64, size: Size) -> Self {
        let length = size.length;
        // Gaps in which a platform of debug builds on two cores comes to work: a new primary alone takes ten seconds.
        let mut lanes = vec![
            hub_lane(seed, length, 1, 6.0..18.0),
            hub_lane(seed, length, 2, 10.0..35.0),
        ];
        lanes.push(redis_lane(seed, length));
        lanes.push(store_lane(seed, length));
        lanes.push(cut_lane(seed, size));
        Self {
            seed,
            size,
            lanes,
            orders: orders(seed, size),
        }
    }
}

/// Randomness of one part of the plan, so that a change of one does not move the others.
pub(crate) fn random(seed: u64, part: u64) -> StdRng {
    StdRng::seed_from_u64(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether a probe refuses an order.
pub(crate) fn refuses(seed: u64, probe: usize, order: usize) -> bool {
    let part = PAIRS * (1 + order as u64) + probe as u64;
    random(seed, part).random_bool(REFUSED)
}

/// Faults with gaps between them, of so many seconds.
fn lane(
    seed: u64,
    part: u64,
    length: Duration,
    gaps: Range<f64>,
    mut fault: impl FnMut(&mut StdRng) -> (Fault, Duration),
) -> Vec<Planned> {
    let mut random = random(seed, part);
    let mut planned = Vec::new();
    let mut at = Duration::from_secs_f64(random.random_range(1.0..gaps.end));
    while at < length {
        let (fault, lasts) = fault(&mut random);
        // What lasts longer than the chaos would be no fault under load.
        if at + lasts < length {
            planned.push(Planned { at, fault });
        }
        at += lasts + Duration::from_secs_f64(random.random_range(gaps.clone()));
    }
    planned
}

fn some(random: &mut StdRng, seconds: Range<f64>) -> Duration {
    Duration::from_secs_f64(random.random_range(seconds))
}

/// There are two such lanes: one hub of three is left by both, except where all are killed.
fn hub_lane(seed: u64, length: Duration, part: u64, gaps: Range<f64>) -> Vec<Planned> {
    lane(seed, part, length, gaps, |random| {
        let hub = random.random_range(0..HUBS);
        match random.random_range(0..20) {
            0..9 => {
                let away = some(random, 0.0..5.0);
                (Fault::KillHub(hub, away), away)
            }
            9..15 => {
                let lasts = some(random, 1.0..12.0);
                (Fault::FreezeHub(hub, lasts), lasts)
            }
            15..19 => (Fault::RollHub(hub), Duration::from_secs(2)),
            _ => (Fault::KillAllHubs, Duration::ZERO),
        }
    })
}

fn redis_lane(seed: u64, length: Duration) -> Vec<Planned> {
    lane(seed, 11, length, 5.0..16.0, |random| {
        match random.random_range(0..8) {
            0..3 => {
                let away = some(random, 0.0..5.0);
                (Fault::KillRedis(away), away)
            }
            3..5 => {
                let lasts = some(random, 1.0..8.0);
                (Fault::FreezeRedis(lasts), lasts)
            }
            5..7 => (Fault::CutRedis, Duration::ZERO),
            _ => (Fault::FlushRedis, Duration::ZERO),
        }
    })
}

fn store_lane(seed: u64, length: Duration) -> Vec<Planned> {
    lane(seed, 12, length, 15.0..35.0, |random| {
        if random.random_bool(0.5) {
            let away = some(random, 0.0..3.0);
            (Fault::KillStore(away), away)
        } else {
            let lasts = some(random, 1.0..6.0);
            (Fault::FreezeStore(lasts), lasts)
        }
    })
}

fn cut_lane(seed: u64, size: Size) -> Vec<Planned> {
    lane(seed, 13, size.length, 3.0..9.0, |random| {
        let from = random.random_range(0..size.probes);
        let count = random.random_range(1..size.probes / 3);
        (Fault::CutProbes { from, count }, Duration::ZERO)
    })
}

fn orders(seed: u64, size: Size) -> Vec<Order> {
    let mut random = random(seed, 21);
    let mut orders = Vec::new();
    let mut at = Duration::from_millis(random.random_range(ORDERS_MS));
    while at + LAST_ORDER < size.length {
        let number = orders.len();
        let watched = number % WATCHED_EVERY == WATCHED_EVERY / 2;
        let least = if watched { MOST_PROBES / 2 } else { 1 };
        let count = random.random_range(least..=MOST_PROBES);
        let probes = rand::seq::index::sample(&mut random, size.probes, count).into_vec();
        let cancelled = random.random_bool(CANCELLED) && !watched;
        let after = Duration::from_millis(random.random_range(CANCELLED_AFTER_MS));
        let scheduled = random.random_bool(SCHEDULED) && !watched;
        let times = random.random_range(1..=3);
        // Old agents would run a schedule by the clock.
        let keep = |probe: &usize| !scheduled || *probe < size.probes - size.old;
        let probes: Vec<usize> = probes.into_iter().filter(keep).collect();
        let seed = random.random();
        let customer = random.random_range(0..CUSTOMERS);
        if !probes.is_empty() {
            orders.push(Order {
                at,
                number,
                customer,
                probes,
                times_per_minute: scheduled.then_some(times),
                cancel_after: cancelled.then_some(after),
                watched,
                seed,
            });
        }
        at += Duration::from_millis(random.random_range(ORDERS_MS));
    }
    orders
}

/// The second byte of the targets of orders: an address of this machine that nothing else uses.
const NET: &str = "127.77.";

/// An order's target, which says which one it is.
pub(crate) fn target(number: usize) -> String {
    format!("{NET}{}.{}", number / 250, number % 250 + 1)
}

/// The order of a target.
pub(crate) fn order_of(target: &str) -> Option<usize> {
    let (high, low) = target.strip_prefix(NET)?.split_once('.')?;
    let (high, low): (usize, usize) = (high.parse().ok()?, low.parse().ok()?);
    Some(high * 250 + low.checked_sub(1)?)
}

/// The order of the target that stands somewhere in a text.
pub(crate) fn order_in(text: &str) -> Option<usize> {
    let rest = &text[text.find(NET)?..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    order_of(&rest[..end.unwrap_or(rest.len())])
}

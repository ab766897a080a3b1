//! A long time with probes that come and go: memory stays, and nothing is lost. It is no part of a run of everything, since it
//! takes as long as it is told to.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use probe_protocol::ProbeId;
use services::Mongod;
use tests::{Hub, Simulated, orders};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    figure::{Figure, Section, Target, slope},
    ingest::stored,
    population,
};

/// Probes, and with `--quick`.
const PROBES: [usize; 2] = [500, 50];
/// What they are like: some speak as old agents, half of them leave each minute, and some connections break with a result.
const WEATHER: [&str; 6] = ["--churn", "0.5", "--old", "0.2", "--loss", "0.02"];
/// Runs of each in a minute.
const RUNS: u32 = 2;
/// Memory is looked at so often.
const EVERY: Duration = Duration::from_secs(10);
/// The share of the time after which memory has to stay as it is: caches are full then.
const WARM: u32 = 4;
/// How much memory may grow, KiB a minute: half a gigabyte in a week would be seen by whoever looks.
const GROWTH: f64 = 50.0;
/// Longer than any soak, so that runs do not end before.
const PLANNED: TimeDelta = TimeDelta::days(2);

/// On SQLite and on MongoDB at the same time, for so many minutes.
pub(crate) async fn measure(minutes: u16, quick: bool) -> Vec<Section> {
    let time = Duration::from_secs(60 * u64::from(minutes));
    let probes = PROBES[usize::from(quick)];
    let on_sqlite = async {
        let hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
        section("A soak on SQLite", hub, probes, time).await
    };
    let on_mongo = async {
        const TITLE: &str = "A soak on MongoDB";
        if let Some(why) = services::mongod::missing() {
            return Section::skipped(TITLE, why);
        }
        let mongod = Mongod::single().await;
        let hub = Hub::on_mongo(&mongod.uri(), &[("LOG_LEVEL", "info")]).await;
        section(TITLE, hub, probes, time).await
    };
    let (sqlite, mongo) = tokio::join!(on_sqlite, on_mongo);
    vec![sqlite, mongo]
}

async fn section(title: &'static str, mut hub: Hub, probes: usize, time: Duration) -> Section {
    let (user, all) = population::register(&hub, probes).await;
    let tokens: Vec<&str> = all.iter().map(|probe| probe.token.as_str()).collect();
    let ids: Vec<ProbeId> = all.iter().map(|probe| probe.id).collect();
    let seconds = time.as_secs().to_string();
    let arguments = [&WEATHER[..], &["--for", &seconds]].concat();
    let fleet = Simulated::start(&hub.url(), &tokens, &arguments);
    let order = orders::every_minute(orders::ping(&ids), RUNS, Utc::now() + PLANNED);
    // Some are always on their way.
    user.launch(&orders::queued(order)).await;
    let seen = look(title, &mut hub, time).await;
    let told = fleet.ended().await;
    hub.check().await;
    let [stored, _] = stored(&hub).await;
    #[expect(clippy::cast_precision_loss, reason = "results")]
    let stored = Figure::new("results stored", "", stored as f64);
    let made = told.number("/results/made");
    let figures = vec![
        Figure::new("growth of memory", "KiB/min", slope(&seen)).target(Target::Below(GROWTH)),
        stored
            .beside("made by the fleet", made)
            .target(Target::AtLeast(1.0))
            .target(Target::AtMost(1.0)),
        Figure::new(
            "sessions that began anew",
            "",
            told.number("/connections/reconnects"),
        ),
        Figure::new(
            "wait of a result, 99 % below",
            "ms",
            told.number("/ack/p99_ms"),
        ),
    ];
    Section {
        title,
        how: how(probes, time),
        figures,
        more: format!(
            "The fleet ended with code {}, which is 0 where all that had to be stored was.",
            told.code
        ),
        skipped: None,
    }
}

fn how(probes: usize, time: Duration) -> String {
    format!(
        "{probes} probes, a fifth of them old agents, run {RUNS} pings a minute for {} min. Half of them leave each minute and come \
         back, and 2 % of the results lose their connection once. Memory is the hub's, looked at every {} s from a quarter of \
         the time on; growth is a straight line through it. At the end the store is held to every promise.",
        time.as_secs() / 60,
        EVERY.as_secs()
    )
}

/// The hub's memory while time goes by, when its caches are full: minutes and KiB.
async fn look(title: &str, hub: &mut Hub, time: Duration) -> Vec<(f64, f64)> {
    let (began, mut seen) = (Instant::now(), Vec::new());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < time {
        ticks.tick().await;
        let (minutes, kib) = (
            began.elapsed().as_secs_f64() / 60.0,
            hub.process().resident_kib(),
        );
        eprintln!("{title}: minute {minutes:.1}, {} MiB", kib / 1024);
        if began.elapsed() > time / WARM {
            #[expect(clippy::cast_precision_loss, reason = "KiB")]
            seen.push((minutes, kib as f64));
        }
    }
    seen
}

//! Many sessions at once: what an idle one costs, how quickly all of them come, and how quickly one operation reaches them all;
//! each beside a bare websocket server with the same buffers, which says welcome and passes on what it is told.
//!
//! [`crowd`] is all the probes, for the hub as for [`bare`], which is this program again in a process of its own.

use std::time::{Duration, Instant};

use probe_protocol::ProbeId;
use services::Mongod;
use tests::{Hub, TestUser, orders};

use crate::{
    crowd::{self, Crowd},
    figure::{Figure, Section, Target, median, ms, rate, slope},
    population,
};

pub(crate) mod bare;
mod commit;

use bare::Bare;

/// Sessions, and with `--quick`.
const SESSIONS: [usize; 2] = [10_000, 500];
/// Files that the process needs beside those of the sessions.
const OTHER_FILES: u64 = 500;
/// Memory is looked at when so many of a hundred are there.
const STEPS: [usize; 4] = [25, 50, 75, 100];
/// How long sessions are left alone before their memory is looked at: what their beginning needed is given back.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Memory that an idle session may take, KiB, and as a multiple of a bare one's.
const SESSION_KIB: f64 = 10.0;
const TIMES_BARE: f64 = 1.5;
/// The share of a bare server's handshakes that a hub has to reach.
const SHARE: f64 = 0.5;
/// How often an operation is sent to all; the figure is the median.
const TIMES: usize = 5;
/// How many times a bare broadcast an operation may take, beside its commit.
const TIMES_BROADCAST: f64 = 2.0;
/// Operations that are sent at once.
const AT_ONCE: usize = 10;
/// How much more than so many times one of them they may take.
const LINEAR: f64 = 1.2;
/// Probes of an operation that must not notice how many others are connected.
const SOME: usize = 50;
/// All the probes are so many times as many as there are when there are few.
const FEW: usize = 10;
/// How many times as long it may take among all as among few.
const FLAT: f64 = 1.5;

/// On SQLite.
pub(crate) async fn on_sqlite(quick: bool) -> Section {
    let hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
    section("Sessions of a hub on SQLite", hub, None, quick).await
}

/// On MongoDB.
pub(crate) async fn on_mongo(quick: bool) -> Section {
    const TITLE: &str = "Sessions of a hub on MongoDB";
    if let Some(why) = services::mongod::missing() {
        return Section::skipped(TITLE, why);
    }
    let mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[("LOG_LEVEL", "info")]).await;
    section(TITLE, hub, Some(&mongod), quick).await
}

/// As many as are wanted and this process may open.
fn sessions(quick: bool) -> usize {
    let wanted = SESSIONS[usize::from(quick)];
    let files = crowd::raise_open_files();
    let most = files.map_or(usize::MAX, |files| {
        usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
    });
    let files = files.map_or("any number of".to_owned(), |files| files.to_string());
    eprintln!("sessions: a process may open {files} files");
    if most < wanted {
        eprintln!("sessions: {most} instead of {wanted}");
    }
    wanted.min(most)
}

async fn section(
    title: &'static str,
    mut hub: Hub,
    mongod: Option<&Mongod>,
    quick: bool,
) -> Section {
    let count = sessions(quick);
    eprintln!("{title}: {count} probes");
    let (user, probes) = population::register(&hub, count).await;
    let tokens: Vec<&str> = probes.iter().map(|probe| probe.token.as_str()).collect();

    let ids: Vec<ProbeId> = probes.iter().map(|probe| probe.id).collect();
    let some = &ids[..SOME];
    let mut few = Crowd::default();
    few.join(&hub.url(), &tokens[..count / FEW]).await;
    let among_few = to_all(&user, some, &few).await;
    drop(few);
    tokio::time::sleep(SETTLED_AFTER).await;

    eprintln!("{title}: they come");
    let hub_memory = |hub: &mut Hub| hub.process().resident_kib();
    let (crowd, of_hub) = come(&hub.url(), &tokens, || hub_memory(&mut hub)).await;
    eprintln!("{title}: operations for all of them");
    // Before those for all, so that as much is open on them as when there were few.
    let among_all = to_all(&user, some, &crowd).await;
    let (one, ten) = dispatch(&user, &ids, &crowd).await;
    let frame = crowd.last_assignment().expect("an assignment");
    drop(crowd);

    eprintln!("{title}: a bare server");
    let mut bare = Bare::start(&frame).await;
    let url = bare.url();
    let (crowd, of_bare) = come(&url, &tokens, || bare.resident_kib()).await;
    let mut broadcasts = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        let before = crowd.assignments();
        bare.broadcast().await;
        broadcasts.push(ms(crowd.until(before + count, began).await));
    }
    drop(crowd);
    let commit = match (mongod, hub.mongo().await) {
        (Some(mongod), Some(of_hub)) => commit::on_mongo(&probes, mongod, &of_hub).await,
        _ => commit::on_sqlite(&probes),
    };
    Section {
        title,
        how: how(count),
        figures: figures(
            count,
            &of_hub,
            &of_bare,
            [one, ten, among_all, among_few],
            median(broadcasts),
            commit,
        ),
        more: String::new(),
        skipped: None,
    }
}

fn how(count: usize) -> String {
    format!(
        "{count} probes, each a websocket from one of 127.0.0.2 to 127.0.0.9, come at once, say hello and wait for welcome. The \
         bare server is tokio-tungstenite with the hub's buffers, a queue for each connection, and nothing else. Memory is that \
         of the process (the kernel's is not in it), a straight line through a quarter, half, three quarters and all of the \
         sessions. An operation counts from the first byte of its `POST` until the last probe has it; the limit is a broadcast of \
         the same frame, and the target leaves room for one commit of as many bare rows to the same store."
    )
}

/// What the beginning of all sessions cost.
struct Coming {
    per_second: f64,
    /// Of a session, KiB.
    memory_kib: f64,
}

/// They come in steps for their memory, and leave; and then they come all at once.
async fn come(
    url: &str,
    tokens: &[&str],
    mut resident_kib: impl FnMut() -> u64,
) -> (Crowd, Coming) {
    let mut seen = Vec::with_capacity(STEPS.len());
    let mut crowd = Crowd::default();
    let mut there = 0;
    for step in STEPS {
        let until = tokens.len() * step / 100;
        crowd.join(url, &tokens[there..until]).await;
        there = until;
        tokio::time::sleep(SETTLED_AFTER).await;
        #[expect(clippy::cast_precision_loss, reason = "sessions and KiB")]
        seen.push((there as f64, resident_kib() as f64));
    }
    drop(crowd);
    tokio::time::sleep(SETTLED_AFTER).await;
    let mut crowd = Crowd::default();
    let began = Instant::now();
    crowd.join(url, tokens).await;
    let coming = Coming {
        per_second: rate(tokens.len(), began.elapsed()),
        memory_kib: slope(&seen),
    };
    (crowd, coming)
}

/// How long one operation takes to all these probes, who are the crowd, and several at once, milliseconds.
pub(crate) async fn dispatch(user: &TestUser, probes: &[ProbeId], crowd: &Crowd) -> (f64, f64) {
    let one = to_all(user, probes, crowd).await;
    let order = orders::ping(probes);
    let (before, began) = (crowd.assignments(), Instant::now());
    let launched = (0..AT_ONCE).map(|_| user.launch(&order));
    let all = crowd.until(before + AT_ONCE * probes.len(), began);
    let (_, took) = tokio::join!(futures::future::join_all(launched), all);
    (one, ms(took))
}

/// How long one operation takes to all these probes, who are in the crowd, milliseconds.
async fn to_all(user: &TestUser, probes: &[ProbeId], crowd: &Crowd) -> f64 {
    let order = orders::ping(probes);
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (before, began) = (crowd.assignments(), Instant::now());
        let all = crowd.until(before + probes.len(), began);
        let (_, took) = tokio::join!(user.launch(&order), all);
        times.push(ms(took));
    }
    median(times)
}

fn figures(
    count: usize,
    of_hub: &Coming,
    of_bare: &Coming,
    [one, ten, among_all, among_few]: [f64; 4],
    broadcast: f64,
    commit: f64,
) -> Vec<Figure> {
    let bare = "bare server";
    #[expect(clippy::cast_precision_loss, reason = "a few operations")]
    let at_once = AT_ONCE as f64;
    vec![
        Figure::new("memory of an idle session", "KiB", of_hub.memory_kib)
            .beside(bare, of_bare.memory_kib)
            .target(Target::Below(SESSION_KIB))
            .target(Target::AtMost(TIMES_BARE)),
        Figure::new(
            format!("{count} sessions come at once"),
            "/s",
            of_hub.per_second,
        )
        .beside(bare, of_bare.per_second)
        .target(Target::AtLeast(SHARE)),
        Figure::new(format!("an operation to {count} probes"), "ms", one)
            .beside("bare broadcast", broadcast)
            .target(Target::AtMost(TIMES_BROADCAST + commit / broadcast)),
        Figure::new(format!("a bare commit of {count} rows"), "ms", commit),
        Figure::new(format!("{AT_ONCE} operations at once"), "ms", ten)
            .beside(format!("{AT_ONCE} times one"), at_once * one)
            .target(Target::AtMost(LINEAR)),
        Figure::new(
            format!("an operation to {SOME} of {count} probes"),
            "ms",
            among_all,
        )
        .beside(format!("of {}", count / FEW), among_few)
        .target(Target::AtMost(FLAT)),
    ]
}

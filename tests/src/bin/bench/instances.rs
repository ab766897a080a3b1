//! Two and three hubs that share MongoDB and Redis, beside one: results that they take together, and an operation to probes
//! that sit at all of them. All share the processors of one machine, so what can be seen is what the sharing costs.

use std::time::Duration;

use probe_protocol::ProbeId;
use services::Redis;
use tests::{Hub, Platform, TestProbe, TestUser, eventually};

use crate::{
    crowd::{Crowd, raise_open_files},
    figure::{Figure, Section},
    ingest, population, sessions,
};

const TITLE: &str = "Several hubs on MongoDB and Redis";
/// Most hubs.
const HUBS: usize = 3;
/// Probes that an operation is for, and with `--quick`.
const PROBES: [usize; 2] = [3000, 150];
/// Longest until a hub knows where all probes are.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// What so many hubs do together.
struct Together {
    results: f64,
    one: f64,
    ten: f64,
}

/// Measures them.
pub(crate) async fn measure(time: Duration, quick: bool) -> Section {
    if let Some(why) = Platform::missing() {
        return Section::skipped(TITLE, why);
    }
    raise_open_files();
    let probes = PROBES[usize::from(quick)];
    let mut all = Vec::with_capacity(HUBS);
    for count in 1..=HUBS {
        eprintln!("{TITLE}: {count}");
        all.push(together(count, probes, time).await);
    }
    let (one, more) = all.split_first().expect("one hub");
    let mut figures = Vec::new();
    for (several, count) in more.iter().zip(2..) {
        let limit = "one hub";
        figures.push(
            Figure::new(
                format!("results a second by {count} hubs"),
                "/s",
                several.results,
            )
            .beside(limit, one.results),
        );
        figures.push(
            Figure::new(
                format!("an operation to {probes} probes of {count} hubs"),
                "ms",
                several.one,
            )
            .beside(limit, one.one),
        );
        figures.push(
            Figure::new(
                format!("ten of them at once, {count} hubs"),
                "ms",
                several.ten,
            )
            .beside(limit, one.ten),
        );
    }
    Section {
        title: TITLE,
        how: "Hubs share one MongoDB, one Redis and the processors of this machine with each other and with all probes; the \
              limit is one hub with the same."
            .to_owned(),
        figures,
        more: String::new(),
        skipped: None,
    }
}

async fn together(count: usize, probes: usize, time: Duration) -> Together {
    let mongod = ingest::mongod().await;
    let platform = async || {
        let redis = Redis::start().await;
        Platform::start_on(&mongod.uri(), redis, count, &[("LOG_LEVEL", "info")]).await
    };
    let Platform { hubs, redis } = platform().await;
    let results = ingest::by_several(hubs, time, mongod.pid()).await;
    drop(redis);

    let platform = platform().await;
    let (user, cards) = population::register(&platform.hubs[0], probes).await;
    let crowd = seat(&platform.hubs, &cards).await;
    let user = user.at(&platform.hubs[0]);
    all_known(&user, probes).await;
    let ids: Vec<ProbeId> = cards.iter().map(|card| card.id).collect();
    let (one, ten) = sessions::dispatch(&user, &ids, &crowd).await;
    Together { results, one, ten }
}

/// Seats the probes at the hubs, as many at each.
async fn seat(hubs: &[Hub], cards: &[TestProbe]) -> Crowd {
    let mut crowd = Crowd::default();
    let tokens: Vec<&str> = cards.iter().map(|card| card.token.as_str()).collect();
    for (tokens, hub) in tokens.chunks(cards.len().div_ceil(hubs.len())).zip(hubs) {
        crowd.join(&hub.url(), tokens).await;
    }
    crowd
}

async fn all_known(user: &TestUser, probes: usize) {
    eventually(KNOWN_WITHIN, "all probes connected", async || {
        let (mut known, mut next) = (0, String::new());
        loop {
            let path = format!("/api/v1/probes?connected=true&limit=1000{next}");
            let page = user.api.get(&path).await.expect(200);
            known += page["items"].as_array().map_or(0, Vec::len);
            match page["next"].as_str() {
                Some(more) => next = format!("&cursor={more}"),
                None => break,
            }
        }
        (known == probes).then_some(())
    })
    .await;
}

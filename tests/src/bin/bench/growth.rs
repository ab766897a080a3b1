//! What work costs where much else is there: reads and writes must not grow with what they do not touch.
//!
//! The same thing is done in a small surrounding and in a large one, in turns where both are there at the same time; the small
//! one is the limit. [`fill`] makes an operation large behind the hub's back, as sending a million results would take an hour.

use std::time::Instant;

use futures::{StreamExt as _, stream};
use probe_protocol::OperationId;
use services::Mongod;
use tests::{Ack, FakeProbe, Hub, TestProbe, TestUser, orders, probe::hello};

use crate::{
    figure::{Figure, Section, Target, median, ms},
    population::RICH,
};

mod fill;

/// Results of a small operation, and as many of one page.
const FEW: i64 = 100;
/// Results of the large one, and with `--quick`.
const MANY_RESULTS: [i64; 2] = [1_000_000, 50_000];
/// Operations of a user who has few.
const FEW_OPERATIONS: usize = 10;
/// Of one who has many, and with `--quick`.
const MANY_OPERATIONS: [usize; 2] = [10_000, 500];
/// Requests under way while many operations are made.
const AT_ONCE: usize = 32;
/// How often each thing is done; the figures are medians.
const TIMES: usize = 60;
/// How many times the small one's cost the large one's may be.
const MOST: f64 = 1.5;

/// On SQLite.
pub(crate) async fn on_sqlite(quick: bool) -> Section {
    let hub = Hub::start_with(&[("LOG_LEVEL", "info")]).await;
    section("Growth on SQLite", hub, usize::from(quick)).await
}

/// On MongoDB.
pub(crate) async fn on_mongo(quick: bool) -> Section {
    const TITLE: &str = "Growth on MongoDB";
    if let Some(why) = services::mongod::missing() {
        return Section::skipped(TITLE, why);
    }
    let mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[("LOG_LEVEL", "info")]).await;
    section(TITLE, hub, usize::from(quick)).await
}

async fn section(title: &'static str, mut hub: Hub, size: usize) -> Section {
    let (results, operations) = (MANY_RESULTS[size], MANY_OPERATIONS[size]);
    eprintln!("{title}: an operation with {results} results");
    let mut figures = of_results(&mut hub, results).await;
    eprintln!("{title}: {operations} operations");
    figures.extend(of_operations(&hub, operations).await);
    Section {
        title,
        how: format!(
            "The same is done {TIMES} times with little around it and with much, by one who waits for each answer; medians. \
             The large operation has {results} results and the small one {FEW}; the user has {operations} operations, and had \
             {FEW_OPERATIONS} before.",
        ),
        figures,
        more: String::new(),
        skipped: None,
    }
}

/// Something that is done again and again, in a small surrounding and in a large one.
struct Pair {
    what: &'static str,
    small: Vec<f64>,
    large: Vec<f64>,
}

impl Pair {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            small: Vec::new(),
            large: Vec::new(),
        }
    }

    fn figure(self, small: &str) -> Figure {
        Figure::new(self.what, "ms", median(self.large))
            .beside(small, median(self.small))
            .target(Target::AtMost(MOST))
    }
}

/// How long it takes, milliseconds.
async fn timed<T>(work: impl Future<Output = T>) -> f64 {
    let began = Instant::now();
    let _ = work.await;
    ms(began.elapsed())
}

/// A page of results, and another result, of a small operation and of a large one.
async fn of_results(hub: &mut Hub, many: i64) -> Vec<Figure> {
    let user = hub.user("measures", RICH).await;
    let card = user.probe("p").await;
    let mut probe = FakeProbe::connect(hub, &card.token).await;
    let order = orders::endless(orders::ping(&[card.id]));
    let [small, large] = [user.launch(&order).await, user.launch(&order).await];
    for _ in 0..2 {
        probe.accept().await;
    }
    for number in 0..FEW {
        for operation in [small, large] {
            stored(&mut probe, operation, &format!("r{number}")).await;
        }
    }
    drop(probe);
    assert_eq!(hub.terminate().await, 0, "the hub stops well");
    fill::up(hub, large, FEW, many).await;
    hub.restart().await;

    let mut first = Pair::new("the first page of results");
    let mut last = Pair::new("the last page of results");
    let mut shown = Pair::new("an operation");
    let mut stores = Pair::new("a result until its acknowledgement");
    let holds = hello(vec![small, large]);
    let mut probe = FakeProbe::connect_as(hub, &card.token, holds).await;
    for number in 0..TIMES {
        let name = format!("timed{number}");
        first.small.push(page(&user, small, 0).await);
        first.large.push(page(&user, large, 0).await);
        // There is one more after each round.
        last.small.push(page(&user, small, number as i64).await);
        let after = many - FEW + number as i64;
        last.large.push(page(&user, large, after).await);
        shown.small.push(timed(user.operation(small)).await);
        shown.large.push(timed(user.operation(large)).await);
        let it = stored(&mut probe, small, &name);
        stores.small.push(timed(it).await);
        let it = stored(&mut probe, large, &name);
        stores.large.push(timed(it).await);
    }
    [first, last, shown, stores]
        .map(|pair| pair.figure("small operation"))
        .into()
}

async fn stored(probe: &mut FakeProbe, operation: OperationId, name: &str) {
    assert_eq!(probe.deliver(operation, name).await, Ack::Stored);
}

/// How long a full page takes.
async fn page(user: &TestUser, operation: OperationId, after: i64) -> f64 {
    let path = format!("/api/v1/operations/{operation}/results?limit={FEW}&after={after}");
    let began = Instant::now();
    let answer = user.api.get(&path).await;
    let took = ms(began.elapsed());
    let page = answer.expect(200);
    let items = page["items"].as_array().map(Vec::len);
    assert_eq!(items, Some(FEW as usize), "a full page");
    took
}

/// What a user does who has few operations, and then many.
async fn of_operations(hub: &Hub, many: usize) -> Vec<Figure> {
    let user = hub.user("orders", RICH).await;
    let away = user.probe("away").await;
    launch(&user, &away, FEW_OPERATIONS).await;
    let small = at(&user, &away).await;
    launch(&user, &away, many - FEW_OPERATIONS).await;
    let large = at(&user, &away).await;
    let names = ["a page of 10 operations", "an operation", "a new operation"];
    let both = small.into_iter().zip(large);
    names
        .into_iter()
        .zip(both)
        .map(|(what, (small, large))| {
            let pair = Pair { what, small, large };
            pair.figure("few operations")
        })
        .collect()
}

async fn launch(user: &TestUser, probe: &TestProbe, count: usize) {
    let order = orders::queued(orders::ping(&[probe.id]));
    let all = stream::iter(0..count).map(|_| user.launch(&order));
    all.buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
}

/// How long it takes now: a page, one, and a new one.
async fn at(user: &TestUser, probe: &TestProbe) -> [Vec<f64>; 3] {
    let order = orders::queued(orders::ping(&[probe.id]));
    let known = user.launch(&order).await;
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..TIMES {
        let page = user.api.get("/api/v1/operations?mine=true&limit=10");
        all[0].push(timed(page).await);
        all[1].push(timed(user.operation(known)).await);
        all[2].push(timed(user.launch(&order)).await);
    }
    all
}

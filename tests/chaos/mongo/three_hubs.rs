//! Three hubs on one database that want the same documents at the same time. They know nothing of each other: what keeps
//! the promises here is the database.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use probe_protocol::{ProbeFrame, RunResult};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tests::{
    Api, Courier, Fleet, Hub, ProbeSocket, TestProbe, TestUser, Trial,
    hub::PASSWORD,
    orders,
    probe::{hello, result},
    wait::within,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::customer::{Customer, Receipts};

/// Probes that are connected to all hubs at once and deliver the same results to each.
const EVERYWHERE: usize = 10;
/// Probes that go from hub to hub without waiting for answers.
const WANDERERS: usize = 10;
/// How often those move on.
const MOVES: usize = 6;
const RESULTS_EACH: usize = 100;
/// What a hub logs when it ends what it takes for left behind.
const ENDED: &str = "left behind";
/// Addresses that are registered, and keys that are used, at all hubs at once.
const RACES: usize = 10;
/// Longest all of it may take.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(LIMIT * 2).unless(services::mongod::missing());
        one_truth
    ]
}

async fn one_truth() {
    let uri = services::mongod::shared().await.uri();
    let first = Hub::on_mongo(&uri, &[]).await;
    let mut hubs = [first.beside().await, first.beside().await, first];
    let urls: Vec<String> = hubs.iter().map(Hub::url).collect();
    let fleet = Fleet::new(&hubs[0], EVERYWHERE + WANDERERS, 1).await;
    let owners: Vec<TestUser> = hubs.iter().map(|hub| fleet.owner.at(hub)).collect();
    let (close, mut customers) = (CancellationToken::new(), JoinSet::new());
    for (number, owner) in owners.iter().enumerate() {
        let customer = Customer {
            user: owner.clone(),
            probe: fleet.probes[0].id,
            name: format!("customer {number}"),
            random: StdRng::seed_from_u64(number as u64),
            hub_dies: false,
        };
        customers.spawn(customer.buy(close.clone()));
    }
    let started = Instant::now();
    let mut probes = everywhere(&fleet, &urls);
    for probe in &fleet.probes[EVERYWHERE..] {
        probes.spawn(wander(courier(&fleet, probe, &urls[0]), urls.clone()));
    }
    for number in 0..RACES {
        one_of_them_registers(&hubs, number).await;
        one_of_them_creates(&owners, &fleet, number).await;
    }
    within(LIMIT, "the end of all deliveries", probes.join_all()).await;
    let took = started.elapsed();
    close.cancel();
    let receipts = within(LIMIT, "the end of the customers", customers.join_all()).await;
    eprintln!(
        "three hubs: {took:.1?}; {} acknowledgements of {} results, {} sent; {} operations bought, {} answers to come \
         back later, the slowest took {:.1?}",
        fleet.tally.stored(),
        (EVERYWHERE + WANDERERS) * RESULTS_EACH,
        fleet.tally.sent(),
        receipts.iter().map(Receipts::bought).sum::<usize>(),
        receipts.iter().map(|one| one.later).sum::<usize>(),
        receipts
            .iter()
            .map(|one| one.slowest)
            .max()
            .unwrap_or_default(),
    );
    assert_eq!(fleet.tally.wrong(), [""; 0]);
    let acknowledged = (EVERYWHERE * hubs.len() + WANDERERS) * RESULTS_EACH;
    assert_eq!(fleet.tally.stored(), acknowledged);
    fleet.check_codes(&hubs[0].snapshot().await.result_codes(), RESULTS_EACH);
    hubs[0].check().await;
    Receipts::check(&receipts, &hubs[0]).await;
    let operations = hubs[0].number("select count(*) from operations").await;
    let bought: usize = receipts.iter().map(Receipts::bought).sum();
    assert_eq!(operations, (1 + RACES + bought) as i64);
    for hub in &mut hubs {
        let log = hub.process().log();
        assert!(!log.contains(ENDED), "one ended what others were doing");
    }
}

fn courier(fleet: &Fleet, probe: &TestProbe, url: &str) -> Courier {
    let results = (0..RESULTS_EACH).map(|run| result(fleet.operations[0], &format!("run-{run}")));
    Courier {
        url: url.to_owned(),
        token: probe.token.clone(),
        results: results.collect(),
        pause: None,
        tally: fleet.tally.clone(),
    }
}

/// Probes that deliver the same results to all hubs.
fn everywhere(fleet: &Fleet, urls: &[String]) -> JoinSet<()> {
    let mut couriers = JoinSet::new();
    for probe in &fleet.probes[..EVERYWHERE] {
        for url in urls {
            couriers.spawn(courier(fleet, probe, url).run());
        }
    }
    couriers
}

/// Sends everything to one hub after the other and hears no answer, then delivers it to the last one.
async fn wander(mut courier: Courier, urls: Vec<String>) {
    let frames: Vec<ProbeFrame> = courier
        .results
        .iter()
        .map(|result: &RunResult| ProbeFrame::Result(result.clone()))
        .collect();
    for url in urls.iter().cycle().take(MOVES) {
        let mut socket = ProbeSocket::open(url, &courier.token)
            .await
            .expect("a session");
        let hello = hello(vec![courier.results[0].operation]);
        assert!(socket.send(&ProbeFrame::Hello(hello)).await);
        for frame in &frames {
            assert!(socket.send(frame).await, "the hub left");
        }
        courier.url.clone_from(url);
    }
    courier.run().await;
}

/// The same address at all hubs at once.
async fn one_of_them_registers(hubs: &[Hub], number: usize) {
    let body = json!({"email": format!("race-{number}@example.org"), "password": PASSWORD});
    let apis: Vec<&Api> = hubs.iter().map(Hub::api).collect();
    let answers = join_all(apis.iter().map(|api| api.post("/api/v1/users", &body))).await;
    let mut registered = 0;
    for answer in &answers {
        if answer.status == 201 {
            registered += 1;
        } else {
            answer.expect_problem(409, "email_taken");
        }
    }
    assert_eq!(registered, 1, "registrations of one address");
}

/// The same key at all hubs at once.
async fn one_of_them_creates(owners: &[TestUser], fleet: &Fleet, number: usize) {
    let order = orders::queued(orders::ping(&[fleet.probes[0].id]));
    let key = format!("race {number}");
    let answers = join_all(owners.iter().map(|owner| owner.order_as(&key, &order))).await;
    let mut ids = HashSet::new();
    for answer in &answers {
        assert!(answer.status < 300, "{}: {}", answer.status, answer.text());
        ids.insert(answer.json()["id"].to_string());
    }
    assert_eq!(ids.len(), 1, "operations of one key");
}

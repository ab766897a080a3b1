//! Lists at the old paths: whole, oldest first, however long.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tests::{FakeProbe, Hub, OldApi, Trial, orders, trials};

use super::bench::{Bench, RICH, Worker, id_of, order};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        operations_are_one_s_own_oldest_first,
        superusers_see_all_operations,
        thousands_of_operations_are_one_document,
        hundreds_of_probes_are_one_document,
    ]
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list.as_array().expect("a list").iter();
    items
        .map(|item| item["_id"].as_str().expect("an id"))
        .collect()
}

async fn operations_are_one_s_own_oldest_first() {
    let bench = Bench::new().await;
    let ben = bench.hub.user("ben", RICH).await;
    let of_ben = OldApi::of(&bench.hub, &ben);
    assert_eq!(of_ben.get("/operations/me").await.text(), "[]\n");
    assert_eq!(of_ben.get("/operations").await.text(), "[]\n");
    let mut mine = Vec::new();
    for number in 0..5 {
        let kind = ["ping", "dns", "traceroute"][number % 3];
        mine.push(bench.post(kind, &bench.order(kind)).await.expect_old(201));
        let order = order("ping", &[&bench.card]);
        let _ = of_ben.post("/ping", &order).await.expect_old(201);
    }
    for path in ["/operations/me", "/operations"] {
        let shown = bench.old.get(path).await.expect_old(200);
        let wanted: Vec<String> = mine.iter().map(|one| id_of(one).to_string()).collect();
        assert_eq!(ids(&shown), wanted, "{path}");
        for (shown, made) in shown.as_array().expect("a list").iter().zip(&mine) {
            assert_eq!(
                (&shown["params"], &shown["credits"], &shown["result_format"]),
                (&made["params"], &made["credits"], &made["result_format"])
            );
            let results = shown.get("results");
            let wanted = (path == "/operations/me").then(|| json!([]));
            assert_eq!(results, wanted.as_ref(), "{path}");
        }
    }
    assert_eq!(
        ids(&of_ben.get("/operations/me").await.expect_old(200)).len(),
        5
    );
}

async fn superusers_see_all_operations() {
    let bench = Bench::new().await;
    let ben = bench.hub.user("ben", RICH).await;
    let of_ben = OldApi::of(&bench.hub, &ben);
    let order = order("ping", &[&bench.card]);
    let first = bench.old.post("/ping", &order).await.expect_old(201);
    let second = of_ben.post("/ping", &order).await.expect_old(201);
    let admin = OldApi::of(&bench.hub, &bench.hub.admin().await);
    let all = admin.get("/operations").await.expect_old(200);
    assert_eq!(
        ids(&all),
        [id_of(&first).to_string(), id_of(&second).to_string()]
    );
    assert_eq!(admin.get("/operations/me").await.text(), "[]\n");
    let own = bench.old.get("/operations").await.expect_old(200);
    assert_eq!(ids(&own), [id_of(&first).to_string()]);
}

async fn thousands_of_operations_are_one_document() {
    const OPERATIONS: usize = 2_500;
    /// Requests at the same time, so that the hub commits some together.
    const AT_ONCE: usize = 16;
    let hub = Hub::start().await;
    let ana = hub.user("ana", RICH).await;
    let card = ana.probe("p").await;
    // Of a probe that was never seen nobody knows how much it can take.
    let order = orders::queued(orders::ping(&[card.id]));
    let mut made: Vec<String> = stream::iter(0..OPERATIONS)
        .map(|_| ana.launch(&order))
        .buffer_unordered(AT_ONCE)
        .map(|id| id.to_string())
        .collect()
        .await;
    made.sort();
    let old = OldApi::of(&hub, &ana);
    let admin = OldApi::of(&hub, &hub.admin().await);
    for (reader, path) in [
        (&old, "/operations/me"),
        (&old, "/operations"),
        (&admin, "/operations"),
    ] {
        let shown = reader.get(path).await.expect_old(200);
        let shown = ids(&shown);
        assert_eq!(shown.len(), OPERATIONS, "{path}");
        assert!(shown.is_sorted(), "{path}: not oldest first");
        assert_eq!(shown, made, "{path}");
    }
}

async fn hundreds_of_probes_are_one_document() {
    const PROBES: usize = 1_100;
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let mut cards = Vec::new();
    for number in 0..PROBES {
        cards.push(ana.probe(&format!("probe {number}")).await);
    }
    let _first = FakeProbe::connect(&hub, &cards[0].token).await;
    let _last = Worker::start(&hub, &cards[PROBES - 1], 121).await;
    let old = OldApi::of(&hub, &ana);
    for path in ["/probes", "/probes/me"] {
        let shown = old.get(path).await.expect_old(200);
        let shown = shown.as_array().expect("a list");
        let ids: Vec<&Value> = shown.iter().map(|probe| &probe["identifier"]).collect();
        let wanted: Vec<Value> = cards.iter().map(|card| json!(card.id)).collect();
        assert_eq!(ids, wanted.iter().collect::<Vec<_>>(), "{path}");
        let connected = |probe: &&Value| probe["connected"] == true;
        assert_eq!(shown.iter().filter(connected).count(), 2, "{path}");
    }
}

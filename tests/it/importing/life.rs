//! A hub on what was imported.

use bson::oid::ObjectId;
use serde_json::{Value, json};
use tests::{Hub, Knock, OldApi, OldProbe, OldResult, TestUser, database, hub::PASSWORD};

use super::bench::{DIG, Ids, KEY, OldDatabase, import, token};
use crate::diagnostics::bench::diagnose;

/// A hub whose store had a superuser and nothing else, with all that the old system left.
async fn hub() -> (Hub, OldDatabase, Ids) {
    let mut hub = Hub::start_with(&[("SECRET_KEY", KEY)]).await;
    assert_eq!(hub.terminate().await, 0);
    let (old, ids) = OldDatabase::usual();
    let _ = import(&hub.data_dir(), old.dump().name()).await.expect(0);
    hub.restart().await;
    (hub, old, ids)
}

pub(super) async fn users_and_probes_go_on() {
    let (mut hub, _, ids) = hub().await;
    let ana = TestUser::log_in(hub.api(), "ana@example.org", PASSWORD).await;
    assert_eq!(
        (ana.id.as_str(), ana.credits().await),
        (ids.ana.to_hex().as_str(), 100)
    );
    let ledger = ana.api.get("/api/v1/users/me/credits").await.expect(200);
    assert_eq!(ledger["items"][0]["reason"], "grant");
    let aside = format!("duplicate-{}.ana@example.org", ids.double);
    let double = TestUser::log_in(hub.api(), &aside, PASSWORD).await;
    assert_eq!(double.credits().await, 3);
    let nobody =
        json!({ "email": format!("nobody-{}@invalid", ids.nameless), "password": PASSWORD });
    let _ = hub
        .api()
        .post("/api/v1/sessions", &nobody)
        .await
        .expect_problem(401, "wrong_credentials");
    // An agent that is at it comes with the token it has, and what it measured counts.
    let knock = Knock::new(&token(ids.attic, ids.ana), 121, 15 + 1);
    let mut agent = OldProbe::connect_as(&hub, &knock).await;
    let (running, evil) = (ids.running.to_hex(), ids.evil.to_hex());
    let result = OldResult::new(&running, "new", "warts", b"");
    assert_eq!(agent.deliver(&result).await, json!([running]));
    let unwanted = OldResult::new(&evil, "unwanted", "warts", b"");
    assert_eq!(agent.deliver(&unwanted).await, json!([evil]));
    let again = OldResult::new(&evil, "a", "warts", b"");
    assert_eq!(agent.deliver(&again).await, json!([evil]));
    // Nothing is handed to it a second time.
    assert!(agent.handed_so_far().is_empty());
    let results = ana.results(running.parse().expect("an id")).await;
    assert_eq!(results.len(), 1);
    let count = format!("select count(*) from results where operation = '{evil}'");
    assert_eq!(hub.number(&count).await, 1);
    // What still runs can be cancelled, and what is ahead is given back.
    let before = ana.credits().await;
    let _ = ana.cancel(running.parse().expect("an id")).await;
    let back = ana.credits().await - before;
    assert!((11 * 15..=12 * 15).contains(&back), "{back}");
    assert_eq!(hub.terminate().await, 0);
    database::snapshot(&hub.data_dir()).check_imported(&OldDatabase::imported(ids));
    // What was paid for elsewhere is no finding.
    diagnose(&hub, &[]).await.must_be_clean();
}

fn hex(id: ObjectId) -> String {
    id.to_hex()
}

pub(super) async fn the_old_paths_show_what_they_showed() {
    let (hub, old, ids) = hub().await;
    let api = OldApi::new(&hub);
    operations_are_shown(&api, &old, ids).await;
    let map = api.get("/probes").await.expect_old(200);
    let mut probes = map.as_array().expect("probes").iter();
    let nowhere = probes.find(|it| it["identifier"] == hex(ids.nowhere));
    let zero = json!({ "longitude": 0.0, "latitude": 0.0 });
    assert_eq!(nowhere.expect("a probe")["location"], zero);
    let ana = TestUser::log_in(hub.api(), "ana@example.org", PASSWORD).await;
    let mine = OldApi::of(&hub, &ana).get("/operations/me").await;
    let mine = mine.expect_old(200);
    let mine = mine.as_array().expect("operations").iter();
    let mine: Vec<&Value> = mine.map(|it| &it["_id"]).collect();
    assert_eq!(mine, [&json!(hex(ids.over)), &json!(hex(ids.running))]);
    version_1_shows_it_too(&ana, ids).await;
}

async fn operations_are_shown(api: &OldApi, old: &OldDatabase, ids: Ids) {
    let shown = |id: ObjectId| {
        let path = format!("/operation?id={}", hex(id));
        async move { api.get(&path).await.expect_old(200) }
    };
    let price = |shown: &Value| (shown["credits"].clone(), shown["result_format"].clone());
    let over = shown(ids.over).await;
    assert_eq!(price(&over), (json!(20), json!("json")));
    let sent = old.operations[0].get_document("params").expect("params");
    let stop_time = sent.get_str("stop_time").expect("a time");
    let params = &over["params"];
    assert_eq!(
        (&params["x"], &params["stop_time"]),
        (&json!(1), &json!(stop_time))
    );
    let results = over["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["probe"], hex(ids.attic));
    assert_eq!(results[0]["results"][1]["responses"][0]["rtt"], 1.25);
    assert_eq!(results[0].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(over["probes"].as_array().map(Vec::len), Some(2));
    let asked = shown(ids.asked).await;
    assert_eq!(price(&asked), (json!(10), json!("text")));
    let results = json!([{ "probe": hex(ids.nowhere), "results": DIG }]);
    assert_eq!(asked["results"], results);
    let evil = shown(ids.evil).await;
    assert_eq!(evil["params"]["dport"], "1'; touch /tmp/x; echo '");
}

async fn version_1_shows_it_too(ana: &TestUser, ids: Ids) {
    let path = format!("/api/v1/operations/{}", hex(ids.over));
    let operation = ana.api.get(&path).await.expect(200);
    assert_eq!(operation["charged"], 20);
    let results = ana.api.get(&format!("{path}/results?limit=1")).await;
    let results = results.expect(200);
    assert_eq!(results["items"][0]["summary"]["targets"][0]["received"], 1);
    let raw = ana.api.get(&format!("{path}/results/1/raw")).await;
    assert!(raw.body.is_empty());
}

//! Probes at the old paths: registering and showing them.

use probe_protocol::{Hello, OperationId, ProbeId};
use serde_json::{Value, json};
use tests::{
    FakeProbe, Hub, OldApi, TestProbe, Trial, eventually, old_api::claims, probe::hello, trials,
    wait::SOON,
};

use super::bench::{Bench, order};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_registration_answers_with_a_token_alone,
        coordinates_are_numbers,
        coordinates_lie_on_the_globe,
        everyone_sees_all_probes,
        the_owner_sees_tokens,
        availability_is_the_free_share,
        availability_stays_a_share,
    ]
}

const NO_LONGITUDE: &str = "location.longitude is not a number";
const NO_LATITUDE: &str = "location.latitude is not a number";

async fn a_registration_answers_with_a_token_alone() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let old = OldApi::of(&hub, &ana);
    let place =
        json!({"location": {"longitude": -58.37, "latitude": -34.6, "city": "x"}, "name": 5});
    let made = old.post("/probes", &place).await.expect_old(201);
    let token = made["token"].as_str().expect("a token");
    assert_eq!(made, json!({"token": token}));
    let (head, said) = claims(token);
    assert_eq!(head["alg"], "HS256");
    // It does not end by itself.
    assert_eq!(said.get("exp"), None);
    let mine = old.get("/probes/me").await.expect_old(200);
    assert_eq!(mine[0]["identifier"], said["identifier"]);
    let probe = FakeProbe::connect(&hub, token).await;
    assert_eq!(json!(probe.welcome.probe), said["identifier"]);
}

async fn coordinates_are_numbers() {
    let hub = Hub::start().await;
    let old = OldApi::of(&hub, &hub.user("ana", 0).await);
    let register = async |longitude: Value, latitude: Value| {
        let place = json!({"longitude": longitude, "latitude": latitude});
        old.post("/probes", &json!({"location": place})).await
    };
    for wrong in [
        json!("5"),
        json!(""),
        Value::Null,
        json!([5]),
        json!({}),
        json!(true),
    ] {
        // The longitude is looked at first.
        let answer = register(wrong.clone(), wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        answer.expect_error(400, NO_LONGITUDE);
        register(json!(0), wrong)
            .await
            .expect_error(400, NO_LATITUDE);
    }
    for location in [json!({}), json!({"latitude": 5})] {
        let answer = old.post("/probes", &json!({"location": location})).await;
        answer.expect_error(400, NO_LONGITUDE);
    }
    let half = json!({"location": {"longitude": 5}});
    old.post("/probes", &half)
        .await
        .expect_error(400, NO_LATITUDE);
    for location in [
        Value::Null,
        json!([1, 2]),
        json!("1,2"),
        json!(5),
        json!([]),
    ] {
        let answer = old.post("/probes", &json!({"location": location})).await;
        answer.expect_refusal(400);
    }
    let shown = old.get("/probes").await.expect_old(200);
    assert_eq!(shown, json!([]));
}

async fn coordinates_lie_on_the_globe() {
    let hub = Hub::start().await;
    let old = OldApi::of(&hub, &hub.user("ana", 0).await);
    let register = async |longitude: f64, latitude: f64| {
        let place = json!({"longitude": longitude, "latitude": latitude});
        old.post("/probes", &json!({"location": place})).await
    };
    let on_it = [(180.0, 90.0), (-180.0, -90.0), (0.0, 0.0), (1e-7, -1e-7)];
    for (longitude, latitude) in on_it {
        let _ = register(longitude, latitude).await.expect_old(201);
    }
    for (longitude, latitude) in [
        (180.1, 0.0),
        (-180.1, 0.0),
        (0.0, 90.1),
        (0.0, -90.1),
        (999.0, -999.0),
        (1e308, 0.0),
    ] {
        let answer = register(longitude, latitude).await;
        assert_eq!(answer.status, 400, "{longitude} {latitude}");
        answer.expect_refusal(400);
    }
    let whole = json!({"location": {"longitude": 7, "latitude": -8}});
    let _ = old.post("/probes", &whole).await.expect_old(201);
    let shown = old.get("/probes").await.expect_old(200);
    let shown = shown.as_array().expect("a list");
    assert_eq!(shown.len(), on_it.len() + 1);
    for (probe, (longitude, latitude)) in shown.iter().zip(on_it) {
        let location = json!({"longitude": longitude, "latitude": latitude});
        assert_eq!(probe["location"], location);
    }
}

/// An identifier in JSON.
fn id(probe: &TestProbe) -> Value {
    json!(probe.id)
}

async fn everyone_sees_all_probes() {
    let hub = Hub::start().await;
    let (ana, ben) = (hub.user("ana", 0).await, hub.user("ben", 0).await);
    let cards = [
        ana.probe("first").await,
        ben.probe("second").await,
        ana.probe("third").await,
        ana.probe("deleted").await,
    ];
    let _ = ana
        .api
        .delete(&format!("/api/v1/probes/{}", cards[3].id))
        .await
        .expect(204);
    let probe = FakeProbe::connect(&hub, &cards[1].token).await;
    let location = json!({"longitude": -77.0, "latitude": -12.0});
    let away = |card: &TestProbe, owner: &str| json!({"identifier": id(card), "owner_id": owner, "location": location, "connected": false});
    let mut expected = json!([
        away(&cards[0], &ana.id),
        away(&cards[1], &ben.id),
        away(&cards[2], &ana.id)
    ]);
    expected[1]["connected"] = json!(true);
    expected[1]["availability"] = json!(1.0);
    let anyone = OldApi::new(&hub);
    for speaker in [
        anyone.clone(),
        anyone.with_token("nonsense"),
        OldApi::of(&hub, &ben),
    ] {
        let shown = speaker.get("/probes").await.expect_old(200);
        assert_eq!(shown, expected);
    }
    drop(probe);
    let what = "the probe is shown as away";
    expected[1] = away(&cards[1], &ben.id);
    eventually(SOON, what, async || {
        (anyone.get("/probes").await.expect_old(200) == expected).then_some(())
    })
    .await;
}

async fn the_owner_sees_tokens() {
    let bench = Bench::new().await;
    let (hub, ben) = (&bench.hub, bench.hub.user("ben", 0).await);
    let other = ben.probe("of ben").await;
    let second = bench.user.probe("second").await;
    let mine = bench.old.get("/probes/me").await.expect_old(200);
    let mine = mine.as_array().expect("a list");
    let ids: Vec<&Value> = mine.iter().map(|probe| &probe["identifier"]).collect();
    assert_eq!(ids, [&id(&bench.card), &id(&second)]);
    assert_eq!(
        (&mine[0]["connected"], &mine[0]["availability"]),
        (&json!(true), &json!(1.0))
    );
    assert_eq!(
        (&mine[1]["connected"], mine[1].get("availability")),
        (&json!(false), None)
    );
    for probe in mine {
        let token = probe["token"].as_str().expect("a token");
        assert_eq!(claims(token).1["identifier"], probe["identifier"]);
        assert_eq!(probe["owner_id"], json!(bench.user.id));
        assert_eq!(
            probe["location"],
            json!({"longitude": -77.0, "latitude": -12.0})
        );
    }
    let token = mine[1]["token"].as_str().expect("a token");
    let session = FakeProbe::connect(hub, token).await;
    assert_eq!(session.welcome.probe, second.id);
    let of_ben = OldApi::of(hub, &ben)
        .get("/probes/me")
        .await
        .expect_old(200);
    assert_eq!(of_ben[0]["identifier"], id(&other));
    assert_eq!(of_ben.as_array().map(Vec::len), Some(1));
    let carla = OldApi::of(hub, &hub.user("carla", 0).await);
    assert_eq!(carla.get("/probes/me").await.text(), "[]\n");
    // Nobody else sees a token.
    let shown = bench.old.get("/probes").await.text();
    assert!(!shown.contains("token"), "{shown}");
}

/// The availability of the only connected probe, as it is written.
async fn availability(old: &OldApi, probe: ProbeId) -> f64 {
    let shown = old.get("/probes").await.expect_old(200);
    let probes = shown.as_array().expect("a list").iter();
    let mut this = probes.filter(|one| one["identifier"] == json!(probe));
    let this = this.next().expect("the probe");
    assert_eq!(this["connected"], true, "{this}");
    this["availability"].as_f64().expect("a number")
}

async fn connect(hub: &Hub, card: &TestProbe, total: u32, in_use: u32) -> FakeProbe {
    let hello = Hello {
        total_credits: total,
        in_use_credits: in_use,
        ..hello(Vec::new())
    };
    FakeProbe::connect_as(hub, &card.token, hello).await
}

async fn availability_is_the_free_share() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let mut probe = connect(&hub, &card, 121, 0).await;
    assert!((availability(&old, card.id).await - 1.0).abs() < f64::EPSILON);
    let made = old
        .post("/traceroute", &order("traceroute", &[&card]))
        .await;
    let made = made.expect_old(201);
    let operation: OperationId = made["_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id");
    assert_eq!(probe.accept().await, operation);
    // As a double prints, not rounded.
    let text = old.get("/probes").await.text();
    assert!(
        text.contains(r#""availability":0.8760330578512396,"#),
        "{text}"
    );
    probe.finish(operation).await;
    eventually(SOON, "the credits are free again", async || {
        ((availability(&old, card.id).await - 1.0).abs() < f64::EPSILON).then_some(())
    })
    .await;
}

async fn availability_stays_a_share() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    for (total, in_use) in [
        (0, 0),
        (0, 5),
        (121, 122),
        (121, u32::MAX),
        (1, 0),
        (u32::MAX, 7),
    ] {
        let probe = connect(&hub, &card, total, in_use).await;
        let share = availability(&old, card.id).await;
        assert!((0.0..=1.0).contains(&share), "{total} {in_use}: {share}");
        let _ = old.get("/probes/me").await.expect_old(200);
        drop(probe);
    }
}

//! Once a day, one of the hubs looks at everything, and all of them show what it found.

use std::time::Duration;

use bson::doc;
use chrono::{TimeDelta, Utc};
use serde_json::Value;
use tests::{Case, Hub, Trial, eventually};

use super::bench::{harm_document, harm_file, on_mongo, on_sqlite, world};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::diagnostics::scheduled::a_hub_looks_at_its_time")
            .run(a_hub_looks_at_its_time),
        Case::new("it::diagnostics::scheduled::of_two_hubs_one_looks")
            .unless(services::mongod::missing())
            .run(of_two_hubs_one_looks),
    ]
}

const PATH: &str = "/api/v1/admin/diagnostics";
/// Until then hubs have started, and a world was made.
const AHEAD: TimeDelta = TimeDelta::seconds(25);
/// Longest until the report is there, and every hub shows it.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
/// What a hub logs when it begins.
const BEGINS: &str = "everything is looked at";

/// A time of day that is soon.
fn soon() -> String {
    (Utc::now() + AHEAD).format("%H:%M:%S").to_string()
}

/// One number of a hub's metrics.
async fn metric(hub: &Hub, name: &str) -> f64 {
    let text = hub.api().get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    value.trim().parse().expect("a number")
}

const BALANCE: &str = "pladmed_diagnosis_findings{rule=\"balance\"}";
const AT: &str = "pladmed_diagnosis_timestamp_seconds";

/// The report as a superuser is shown it, as soon as it is there.
async fn report(hub: &Hub) -> Value {
    let admin = hub.admin().await;
    eventually(SHOWN_WITHIN, "a report", async || {
        let answer = admin.api.get(PATH).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await
}

fn must_have_found_the_balance(report: &Value, user: &str) {
    assert_eq!(report["total"], 1, "{report}");
    assert_eq!(report["by_rule"]["balance"], 1, "{report}");
    assert_eq!(report["findings"][0]["user"], user, "{report}");
    let by = report["by"].as_str().expect("a name");
    assert!(by.starts_with("hub "), "{by}");
}

async fn a_hub_looks_at_its_time() {
    let mut hub = on_sqlite(&[("DIAGNOSE_AT", &soon())]).await;
    let world = world(&hub).await;
    hub.api()
        .get(PATH)
        .await
        .expect_problem(401, "unauthorized");
    world
        .ana
        .api
        .get(PATH)
        .await
        .expect_problem(403, "forbidden");
    let admin = hub.admin().await;
    admin.api.get(PATH).await.expect_problem(404, "not_found");
    assert_eq!(
        (metric(&hub, BALANCE).await, metric(&hub, AT).await),
        (0.0, 0.0)
    );
    let sql = format!(
        "update users set credits = credits + 5 where id = '{}'",
        world.ana.id
    );
    harm_file(&hub, &sql);
    let shown = report(&hub).await;
    must_have_found_the_balance(&shown, &world.ana.id);
    assert_eq!(metric(&hub, BALANCE).await, 1.0);
    let age = Utc::now().timestamp() as f64 - metric(&hub, AT).await;
    assert!((-5.0..120.0).contains(&age), "{age}");
    assert_eq!(hub.terminate().await, 0);
    // It is kept, and not made anew for the same day.
    hub.restart().await;
    assert_eq!(report(&hub).await, shown);
    eventually(SHOWN_WITHIN, "shown again", async || {
        (metric(&hub, BALANCE).await == 1.0).then_some(())
    })
    .await;
    let log = hub.process().log();
    assert_eq!(log.matches(BEGINS).count(), 1, "{log}");
}

async fn of_two_hubs_one_looks() {
    let one = on_mongo(&[("DIAGNOSE_AT", &soon())]).await;
    let two = one.beside().await;
    let world = world(&one).await;
    let database = one.mongo().await.expect("a database");
    let user = bson::oid::ObjectId::parse_str(&world.ana.id).expect("an identifier");
    let more = doc! { "$inc": { "credits": 5_i64 } };
    harm_document(&database, "users", doc! { "_id": user }, more).await;
    let shown = report(&one).await;
    must_have_found_the_balance(&shown, &world.ana.id);
    assert_eq!(report(&two).await, shown);
    let mut hubs = [one, two];
    for hub in &hubs {
        eventually(SHOWN_WITHIN, "shown by both", async || {
            (metric(hub, BALANCE).await == 1.0).then_some(())
        })
        .await;
    }
    let mut begun = 0;
    for hub in &mut hubs {
        begun += hub.process().log().matches(BEGINS).count();
        assert_eq!(hub.terminate().await, 0);
    }
    assert_eq!(begun, 1);
}

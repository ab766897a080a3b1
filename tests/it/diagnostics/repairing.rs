//! `--repair` puts right what has one right answer, says so, and leaves the rest as it is.

use bson::doc;
use serde_json::Value;
use tests::{Ack, Hub, Trial};

use super::{
    bench::{diagnose, harm_document, harm_file, in_both, save, world},
    damages::{DAMAGES, Names},
};

pub(super) fn trials() -> Vec<Trial> {
    in_both![
        what_has_one_answer_is_put_right,
        a_balance_stays_where_an_entry_is_lost,
        a_count_stays_where_a_result_is_lost,
    ]
}

/// Damage of these rules, the first of each.
async fn harm(hub: &Hub, names: &Names, rules: &[&str]) {
    for rule in rules {
        let damage = DAMAGES.iter().find(|damage| damage.rule == *rule);
        let damage = damage.expect("such damage");
        match hub.mongo().await {
            None => harm_file(hub, &names.in_sql(damage.file)),
            Some(database) => {
                for (collection, filter, change) in (damage.documents)(names) {
                    harm_document(&database, collection, filter, change).await;
                }
            }
        }
    }
}

fn repaired(report: &Value) -> Vec<&str> {
    let lines = report["repaired"].as_array().expect("a list");
    lines.iter().filter_map(Value::as_str).collect()
}

async fn what_has_one_answer_is_put_right(hub: Hub) {
    let mut world = world(&hub).await;
    let names = Names::of(&world);
    let is_file = hub.mongo().await.is_none();
    let credits = world.ana.credits().await;
    // While the hub runs.
    let mut mendable = vec![
        "balance",
        "assignment_results",
        "open_assignments",
        "ended",
        "assignment_end",
    ];
    if is_file {
        mendable.push("probe_load");
    }
    harm(&hub, &names, &mendable).await;
    harm(&hub, &names, &["closes"]).await;
    let found = diagnose(&hub, &[]).await;
    assert_eq!(found.code, Some(1));
    for finding in found.findings() {
        let rule = finding["rule"].as_str().expect("a rule");
        assert_eq!(finding["repairable"], mendable.contains(&rule), "{finding}");
    }
    let mended = diagnose(&hub, &["--repair"]).await;
    assert_eq!((mended.code, mended.rules()), (Some(1), vec!["closes"]));
    let lines = repaired(&mended.report);
    assert_eq!(lines.len(), mendable.len(), "{lines:?}");
    for id in [
        &world.ana.id,
        &world.running.to_string(),
        &world.over.to_string(),
    ] {
        assert!(lines.iter().any(|line| line.contains(id)), "{lines:?}");
    }
    assert_eq!(world.ana.credits().await, credits);
    // There is nothing more that it could do, and all goes on.
    let again = diagnose(&hub, &["--repair"]).await;
    assert_eq!(repaired(&again.report), Vec::<&str>::new());
    assert_eq!(world.agent.deliver(world.running, "4").await, Ack::Stored);
    let broken = hub.snapshot().await.broken_promises();
    assert_eq!(broken.len(), 1, "{broken:?}");
    let ended = world.ana.operation(world.over).await;
    assert!(ended["ended_at"].is_string(), "{ended}");
}

async fn a_balance_stays_where_an_entry_is_lost(mut hub: Hub) {
    let world = world(&hub).await;
    let names = Names::of(&world);
    assert_eq!(hub.terminate().await, 0);
    // The last one: what is left of the ledger looks whole.
    match hub.mongo().await {
        None => {
            let sql = "delete from ledger where user = USER and number = (select max(number) from ledger where user = USER)";
            harm_file(&hub, &names.in_sql(sql));
        }
        Some(database) => {
            let user = doc! { "_id": names.user };
            let users = database.collection::<bson::Document>("users");
            let found = users.find_one(user).await.expect("an answer");
            let found = found.expect("a user");
            let last = found.get_i64("ledger_entries").expect("a number");
            let id = doc! { "_id": { "user": names.user, "number": last } };
            harm_document(&database, "ledger", id, doc! {}).await;
        }
    }
    let before = save(&hub).await;
    let found = diagnose(&hub, &["--repair"]).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    assert!(found.rules().contains(&"ledger_reward"), "{}", found.report);
    assert_eq!(repaired(&found.report), Vec::<&str>::new());
    before.must_be(&save(&hub).await);
}

async fn a_count_stays_where_a_result_is_lost(mut hub: Hub) {
    let world = world(&hub).await;
    let names = Names::of(&world);
    assert_eq!(hub.terminate().await, 0);
    harm(&hub, &names, &["result_numbers"]).await;
    let before = save(&hub).await;
    let found = diagnose(&hub, &["--repair"]).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    assert_eq!(repaired(&found.report), Vec::<&str>::new());
    before.must_be(&save(&hub).await);
    // Where results are forgotten by age, none is missing.
    hub.set("RESULT_TTL_DAYS", "30");
    let found = diagnose(&hub, &[]).await;
    found.must_be_clean();
    assert_eq!(found.report["results_are_forgotten"], true);
}

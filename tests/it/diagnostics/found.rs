//! A sound world gives no finding, and nothing of it changes; damage is found with the names of what it was done to.

use bson::Document;
use tests::{Hub, Trial, database};

use super::{
    bench::{diagnose, harm_document, harm_file, in_both, on_mongo, on_sqlite, save, world},
    damages::{DAMAGES, Damage, Names},
};
use crate::copying::bench::{pladmed, refused, run};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = in_both![
        a_sound_world_is_left_as_it_is,
        every_damage_is_found,
        people_are_told_in_words,
    ];
    trials.extend(tests::trials![
        what_cannot_be_looked_at_is_said,
        an_older_file_is_left_as_it_is,
    ]);
    trials.push(
        tests::Case::new("it::diagnostics::found::a_missing_index_is_found")
            .unless(services::mongod::missing())
            .run(a_missing_index_is_found),
    );
    trials
}

async fn a_sound_world_is_left_as_it_is(mut hub: Hub) {
    let _world = world(&hub).await;
    // Beside a hub that runs.
    diagnose(&hub, &[]).await.must_be_clean();
    assert_eq!(hub.terminate().await, 0);
    let before = save(&hub).await;
    let found = diagnose(&hub, &[]).await;
    found.must_be_clean();
    before.must_be(&save(&hub).await);
    let looked = &found.report["looked_at"];
    for (what, least) in [
        ("users", 2),
        ("probes", 1),
        ("operations", 2),
        ("assignments", 2),
        ("results", 4),
        ("ledger_entries", 7),
    ] {
        assert_eq!(looked[what], least, "{what} of {looked}");
    }
    // What has nothing to repair is left as it is, too.
    diagnose(&hub, &["--repair"]).await.must_be_clean();
    before.must_be(&save(&hub).await);
}

/// Does it, where this store can have it.
async fn harm(hub: &Hub, names: &Names, damage: &Damage) -> bool {
    let Some(database) = hub.mongo().await else {
        if !damage.file.is_empty() {
            harm_file(hub, &names.in_sql(damage.file));
        }
        return !damage.file.is_empty();
    };
    let changes = (damage.documents)(names);
    let is_done = !changes.is_empty();
    for (collection, filter, change) in changes {
        harm_document(&database, collection, filter, change).await;
    }
    is_done
}

async fn every_damage_is_found(mut hub: Hub) {
    let world = world(&hub).await;
    let names = Names::of(&world);
    assert_eq!(hub.terminate().await, 0);
    let sound = save(&hub).await;
    let is_file = hub.mongo().await.is_none();
    let mut done = 0;
    for damage in DAMAGES {
        if !harm(&hub, &names, damage).await {
            continue;
        }
        done += 1;
        let found = diagnose(&hub, &[]).await;
        let what = format!("{}: {:#}", damage.rule, found.report);
        assert_eq!(found.code, Some(1), "{what}");
        assert_eq!(
            found.report["by_rule"][damage.rule]
                .as_u64()
                .map(|count| count > 0),
            Some(true),
            "{what}"
        );
        let of_it = found.findings().iter().find(|one| {
            one["rule"] == damage.rule && damage.of.iter().all(|name| one[*name].is_string())
        });
        let of_it = of_it.unwrap_or_else(|| panic!("{what}"));
        let named = of_it.to_string();
        for (name, id) in [("user", names.user), ("probe", names.probe)] {
            if damage.of.contains(&name) {
                assert!(named.contains(&id.to_hex()), "{what}");
            }
        }
        assert!(of_it["what"].as_str().is_some_and(|text| text.len() > 10));
        if damage.is_alone {
            // A rule of the file's own schema may be broken as well.
            let others = found
                .rules()
                .into_iter()
                .filter(|rule| *rule != damage.rule && !(is_file && *rule == "store"));
            assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new(), "{what}");
        }
        sound.put_back(&hub).await;
    }
    assert!(done >= 28, "{done}");
    diagnose(&hub, &[]).await.must_be_clean();
}

async fn people_are_told_in_words(mut hub: Hub) {
    let world = world(&hub).await;
    let names = Names::of(&world);
    assert_eq!(hub.terminate().await, 0);
    let output = run(hub.command(&["diagnose"])).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("Everything is as it must be."), "{said}");
    assert!(harm(&hub, &names, &DAMAGES[0]).await);
    let output = run(hub.command(&["diagnose"])).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = format!("balance: user {}: the balance is ", world.ana.id);
    assert!(
        said.contains(&line) && said.contains("1 finding."),
        "{said}"
    );
}

async fn what_cannot_be_looked_at_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = |words: &[&str], settings: &[(&str, &str)]| {
        let mut command = pladmed(words);
        command
            .env("DATA_DIR", folder.path().join("data"))
            .env("ENVIRONMENT", "test");
        command.envs(settings.iter().copied());
        command
    };
    let why = refused(command(&["diagnose"], &[]), 2).await;
    assert!(why.contains("there is no database at"), "{why}");
    assert!(!folder.path().join("data").exists());
    let why = refused(command(&["diagnose"], &[("DIAGNOSE_AT", "noon")]), 2).await;
    assert!(why.contains("DIAGNOSE_AT"), "{why}");
    let away = [
        ("DATABASE", "mongo"),
        (
            "MONGO_URI",
            "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200&connectTimeoutMS=200",
        ),
    ];
    let why = refused(command(&["diagnose"], &away), 3).await;
    assert!(why.contains("cannot open the database"), "{why}");
    let output = run(command(&["diagnose", "--help"], &[])).await;
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["--repair", "--json", "Exit codes:", "there are findings"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
}

async fn an_older_file_is_left_as_it_is() {
    let mut hub = on_sqlite(&[]).await;
    assert_eq!(hub.terminate().await, 0);
    database::change(&hub.data_dir(), "drop table reports", []);
    database::change(&hub.data_dir(), "pragma user_version = 5", []);
    let before = save(&hub).await;
    for words in [&["diagnose"][..], &["diagnose", "--repair"]] {
        let why = refused(hub.command(words), 3).await;
        assert!(why.contains("older version"), "{why}");
        before.must_be(&save(&hub).await);
    }
    hub.set("ENVIRONMENT", "development");
    database::change(&hub.data_dir(), "pragma user_version = 6", []);
    let why = refused(hub.command(&["diagnose"]), 2).await;
    assert!(why.contains("development"), "{why}");
}

async fn a_missing_index_is_found() {
    let hub = on_mongo(&[]).await;
    let database = hub.mongo().await.expect("a database");
    let results = database.collection::<Document>("results");
    results
        .drop_index("keys_by_age")
        .await
        .expect_err("not of this collection");
    let keys = database.collection::<Document>("idempotency_keys");
    keys.drop_index("keys_by_age").await.expect("an index");
    let found = diagnose(&hub, &[]).await;
    assert_eq!((found.code, found.rules()), (Some(1), vec!["store"]));
    let what = found.findings()[0]["what"].to_string();
    assert!(what.contains("keys_by_age"), "{what}");
}

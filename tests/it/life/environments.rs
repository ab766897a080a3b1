//! A database belongs to one environment.

use std::{future::ready, time::Duration};

use services::mongod;
use tests::{Case, Trial, database, eventually, hub::PASSWORD, process::Process, wait::SOON};

use super::bench::{Home, done, in_both};
use crate::copying::bench::{command, copied, pladmed, refused, sqlite, stopped};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = in_both![
        a_database_belongs_to_its_first_hub,
        one_without_a_stamp_takes_that_of_its_first_hub,
    ];
    trials.extend(tests::trials![a_copy_stays_where_it_belongs]);
    trials.push(
        Case::new("it::life::environments::of_hubs_that_start_at_once_one_decides")
            .unless(mongod::missing())
            .run(of_hubs_that_start_at_once_one_decides),
    );
    trials
}

/// Registers a superuser; the command, so that it may be refused.
fn superuser(home: &Home, environment: &str) -> tokio::process::Command {
    let arguments = ["superuser", "create", "eve@example.org", "--password-stdin"];
    let mut command = home.command(environment, &arguments);
    let password = home.data_dir().join("password");
    std::fs::create_dir_all(home.data_dir()).expect("a folder");
    std::fs::write(&password, PASSWORD).expect("a file");
    command.stdin(std::fs::File::open(password).expect("the file"));
    command
}

async fn a_database_belongs_to_its_first_hub(home: Home) {
    let mut hub = home.hub("test").await;
    assert_eq!(hub.terminate().await, 0);
    assert_eq!(home.stamp().await.as_deref(), Some("test"));
    for other in ["development", "staging", "production"] {
        let (code, said) = home.hub_refused(other).await;
        assert_eq!(code, 2, "{said}");
        let here = format!("ENVIRONMENT is {other}");
        for word in ["belongs to the environment test", &here, &home.name()] {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
    }
    // Nor has it a say in anything else.
    if let Home::Mongo(_, database, _) = &home {
        let results = database.collection::<bson::Document>("results");
        let indexes = results.list_index_names().await.expect("indexes");
        assert!(!indexes.iter().any(|name| name == "by_age"), "{indexes:?}");
    }
    let said = refused(superuser(&home, "production"), 2).await;
    assert!(said.contains("environment test"), "{said}");
    assert_eq!(
        home.snapshot().await.number("select count(*) from users"),
        0
    );
    done(superuser(&home, "test")).await;
    let mut hub = home.hub("test").await;
    assert_eq!(hub.terminate().await, 0);
}

async fn one_without_a_stamp_takes_that_of_its_first_hub(home: Home) {
    let mut hub = home.hub("test").await;
    assert_eq!(hub.terminate().await, 0);
    home.forget_stamp().await;
    // Commands beside a hub leave that to it.
    done(superuser(&home, "development")).await;
    let (said, _) = done(home.command("staging", &["migrate"])).await;
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(home.stamp().await, None);
    let mut hub = home.hub("production").await;
    assert_eq!(hub.terminate().await, 0);
    assert_eq!(home.stamp().await.as_deref(), Some("production"));
    let (code, said) = home.hub_refused("test").await;
    assert_eq!(code, 2, "{said}");
}

async fn a_copy_stays_where_it_belongs() {
    let (_hub, from) = stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copy");
    copied(&from, &to).await;
    let stamp = database::snapshot(&to).texts("select name from environment");
    assert_eq!(stamp, ["test"]);
    // Not into one that belongs elsewhere, though it is empty.
    let home = Home::folder();
    let mut hub = home.hub("development").await;
    assert_eq!(hub.terminate().await, 0);
    let why = refused(command(&sqlite(&from), &home.written()), 2).await;
    for word in ["development", "to test"] {
        assert!(why.contains(word), "{why}");
    }
    // That was no beginning of anything.
    let mut hub = home.hub("development").await;
    assert_eq!(hub.terminate().await, 0);
}

async fn of_hubs_that_start_at_once_one_decides() {
    const HUBS: usize = 4;
    let home = Home::mongo().await;
    let logs = tempfile::tempdir().expect("a folder");
    let mut hubs: Vec<(&str, Process)> = (0..HUBS)
        .map(|number| {
            let environment = ["test", "development"][number % 2];
            let mut serve = pladmed(&["serve"]);
            serve
                .envs(home.settings(environment))
                .env("HOST", "127.0.0.1")
                .env("PORT", "0");
            let log = logs.path().join(number.to_string());
            (environment, Process::start("pladmed", serve, log))
        })
        .collect();
    let mut running = Vec::new();
    for (environment, hub) in &mut hubs {
        let code = eventually(SOON * 3, "a hub that starts or ends", || {
            let is_ready = hub.log().contains("the hub is ready");
            ready(hub.ended().or(is_ready.then_some(0)))
        })
        .await;
        if code == 0 {
            running.push(*environment);
        } else {
            assert_eq!(code, 2, "{}", hub.log());
        }
    }
    let stamp = home.stamp().await.expect("a stamp");
    assert_eq!(running, [stamp.as_str(); HUBS / 2]);
    for (_, hub) in &mut hubs {
        if hub.ended().is_none() {
            assert_eq!(hub.terminate(STOPPED_WITHIN).await, 0);
        }
    }
}

/// Longest a hub may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(25);

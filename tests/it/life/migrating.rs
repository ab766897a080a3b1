//! `pladmed migrate`: says what it will do, and does it when it is told to.

use tests::{Case, Trial, database, process::on_path};
use tokio::process::Command;

use super::bench::{Home, done, in_both, set_version};
use crate::copying::bench::{number, refused, run};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = in_both![a_new_database_is_made, what_a_hub_refuses_is_refused];
    trials.extend(tests::trials![an_older_database_is_brought_up_to_date]);
    trials.push(
        Case::new("it::life::migrating::a_terminal_is_asked")
            .unless(
                on_path("script")
                    .is_none()
                    .then(|| "needs script (util-linux)".to_owned()),
            )
            .run(a_terminal_is_asked),
    );
    trials
}

const VERSION: &str = "select user_version from pragma_user_version";

/// A database as the version before environments left it.
async fn older() -> Home {
    let home = Home::folder();
    let mut hub = home.hub("test").await;
    assert_eq!(hub.terminate().await, 0);
    for table in ["environment", "reports"] {
        database::change(&home.data_dir(), &format!("drop table {table}"), []);
    }
    set_version(&home.data_dir(), 4);
    home
}

async fn an_older_database_is_brought_up_to_date() {
    let home = older().await;
    let version = || number(&home.data_dir(), VERSION);
    let (plan, _) = done(home.command("test", &["migrate", "--dry-run"])).await;
    for word in [
        "has schema 4",
        "needs 6",
        "5  the environment",
        "Nothing was changed",
    ] {
        assert!(plan.contains(word), "{word:?} is not in {plan}");
    }
    assert_eq!(version(), Some(4));
    // Nobody can be asked: the plan, and no more.
    let output = run(home.command("test", &["migrate"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--yes"));
    assert_eq!(version(), Some(4));
    let (said, _) = done(home.command("test", &["migrate", "--yes"])).await;
    assert!(said.contains("up to date"), "{said}");
    assert_eq!(version(), Some(6));
    let mut hub = home.hub("test").await;
    // Nothing is to be done, so it does not matter that a hub runs.
    let (said, _) = done(home.command("test", &["migrate", "--yes"])).await;
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(hub.terminate().await, 0);
    let why = refused(home.command("test", &["migrate", "--yes", "--dry-run"]), 2).await;
    assert!(why.contains("cannot be used with"), "{why}");
}

async fn a_new_database_is_made(home: Home) {
    let (plan, _) = done(home.command("test", &["migrate", "--dry-run"])).await;
    assert!(
        plan.contains("no database yet") && plan.contains("   1  "),
        "{plan}"
    );
    assert!(!home.file().exists());
    if let Home::Mongo(_, database, _) = &home {
        let names = database.list_collection_names().await.expect("names");
        assert!(names.is_empty(), "{names:?}");
    }
    done(home.command("test", &["migrate", "--yes"])).await;
    // It is nobody's yet.
    assert_eq!(home.stamp().await, None);
    let (said, _) = done(home.command("test", &["migrate"])).await;
    assert!(said.contains("nothing to do"), "{said}");
    home.snapshot().await.check();
}

async fn what_a_hub_refuses_is_refused(home: Home) {
    let mut hub = home.hub("test").await;
    assert_eq!(hub.terminate().await, 0);
    for arguments in [&["migrate", "--dry-run"][..], &["migrate", "--yes"]] {
        let why = refused(home.command("staging", arguments), 2).await;
        assert!(why.contains("belongs to the environment test"), "{why}");
    }
    home.be_newer().await;
    let why = refused(home.command("test", &["migrate", "--yes"]), 1).await;
    assert!(why.contains("newer version"), "{why}");
    let (code, why) = home.hub_refused("test").await;
    assert!(code == 1 && why.contains("newer version"), "{code}: {why}");
}

async fn a_terminal_is_asked() {
    let home = older().await;
    for (answer, code, version) in [("no", 1, 4), ("", 1, 4), ("yes", 0, 6)] {
        let program = tests::process::program("pladmed");
        let mut script = Command::new("script");
        let typed = home.data_dir().join("typed");
        std::fs::write(&typed, format!("{answer}\n")).expect("a file");
        script
            .envs(home.settings("test"))
            .args([
                "-q",
                "-e",
                "-c",
                &format!("{} migrate", program.display()),
                "/dev/null",
            ])
            .stdin(std::fs::File::open(typed).expect("the file"));
        let output = run(script).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{answer}: {said}");
        assert!(said.contains("Type yes to go on"), "{said}");
        assert_eq!(number(&home.data_dir(), VERSION), Some(version), "{said}");
    }
}

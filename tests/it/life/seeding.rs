//! `pladmed seed` and `pladmed reset`: a world to play with, and its end.

use serde_json::json;
use tests::{FakeProbe, Hub, Simulated, TestUser, Trial, eventually, wait::SOON};

use super::bench::{Home, done, in_both};
use crate::copying::bench::refused;

pub(super) fn trials() -> Vec<Trial> {
    in_both![
        a_seeded_world_keeps_every_promise,
        only_what_is_empty_is_seeded,
        a_seeded_fleet_is_ready,
        a_reset_leaves_nothing,
        a_reset_leaves_alone_what_others_need,
    ]
}

async fn a_seeded_world_keeps_every_promise(home: Home) {
    let (said, _) = done(home.command("development", &["seed"])).await;
    let snapshot = home.snapshot().await;
    snapshot.check();
    for (what, query) in [
        (
            "superusers",
            "select count(*) from users where is_superuser",
        ),
        (
            "running",
            "select count(*) from operations where ended_at_ms is null",
        ),
        (
            "cancelled",
            "select count(*) from operations where cancelled_at_ms is not null",
        ),
        (
            "refused",
            "select count(*) from assignments where state = 'refused'",
        ),
        (
            "waiting",
            "select count(*) from assignments where state = 'pending'",
        ),
        (
            "refunds",
            "select count(*) from ledger where reason = 'refund'",
        ),
        ("results of a night", "select count(*) / 40 from results"),
    ] {
        assert!(snapshot.number(query) > 0, "{what}");
    }
    let unmeasured = "select count(*) from results where not rewarded";
    assert_eq!(snapshot.number(unmeasured), 0);
    // It goes on as it was told.
    let hub = home.hub("development").await;
    everybody_comes_in(&hub, &said).await;
    home.snapshot().await.check();
}

/// With what the command said.
async fn everybody_comes_in(hub: &Hub, said: &str) {
    let password = said.split_whitespace().nth(5).expect("a password");
    let admin = TestUser::log_in(hub.api(), "admin@example.org", password).await;
    let me = admin.api.get("/api/v1/users/me").await.expect(200);
    assert_eq!(me["is_superuser"], true, "{me}");
    let ana = TestUser::log_in(hub.api(), "ana@example.org", password).await;
    assert!(ana.credits().await > 0);
    let all = ana.api.get("/api/v1/operations").await.expect(200);
    let all = all["items"].as_array().expect("items").clone();
    assert!(all.len() > 3, "{all:?}");
    for operation in all {
        let id = operation["id"].as_str().and_then(|id| id.parse().ok());
        assert!(
            !ana.results(id.expect("an id")).await.is_empty(),
            "{operation}"
        );
    }
    let tokens: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert_eq!(tokens.len(), 6, "{said}");
    for token in tokens {
        let _probe = FakeProbe::connect(hub, token).await;
    }
}

async fn only_what_is_empty_is_seeded(home: Home) {
    for serious in ["staging", "production"] {
        for arguments in [&["seed"][..], &["reset", "--yes"]] {
            let why = refused(home.command(serious, arguments), 2).await;
            assert!(why.contains("development and test"), "{why}");
        }
    }
    let mut hub = home.hub("test").await;
    let _ = hub.user("ana", 0).await;
    assert_eq!(hub.terminate().await, 0);
    home.forget_stamp().await;
    let why = refused(home.command("test", &["seed"]), 2).await;
    assert!(why.contains("holds users already"), "{why}");
    // A mistake decides nothing.
    assert_eq!(home.stamp().await, None);
    assert_eq!(
        home.snapshot().await.number("select count(*) from users"),
        1
    );
}

async fn a_reset_leaves_nothing(home: Home) {
    if let Home::Folder(_) = &home {
        let why = refused(home.command("test", &["reset", "--yes"]), 2).await;
        assert!(why.contains("there is no database"), "{why}");
    }
    done(home.command("test", &["seed"])).await;
    let why = refused(home.command("test", &["reset"]), 2).await;
    assert!(why.contains("--yes"), "{why}");
    let users = "select count(*) from users";
    assert_eq!(home.snapshot().await.number(users), 3);
    done(home.command("test", &["reset", "--yes"])).await;
    let empty = home.snapshot().await;
    empty.check();
    for table in ["users", "probes", "operations", "results", "ledger"] {
        assert_eq!(empty.number(&format!("select count(*) from {table}")), 0);
    }
    assert_eq!(home.stamp().await.as_deref(), Some("test"));
    done(home.command("test", &["seed"])).await;
    home.snapshot().await.check();
}

async fn a_reset_leaves_alone_what_others_need(home: Home) {
    done(home.command("test", &["seed"])).await;
    let kept = async || home.snapshot().await.number("select count(*) from users");
    let why = refused(home.command("development", &["reset", "--yes"]), 2).await;
    assert!(why.contains("belongs to the environment test"), "{why}");
    if let Home::Folder(_) = &home {
        let mut hub = home.hub("test").await;
        let why = refused(home.command("test", &["reset", "--yes"]), 1).await;
        assert!(why.contains("is in use by another hub"), "{why}");
        assert_eq!(hub.terminate().await, 0);
    }
    // One of an earlier version may be anybody's.
    home.forget_stamp().await;
    let why = refused(home.command("test", &["reset", "--yes"]), 2).await;
    assert!(why.contains("start a hub"), "{why}");
    assert_eq!(kept().await, 3);
}

async fn a_seeded_fleet_is_ready(home: Home) {
    const PROBES: usize = 2500;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    let path = file.to_str().expect("a path");
    let arguments = ["seed", "--probes", "2500", "--tokens", path];
    let why = refused(home.command("production", &arguments), 2).await;
    assert!(why.contains("development and test"), "{why}");
    assert!(!file.exists());
    let (said, _) = done(home.command("test", &arguments)).await;
    let tokens = std::fs::read_to_string(&file).expect("tokens");
    let tokens: Vec<&str> = tokens.lines().collect();
    assert_eq!(tokens.len(), PROBES);
    home.snapshot().await.check();
    // Neither the tokens nor what is in the database is lost by mistake.
    let why = refused(home.command("test", &arguments), 2).await;
    assert!(why.contains("cannot write"), "{why}");
    let other = folder.path().join("others");
    let others = other.to_str().expect("a path");
    let again = ["seed", "--probes", "1", "--tokens", others];
    let why = refused(home.command("test", &again), 2).await;
    assert!(why.contains("holds users already"), "{why}");
    assert!(!other.exists());

    let hub = home.hub("test").await;
    let password = said.split_whitespace().nth(5).expect("a password");
    let user = TestUser::log_in(hub.api(), "fleet@example.org", password).await;
    let fleet = Simulated::start(
        &hub.url(),
        &tokens,
        &["--probes", "20", "--connect-rate", "0"],
    );
    fleet.connected(20).await;
    let first = async || {
        let page = user
            .api
            .get("/api/v1/probes?connected=true&limit=100")
            .await;
        let page = page.expect(200)["items"].as_array().cloned();
        page.filter(|items| items.len() == 20)
    };
    let items = eventually(SOON, "20 probes in the list", first).await;
    let ids: Vec<_> = items.iter().map(|probe| probe["id"].clone()).collect();
    let order = json!({"kind": "dns", "targets": ["example.org"], "probes": ids});
    let operation = user.launch(&order).await;
    let brought = async || (user.results(operation).await.len() == 20).then_some(());
    eventually(SOON, "20 results", brought).await;
    let _ = fleet.terminate().await.well();
    home.snapshot().await.check();
}

//! What must not live for ever, and what must not be read.

use std::process::Stdio;

use chrono::Utc;
use serde_json::json;
use tests::{
    FakeProbe, Hub, Knock, OldApi, OldProbe, OldSocket, ProbeSocket, TestProbe,
    hub::PASSWORD,
    old_api::{NO_AUTHORIZATION, claims, sign},
    probe::Refused,
    process::program,
    wait::{SOON, within},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::old_http::bench::order;

const KEY: &str = "a key that the replaced system had";

pub(super) async fn s7_tokens_end_or_rotate() {
    users_tokens_end().await;
    legacy_tokens_are_taken_where_told().await;
    probes_tokens_rotate().await;
}

async fn users_tokens_end() {
    let hub = Hub::start_with(&[("SECRET_KEY", KEY), ("USER_TOKEN_HOURS", "3")]).await;
    let ana = hub.user("ana", 0).await;
    let old = OldApi::new(&hub);
    let token = old.log_in(&ana.email, PASSWORD).await.expect_old(200);
    let (_, said) = claims(token["access_token"].as_str().expect("a token"));
    let ends = said["exp"].as_i64().expect("an end") - Utc::now().timestamp();
    assert!((3 * 3600 - 60..=3 * 3600).contains(&ends), "{ends} seconds");
    let mut over = said.clone();
    over["exp"] = json!(Utc::now().timestamp() - 1);
    let old = old.with_token(&sign(KEY, &over));
    for path in ["/users/me", "/probes/me", "/operations", "/operations/me"] {
        old.get(path).await.expect_error(401, NO_AUTHORIZATION);
    }
}

async fn legacy_tokens_are_taken_where_told() {
    for (setting, status) in [("accept", 200), ("refuse", 401), ("", 401)] {
        let settings = [("SECRET_KEY", KEY), ("LEGACY_USER_TOKENS", setting)];
        let hub = Hub::start_with(&settings).await;
        let ana = hub.user("ana", 7).await;
        let anyone = OldApi::new(&hub);
        // The identifier and the rest are of another time: the address names the user.
        let said = json!({"_id": "0123456789abcdef01234567", "email": ana.email, "credits": 1e6, "is_superuser": true});
        let old = anyone.with_token(&sign(KEY, &said));
        let me = old.get("/users/me").await;
        assert_eq!(me.status, status, "{setting:?}: {}", me.text());
        if status == 200 {
            let me = me.expect_old(200);
            assert_eq!((&me["_id"], &me["credits"]), (&json!(ana.id), &json!(7)));
            assert_eq!(me["is_superuser"], false);
            let grant = json!({"id": ana.id, "credits": 5});
            old.post("/credits", &grant)
                .await
                .expect_error(401, NO_AUTHORIZATION);
        }
        let forged = anyone.with_token(&sign("another key", &said));
        forged
            .get("/users/me")
            .await
            .expect_error(401, NO_AUTHORIZATION);
        let nobody = json!({"_id": ana.id, "email": "nobody@example.org"});
        let nobody = anyone.with_token(&sign(KEY, &nobody));
        nobody
            .get("/users/me")
            .await
            .expect_error(401, NO_AUTHORIZATION);
    }
}

/// Whether the hub lets a probe with this token in.
async fn lets_in(hub: &Hub, token: &str) -> bool {
    match ProbeSocket::open(&hub.url(), token).await {
        Ok(_) => true,
        Err(Refused::Status(401, _)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn probes_tokens_rotate() {
    let hub = Hub::start_with(&[("SECRET_KEY", KEY)]).await;
    let ana = hub.user("ana", 0).await;
    let (old, card) = (OldApi::of(&hub, &ana), ana.probe("p").await);
    let place = json!({"longitude": 1, "latitude": 2});
    let said = json!({"identifier": card.id, "owner_id": ana.id, "location": place});
    let before = [card.token.clone(), sign(KEY, &said)];
    for token in &before {
        assert!(lets_in(&hub, token).await, "{token}");
    }
    let mut session = FakeProbe::connect(&hub, &before[1]).await;
    let path = format!("/api/v1/probes/{}", card.id);
    let made = ana
        .api
        .post(&format!("{path}/token"), &json!({}))
        .await
        .expect(201);
    let _ = session.closed().await;
    let rotated = made["token"].as_str().expect("a token");
    for token in &before {
        assert!(!lets_in(&hub, token).await, "{token}");
    }
    // Whoever asks at the old path gets the one that is good now.
    let mine = old.get("/probes/me").await.expect_old(200);
    let shown = mine[0]["token"].as_str().expect("a token");
    assert!(lets_in(&hub, rotated).await && lets_in(&hub, shown).await);
    let _ = ana.api.delete(&path).await.expect(204);
    for token in [&before[0], &before[1], rotated, shown] {
        assert!(!lets_in(&hub, token).await, "{token}");
    }
}

const NEW: &str = "New-horse-staple-7";
const WRONG: &str = "Wrong-horse-battery-9";
const WEAK: &str = "weak-horse-refused";
const MORE: &str = "More-horses-please-5";
/// What [`use_accounts`] says.
pub(crate) const PASSWORDS: &[&str] = &[NEW, WRONG, WEAK];

pub(super) async fn s9_no_secret_reaches_a_log() {
    let mut hub = Hub::start_with(&[("SECRET_KEY", KEY), ("LOG_LEVEL", "trace")]).await;
    let mut tokens = use_accounts(&hub).await;
    tokens.extend(use_probe(&hub, &tokens[0]).await);
    let said = create_superuser(&hub, MORE).await;
    assert_eq!(hub.terminate().await, 0);
    let log = hub.process().log() + &said;
    for trace in ["TRACE", "DEBUG", "/login", "/socket.io/", "/ping"] {
        assert!(log.contains(trace), "{trace} is not in the log");
    }
    let passwords = [NEW, PASSWORD, WRONG, WEAK, MORE].map(str::to_owned);
    // A token is as good as its signature.
    let signature = |token: &String| token.rsplit('.').next().map(str::to_owned);
    let signatures = tokens.iter().filter_map(signature);
    let others = [KEY, "$argon2id$"].map(str::to_owned);
    for secret in passwords.into_iter().chain(signatures).chain(others) {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

/// Registers and logs in, well and badly: a user's token, the superuser's, and a forged one.
pub(crate) async fn use_accounts(hub: &Hub) -> Vec<String> {
    let old = OldApi::new(hub);
    let _ = old.register("ben@example.org", NEW).await.expect_old(201);
    let answer = old.log_in("ben@example.org", NEW).await.expect_old(200);
    let token = answer["access_token"].as_str().expect("a token").to_owned();
    let wrong = old.log_in("ben@example.org", WRONG).await;
    wrong.expect_refusal(404);
    let weak = old.register("carla@example.org", WEAK).await;
    weak.expect_refusal(400);
    // Where it does not belong, but a user may put it there.
    let _ = old.get(&format!("/users/me?access_token={token}")).await;
    let ben = old
        .with_token(&token)
        .get("/users/me")
        .await
        .expect_old(200);
    let admin = hub.admin().await;
    let grant = json!({"id": ben["_id"], "credits": 1000});
    let granted = OldApi::of(hub, &admin).post("/credits", &grant).await;
    let _ = granted.expect_old(200);
    let forged = sign("another key", &json!({"_id": ben["_id"], "email": "x"}));
    let answer = old.with_token(&forged).get("/users/me").await;
    answer.expect_refusal(401);
    let admin = admin.api.token().expect("a token").to_owned();
    vec![token, admin, forged]
}

/// Registers a probe and connects it in both protocols, with its token in the header and in the query, and with a
/// forged one; both tokens.
pub(crate) async fn use_probe(hub: &Hub, user: &str) -> Vec<String> {
    let old = OldApi::new(hub).with_token(user);
    let place = json!({"location": {"longitude": 1, "latitude": 2}});
    let made = old.post("/probes", &place).await.expect_old(201);
    let token = made["token"].as_str().expect("a token").to_owned();
    let forged = sign(
        "another key",
        &json!({"identifier": "0123456789abcdef01234567"}),
    );
    for token in [&token, &forged] {
        let _ = old.get(&format!("/probe/v1?token={token}")).await;
        let _ = ProbeSocket::open(&hub.url(), token).await;
    }
    let refused = OldSocket::open(&hub.url(), &Knock::new(&forged, 121, 0)).await;
    assert!(refused.is_err(), "a forged token was taken");
    let session = FakeProbe::connect(hub, &token).await;
    let id = session.welcome.probe;
    let mut agent = OldProbe::connect(hub, &token).await;
    let card = TestProbe {
        id,
        token: token.clone(),
    };
    let made = old.post("/ping", &order("ping", &[&card])).await;
    let _ = made.expect_old(201);
    agent.accept().await;
    vec![token, forged]
}

/// Creates another superuser with everything logged; all it wrote.
async fn create_superuser(hub: &Hub, password: &str) -> String {
    let mut command = Command::new(program("pladmed"));
    command
        .env_clear()
        .envs([
            ("LOG_LEVEL", "trace"),
            ("ENVIRONMENT", "test"),
            ("SECRET_KEY", KEY),
        ])
        .env("DATA_DIR", hub.data_dir())
        .args([
            "superuser",
            "create",
            "more@example.org",
            "--password-stdin",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("pladmed starts");
    let mut input = child.stdin.take().expect("its input");
    input
        .write_all(format!("{password}\n").as_bytes())
        .await
        .expect("it reads");
    drop(input);
    let output = within(SOON, "a superuser", child.wait_with_output());
    let output = output.await.expect("its output");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

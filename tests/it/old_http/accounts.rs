//! Registering and logging in at the old paths.

use chrono::Utc;
use serde_json::{Value, json};
use tests::{
    Hub, OldApi, Trial, database,
    hub::{ADMIN, PASSWORD},
    old_api::{self, NO_AUTHORIZATION, claims},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        mistakes_are_answered_in_this_order,
        e_mail_addresses_that_are_taken_and_refused,
        passwords_that_are_taken_and_refused,
        a_registration_shows_the_user,
        addresses_are_told_apart_by_case_and_not_by_blanks,
        a_login_answers_with_a_token,
        wrong_credentials_are_404,
        users_me_is_fresh,
        tokens_that_are_taken_and_refused,
        a_password_of_the_old_system_logs_in_and_is_hashed_anew,
    ]
}

const NO_EMAIL: &str = "Missing email field";
const NO_PASSWORD: &str = "Missing password field";
const BAD_EMAIL: &str = "Email address has invalid format, or MX domain does not exist";
const WEAK: &str = "Password must have at least 8 characters, 1 uppercase character, 1 lowercase, 1 digit and 1 special character";
const TAKEN: &str = "That email is already registered";
const NOBODY: &str = "Invalid email or password";

async fn mistakes_are_answered_in_this_order() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for (body, text) in [
        (json!({}), NO_EMAIL),
        (json!({"email": ""}), NO_EMAIL),
        (json!({"email": "", "password": ""}), NO_EMAIL),
        (json!({"password": "weak"}), NO_EMAIL),
        (json!({"password": PASSWORD}), NO_EMAIL),
        (json!({"email": "foo"}), NO_PASSWORD),
        (json!({"email": "foo", "password": ""}), NO_PASSWORD),
        (json!({"email": "foo", "password": "weak"}), BAD_EMAIL),
        (json!({"email": "foo", "password": PASSWORD}), BAD_EMAIL),
        (json!({"email": ADMIN, "password": "weak"}), WEAK),
        (json!({"email": ADMIN, "password": PASSWORD}), TAKEN),
    ] {
        let answer = anyone.post("/register", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        answer.expect_error(400, text);
    }
    for (body, text) in [
        (json!({}), NO_EMAIL),
        (json!({"email": "", "password": ""}), NO_EMAIL),
        (json!({"password": PASSWORD}), NO_EMAIL),
        (json!({"email": "foo"}), NO_PASSWORD),
        (json!({"email": ADMIN, "password": ""}), NO_PASSWORD),
    ] {
        anyone.post("/login", &body).await.expect_error(400, text);
    }
    for wrong in [
        Value::Null,
        json!(5),
        json!(0),
        json!(true),
        json!(["a@example.org"]),
        json!({}),
    ] {
        for path in ["/register", "/login"] {
            let body = json!({"email": wrong, "password": PASSWORD});
            anyone.post(path, &body).await.expect_refusal(400);
            let body = json!({"email": "ben@example.org", "password": wrong});
            anyone.post(path, &body).await.expect_refusal(400);
        }
    }
    let users = hub.number("select count(*) from users").await;
    assert_eq!(users, 1, "somebody was registered");
}

async fn e_mail_addresses_that_are_taken_and_refused() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for email in [
        "a@example.com",
        "a+tag@example.com",
        "a.b@fi.uba.ar",
        "\"q q\"@example.com",
        "ñandú@example.com",
        "a@bücher.de",
        "o'neill_!#$%&*-/=?^`{|}~@example.com",
    ] {
        let user = anyone.register(email, PASSWORD).await;
        assert_eq!(user.status, 201, "{email}: {}", user.text());
        assert_eq!(user.json()["email"], email);
    }
    for email in [
        "foo",
        "a@b",
        "a@b.c",
        "a@localhost",
        "a@127.0.0.1",
        "a@x.notatld",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "Name <a@example.com>",
        "<a@example.com>",
        "a b@example.com",
        "a@exam ple.com",
        "a@example .com",
        "a@",
        "@example.com",
        "a@@example.com",
        "a@example..com",
        "a@-example.com",
        "a,b@example.com",
        "a@example.com,b@example.com",
        "a\n@example.com",
        "a@example.com\nBcc: b@example.com",
        "a\u{0}@example.com",
        "\"a@example.com",
    ] {
        let answer = anyone.register(email, PASSWORD).await;
        assert_eq!(answer.status, 400, "{email:?}: {}", answer.text());
        answer.expect_error(400, BAD_EMAIL);
    }
}

async fn passwords_that_are_taken_and_refused() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    let special = "!\"@#$%^&*()-+?_=,/".chars();
    let mut strong: Vec<String> = special.map(|c| format!("Abcdefg1{c}")).collect();
    // Letters and digits of other scripts count, and a length is in characters.
    strong.extend(["ÁÉÍÓÚñ1!", "Abcdefg٣!", "A b c 1 !", "Abc1!.;'"].map(String::from));
    for (number, password) in strong.iter().enumerate() {
        let email = format!("user{number}@example.org");
        let answer = anyone.register(&email, password).await;
        assert_eq!(answer.status, 201, "{password}: {}", answer.text());
        let _ = anyone.log_in(&email, password).await.expect_old(200);
    }
    for password in [
        "Abcde1!",
        "Ñáéíó1!",
        "abcdefg1!",
        "ABCDEFG1!",
        "Abcdefgh!",
        "Abcdefgh1",
        "Abcdefg1.",
        "Abcdefg1;",
        "Abcdefg1'",
        "Abcdefg1 ",
        "12345678!",
        "        ",
    ] {
        let answer = anyone.register("weak@example.org", password).await;
        assert_eq!(answer.status, 400, "{password}: {}", answer.text());
        answer.expect_error(400, WEAK);
    }
}

async fn a_registration_shows_the_user() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    let answer = anyone.register("ana@example.org", PASSWORD).await;
    let user = answer.expect_old(201);
    let id = user["_id"].as_str().expect("an identifier");
    assert!(id.len() == 24 && id.bytes().all(|c| c.is_ascii_hexdigit()));
    let whole =
        format!(r#"{{"_id":"{id}","credits":0,"email":"ana@example.org","is_superuser":false}}"#);
    assert_eq!(answer.text(), whole + "\n");
    let token = anyone
        .log_in("ana@example.org", PASSWORD)
        .await
        .expect_old(200);
    let ana = anyone.with_token(token["access_token"].as_str().expect("a token"));
    let me = ana.get("/users/me").await;
    assert_eq!((me.status, me.text()), (200, answer.text()));
    let token = anyone.log_in(ADMIN, PASSWORD).await.expect_old(200);
    let admin = anyone.with_token(token["access_token"].as_str().expect("a token"));
    let me = admin.get("/users/me").await.expect_old(200);
    assert_eq!(
        (&me["email"], &me["is_superuser"]),
        (&json!(ADMIN), &json!(true))
    );
}

async fn addresses_are_told_apart_by_case_and_not_by_blanks() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    let lower = anyone
        .register("a@example.com", PASSWORD)
        .await
        .expect_old(201);
    let upper = anyone
        .register("A@example.com", "Other-horse-1")
        .await
        .expect_old(201);
    assert_ne!(lower["_id"], upper["_id"]);
    for blank in [" a@example.com", "a@example.com ", " a@example.com  "] {
        anyone
            .register(blank, PASSWORD)
            .await
            .expect_error(400, TAKEN);
        let _ = anyone.log_in(blank, PASSWORD).await.expect_old(200);
    }
    let third = anyone
        .register(" c@example.com ", PASSWORD)
        .await
        .expect_old(201);
    assert_eq!(third["email"], "c@example.com");
    for email in ["c@example.com", " c@example.com "] {
        let _ = anyone.log_in(email, PASSWORD).await.expect_old(200);
    }
    anyone
        .log_in("A@example.com", PASSWORD)
        .await
        .expect_error(404, NOBODY);
    let _ = anyone
        .log_in("A@example.com", "Other-horse-1")
        .await
        .expect_old(200);
}

async fn a_login_answers_with_a_token() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let answer = OldApi::new(&hub).log_in(&ana.email, PASSWORD).await;
    let body = answer.expect_old(200);
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(body, json!({"access_token": token}));
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let (head, said) = claims(token);
    assert_eq!(
        (&head["typ"], &head["alg"]),
        (&json!("JWT"), &json!("HS256"))
    );
    assert_eq!(
        (&said["_id"], &said["email"]),
        (&json!(ana.id), &json!(ana.email))
    );
    assert!(!token.contains('='), "{token}");
    // Both faces take it.
    let me = hub.api().with_token(token).get("/api/v1/users/me").await;
    assert_eq!(me.expect(200)["id"], json!(ana.id));
}

async fn wrong_credentials_are_404() {
    let hub = Hub::start().await;
    let anyone = OldApi::new(&hub);
    for (email, password) in [
        (ADMIN, "Wrong-horse-1"),
        (ADMIN, "x"),
        (ADMIN, "correct-horse-1"),
        ("nobody@example.org", PASSWORD),
        ("no address", PASSWORD),
        (ADMIN, " Correct-horse-1"),
    ] {
        let answer = anyone.log_in(email, password).await;
        assert_eq!(answer.status, 404, "{email} {password}: {}", answer.text());
        answer.expect_error(404, NOBODY);
    }
}

async fn users_me_is_fresh() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    let old = OldApi::of(&hub, &ana);
    hub.admin().await.grant(&ana, 12).await;
    assert_eq!(old.get("/users/me").await.expect_old(200)["credits"], 12);
    // Whoever is gone is nobody, however good the token.
    assert_eq!(hub.terminate().await, 0);
    database::change(&hub.data_dir(), "delete from ledger", []);
    let gone = "delete from users where id = ?1";
    database::change(&hub.data_dir(), gone, [&ana.id]);
    hub.restart().await;
    old.get("/users/me")
        .await
        .expect_error(401, NO_AUTHORIZATION);
}

async fn tokens_that_are_taken_and_refused() {
    let key = "any length will do";
    let hub = Hub::start_with(&[("SECRET_KEY", key)]).await;
    let ana = hub.user("ana", 0).await;
    let anyone = OldApi::new(&hub);
    let now = Utc::now().timestamp();
    let said = json!({"_id": ana.id, "email": ana.email, "iat": now, "exp": now + 60});
    let with = |name: &str, value: Value| {
        let mut said = said.clone();
        said[name] = value;
        said
    };
    let speak = async |token: &str| anyone.with_token(token).get("/users/me").await;
    for claims in [
        said.clone(),
        with("more", json!(1)),
        with("credits", json!(1e9)),
        with("nbf", json!(now)),
    ] {
        let answer = speak(&old_api::sign(key, &claims)).await;
        assert_eq!(answer.status, 200, "{claims}: {}", answer.text());
        // What a token claims is not what somebody has or may do.
        assert_eq!(answer.expect_old(200)["credits"], 0);
    }
    for token in [
        old_api::sign("another key", &said),
        old_api::unsigned(&said),
        old_api::sign(key, &with("exp", json!(now - 1))),
        old_api::sign(key, &with("nbf", json!(now + 60))),
        old_api::sign(key, &with("_id", json!("0123456789abcdef01234567"))),
        old_api::sign(key, &json!({"identifier": ana.id})),
        old_api::sign(key, &json!({})),
        format!("{}x", old_api::sign(key, &said)),
        "a.b.c".to_owned(),
        "x".repeat(10_000),
    ] {
        let answer = speak(&token).await;
        assert_eq!(answer.status, 401, "{token}: {}", answer.text());
        answer.expect_error(401, NO_AUTHORIZATION);
    }
}

/// [`PASSWORD`] as the replaced system keeps it: 29,000 rounds of PBKDF2, salt `0123456789abcdef`.
const OLD_HASH: &str =
    "$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$GS0nAEw1XQ6BDMa6wW8dqbqULAPkoVrliqHrMNFR5e4";

async fn a_password_of_the_old_system_logs_in_and_is_hashed_anew() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 0).await;
    assert_eq!(hub.terminate().await, 0);
    let change = "update users set password_hash = ?1 where id = ?2";
    database::change(&hub.data_dir(), change, [OLD_HASH, &ana.id]);
    hub.restart().await;
    let old = OldApi::new(&hub);
    let stored = || {
        let query = "select password_hash from users where id = ?1";
        let row = database::open(&hub.data_dir());
        row.query_row(query, [&ana.id], |row| row.get::<_, String>(0))
            .expect("a hash")
    };
    old.log_in(&ana.email, "Wrong-horse-1")
        .await
        .expect_error(404, NOBODY);
    assert_eq!(stored(), OLD_HASH);
    let _ = old.log_in(&ana.email, PASSWORD).await.expect_old(200);
    assert!(stored().starts_with("$argon2id$"), "{}", stored());
    let _ = old.log_in(&ana.email, PASSWORD).await.expect_old(200);
    old.log_in(&ana.email, "Wrong-horse-1")
        .await
        .expect_error(404, NOBODY);
}

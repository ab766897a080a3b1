//! Which tokens are taken: those of this hub, and those of the replaced system as PyJWT made them.

use serde_json::{Value, json};

use super::*;

mod fuzz;

fn tokens(key: &str) -> Tokens {
    Tokens::new(&SecretKey(key.into()), Duration::from_secs(60), false)
}

#[test]
fn a_token_names_its_user_until_it_expires() {
    let (tokens, id, now) = (tokens("k"), UserId::new(), Utc::now());
    let (token, _) = tokens.for_user(id, "a@example.com", now).unwrap();
    assert_eq!(tokens.user(&token), Ok(Named::Id(id)));
    let (old, _) = tokens
        .for_user(id, "a@example.com", now - Duration::from_secs(61))
        .unwrap();
    assert_eq!(tokens.user(&old), Err(TokenError::Expired));
}

#[test]
fn sorts_keys_and_changes_are_told_apart() {
    let tokens = tokens("k");
    let (user, _) = tokens
        .for_user(UserId::new(), "a@example.com", Utc::now())
        .unwrap();
    let probe = tokens
        .for_probe(ProbeClaims {
            identifier: ProbeId::new(),
            generation: 1,
        })
        .unwrap();
    assert_eq!(tokens.probe(&user), Err(TokenError::Invalid));
    assert_eq!(tokens.user(&probe), Err(TokenError::Invalid));
    assert_eq!(self::tokens("other").user(&user), Err(TokenError::Invalid));
    for position in 0..user.len() {
        let mut changed = user.clone().into_bytes();
        changed[position] = if changed[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let changed = String::from_utf8(changed).unwrap();
        // The last character of base64 holds bits that do not count.
        assert!(
            tokens.user(&changed).is_err() || position == user.len() - 1,
            "{position}"
        );
    }
}

#[test]
fn no_other_algorithm_is_taken() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    let tokens = tokens("k");
    let (token, _) = tokens
        .for_user(UserId::new(), "a@example.com", Utc::now())
        .unwrap();
    let claims = token.split('.').nth(1).unwrap();
    for algorithm in ["none", "HS384", "RS256"] {
        let header = BASE64.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#));
        assert_eq!(
            tokens.user(&format!("{header}.{claims}.")),
            Err(TokenError::Invalid),
            "{algorithm}"
        );
    }
}

/// The key that signed the tokens below.
const OLD_KEY: &str = "dev";
/// By PyJWT 1.7.1, `jwt.encode(claims, "dev", algorithm="HS256")`, as the replaced system does, with the claims
/// `{"_id": OLD_USER, "email": "ana@example.com", "credits": 18.5, "is_superuser": True}`.
const OLD_USER_TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJfaWQiOiI1ZjlmMWI5YjlkM2UyYTAwMDFhMWIyYzMiLCJlbWFpbCI6ImFuYUBleGFtcGxlLmNvbSIsImNyZWRpdHMiOjE4LjUsImlzX3N1cGVydXNlciI6dHJ1ZX0.qivXjmGfAVSx8gZtooeSt8FnYX7JGnAdS2sLL5TCVYc";
/// In the same way, `{"identifier": OLD_PROBE, "owner_id": OLD_USER, "location": {"longitude": -58.4, "latitude":
/// -34.6, "city": "Buenos Aires"}}`.
const OLD_PROBE_TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZGVudGlmaWVyIjoiNWY5ZjFiOWI5ZDNlMmEwMDAxYTFiMmM0Iiwib3duZXJfaWQiOiI1ZjlmMWI5YjlkM2UyYTAwMDFhMWIyYzMiLCJsb2NhdGlvbiI6eyJsb25naXR1ZGUiOi01OC40LCJsYXRpdHVkZSI6LTM0LjYsImNpdHkiOiJCdWVub3MgQWlyZXMifX0.1ytnV-GX1FN5oXkgaSxJ22ZTgtlUZTKfn1kC0sESQbo";
const OLD_USER: &str = "5f9f1b9b9d3e2a0001a1b2c3";
const OLD_PROBE: &str = "5f9f1b9b9d3e2a0001a1b2c4";

fn taking_legacy() -> Tokens {
    Tokens::new(&SecretKey(OLD_KEY.into()), Duration::from_secs(60), true)
}

/// A token with any claims, signed with the old key.
fn signed(claims: &Value) -> String {
    tokens(OLD_KEY).sign(claims).unwrap()
}

/// What an old user's or probe's token claims, and more.
fn old_claims(of: &str, more: &Value) -> Value {
    let mut claims = match of {
        "user" => {
            json!({"_id": OLD_USER, "email": "ana@example.com", "credits": 7, "is_superuser": false})
        }
        _ => {
            json!({"identifier": OLD_PROBE, "owner_id": OLD_USER, "location": {"longitude": 1, "latitude": true}})
        }
    };
    let claims_of = claims.as_object_mut().unwrap();
    claims_of.extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn an_old_probes_token_is_of_the_first_generation() {
    let claims = tokens(OLD_KEY).probe(OLD_PROBE_TOKEN).unwrap();
    assert_eq!(claims.identifier.to_string(), OLD_PROBE);
    assert_eq!(claims.generation, 1);
    assert_eq!(taking_legacy().probe(OLD_PROBE_TOKEN), Ok(claims));
    assert_eq!(
        tokens("other").probe(OLD_PROBE_TOKEN),
        Err(TokenError::Invalid)
    );
    let later = signed(&old_claims("probe", &json!({"generation": 7})));
    assert_eq!(tokens(OLD_KEY).probe(&later).unwrap().generation, 7);
    for generation in [json!(-1), json!("2"), json!(null), json!(1.5)] {
        let token = signed(&old_claims("probe", &json!({"generation": generation})));
        assert_eq!(tokens(OLD_KEY).probe(&token), Err(TokenError::Invalid));
    }
}

#[test]
fn an_old_users_token_is_taken_only_where_the_hub_is_told_to() {
    assert_eq!(
        tokens(OLD_KEY).user(OLD_USER_TOKEN),
        Err(TokenError::Expired)
    );
    assert_eq!(
        taking_legacy().user(OLD_USER_TOKEN),
        Ok(Named::Email("ana@example.com".into()))
    );
    let other = Tokens::new(&SecretKey("other".into()), Duration::from_secs(60), true);
    assert_eq!(other.user(OLD_USER_TOKEN), Err(TokenError::Invalid));
    // The hub's own tokens name the user by id, whatever the hub is told.
    let id = UserId::new();
    let (token, _) = taking_legacy()
        .for_user(id, "ana@example.com", Utc::now())
        .unwrap();
    assert_eq!(taking_legacy().user(&token), Ok(Named::Id(id)));
}

#[test]
fn old_tokens_of_one_sort_are_none_of_the_other() {
    for tokens in [tokens(OLD_KEY), taking_legacy()] {
        assert_eq!(tokens.user(OLD_PROBE_TOKEN), Err(TokenError::Invalid));
        assert_eq!(tokens.probe(OLD_USER_TOKEN), Err(TokenError::Invalid));
    }
}

#[test]
fn times_are_honoured_where_they_stand() {
    let now = Utc::now().timestamp();
    let probe = |more: Value| tokens(OLD_KEY).probe(&signed(&old_claims("probe", &more)));
    let user = |more: Value| taking_legacy().user(&signed(&old_claims("user", &more)));
    let id = Named::Id(OLD_USER.parse().unwrap());
    let email = Named::Email("ana@example.com".into());

    assert!(probe(json!({"exp": now + 60, "nbf": now - 60})).is_ok());
    assert_eq!(user(json!({"exp": now + 60, "nbf": now - 60})), Ok(id));
    assert_eq!(user(json!({"nbf": now - 60})), Ok(email));

    assert_eq!(probe(json!({"exp": now - 60})), Err(TokenError::Expired));
    assert_eq!(user(json!({"exp": now - 60})), Err(TokenError::Expired));
    for wrong in [json!({"nbf": now + 60}), json!({"exp": "never"})] {
        assert_eq!(probe(wrong.clone()), Err(TokenError::Invalid), "{wrong}");
        assert_eq!(user(wrong.clone()), Err(TokenError::Invalid), "{wrong}");
    }
}

#[test]
fn a_token_that_names_nobody_is_not_valid() {
    let probe = |claims: Value| tokens(OLD_KEY).probe(&signed(&claims));
    let user = |claims: Value| taking_legacy().user(&signed(&claims));
    for claims in [
        json!({}),
        json!([]),
        json!({"identifier": "5f9f", "_id": "5f9f", "email": "ana@example.com"}),
        json!({"identifier": {"$ne": null}, "_id": OLD_USER, "email": {"$ne": null}}),
    ] {
        assert_eq!(probe(claims.clone()), Err(TokenError::Invalid), "{claims}");
        assert_eq!(user(claims.clone()), Err(TokenError::Invalid), "{claims}");
    }
}

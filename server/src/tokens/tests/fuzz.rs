//! Tokens that were changed: only what the key has signed is taken.

use ::fuzz::Target;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};

use super::*;

const WORDS: &[&str] = &[
    ".",
    "..",
    "=",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"_id\":\"5f9f1b9b9d3e2a0001a1b2c3\"",
    "\"identifier\":\"5f9f1b9b9d3e2a0001a1b2c4\"",
    "\"email\":\"ana@example.com\"",
    "\"generation\":",
    "\"exp\":",
    "\"nbf\":",
    "\"iat\":",
    "\"aud\":[\"x\"]",
    "4102444800",
    "1e300",
];

/// Whether the key signed it, found out in another way than by the library of tokens. The last character of base64 holds
/// bits that need not be zero, but two characters more are another signature.
fn is_signed(token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else {
        return false;
    };
    let Ok(signature) = BASE64.decode(signature) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(OLD_KEY.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.verify_slice(&signature).is_ok()
}

/// Whom a token names for hubs that take old ones and hubs that do not.
fn named(token: &str) -> String {
    let (strict, old) = (tokens(OLD_KEY), taking_legacy());
    let (user, probe) = (strict.user(token), strict.probe(token));
    let (old_user, old_probe) = (old.user(token), old.probe(token));
    assert_eq!(probe, old_probe);
    assert!(!matches!(user, Ok(Named::Email(_))));
    if user.is_ok() {
        assert_eq!(user, old_user);
    }
    if user.is_ok() || probe.is_ok() || old_user.is_ok() {
        assert!(is_signed(token), "{token}");
        let other = tokens("other");
        assert_eq!(other.user(token), Err(TokenError::Invalid));
        assert_eq!(other.probe(token), Err(TokenError::Invalid));
    }
    let sort = |named: &Named| matches!(named, Named::Id(_));
    format!(
        "{:?} {:?} {:?}",
        user.as_ref().map(sort),
        old_user.as_ref().map(sort),
        probe.map(|claims| claims.generation > 1)
    )
}

#[test]
fn changed_tokens() {
    let target = Target::new("tokens").words(WORDS).heap(64 * 1024, 128);
    target.run(|input| {
        let text = str::from_utf8(input).ok()?;
        // Claims are signed first: whoever has an old key may claim anything.
        let claims = serde_json::from_str::<Value>(text);
        let signed = claims.map(|claims| named(&signed(&claims)));
        Some((named(text), signed.ok()))
    });
}

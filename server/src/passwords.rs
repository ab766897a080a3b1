//! Passwords: Argon2id for new ones; those of the system that Pladmed replaces (passlib's pbkdf2_sha256) verify too
//! and are hashed anew by whoever logs in with them.
//!
//! Hashing takes tens of milliseconds and 19 MiB, so it runs off the async threads and only a few at a time.

use std::{sync::Arc, time::Duration};

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use base64::{
    Engine as _,
    alphabet::Alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// Hashes at the same time: each takes a core and 19 MiB.
const AT_ONCE: usize = 2;
/// Longest anyone waits for a turn; a flood of logins must not queue without end.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// Most that are hashed or wait: about as many as get a turn in that time on a slow machine. Whoever comes when there are
/// so many hears at once that it is too much, instead of after those seconds.
const MOST_WAITING: usize = 256;
/// Most PBKDF2 rounds taken from a stored hash: ten times passlib's default, so that a bad row cannot hang a login.
const MOST_ROUNDS: u32 = 290_000;

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// Room to wait.
    waiting: Arc<Semaphore>,
}

/// A password could not be hashed or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many at the same time.
    #[error("too many logins at the same time")]
    Busy,
    /// The algorithm failed.
    #[error("the password could not be hashed")]
    Failed,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It is not this password.
    No,
    /// It is.
    Yes,
    /// It is, but it was hashed the old way: this hash should take the old one's place.
    Rehashed(String),
}

impl Passwords {
    /// A hasher.
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.turn(move || hash(&password)).await
    }

    /// Checks a password. Without a stored hash it takes as long and says no, so that nobody can tell by the time
    /// which addresses are registered.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<Verified, PasswordError> {
        self.turn(move || verify(&password, stored.as_deref()))
            .await
    }

    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let waits = self.waiting.clone().try_acquire_owned();
        let waits = waits.map_err(|_| PasswordError::Busy)?;
        let turns = self.turns.clone().acquire_owned();
        let turn = timeout(TURN_WITHIN, turns)
            .await
            .map_err(|_| PasswordError::Busy)?;
        // The turn goes along, so that a caller who leaves does not make room for one more.
        let work = spawn_blocking(move || {
            let _turn = (turn, waits);
            work()
        });
        work.await.map_err(|_| PasswordError::Failed)?
    }
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Failed)
}

fn verify(password: &str, stored: Option<&str>) -> Result<Verified, PasswordError> {
    let Some(stored) = stored else {
        hash(password)?;
        return Ok(Verified::No);
    };
    if let Some(passlib) = stored.strip_prefix(PASSLIB) {
        return match Passlib::read(passlib) {
            Some(passlib) if passlib.verifies(password) => hash(password).map(Verified::Rehashed),
            _ => Ok(Verified::No),
        };
    }
    let parsed = PasswordHash::new(stored).map_err(|_| PasswordError::Failed)?;
    let matches = Argon2::default()
        .verify_password(password.as_bytes(), &parsed)
        .is_ok();
    Ok(if matches { Verified::Yes } else { Verified::No })
}

/// What hashes of passlib's begin with.
const PASSLIB: &str = "$pbkdf2-sha256$";

/// A hash that no password verifies with.
pub(crate) const UNUSABLE: &str = PASSLIB;

/// Whether this is a hash of passlib's that a password can verify with.
pub(crate) fn is_passlib(stored: &str) -> bool {
    let passlib = stored.strip_prefix(PASSLIB);
    passlib.and_then(Passlib::read).is_some()
}

/// A hash of passlib's, read.
struct Passlib {
    rounds: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Passlib {
    /// `rounds$salt$digest`, base64 without padding and with `.` for `+`. `None` where it is malformed.
    fn read(stored: &str) -> Option<Self> {
        let mut parts = stored.split('$');
        let (rounds, salt, digest) = (parts.next()?, parts.next()?, parts.next()?);
        let rounds: u32 = rounds
            .parse()
            .ok()
            .filter(|rounds| (1..=MOST_ROUNDS).contains(rounds))?;
        let alphabet =
            Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./")
                .ok()?;
        let relaxed = GeneralPurposeConfig::new()
            .with_encode_padding(false)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone)
            .with_decode_allow_trailing_bits(true);
        let base64 = GeneralPurpose::new(&alphabet, relaxed);
        let (salt, digest) = (base64.decode(salt).ok()?, base64.decode(digest).ok()?);
        Some(Self {
            rounds,
            salt,
            digest,
        })
    }

    fn verifies(&self, password: &str) -> bool {
        let mut computed = [0_u8; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &self.salt, self.rounds, &mut computed);
        computed.as_slice().ct_eq(&self.digest).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// passlib.hash.pbkdf2_sha256.hash("pässword-Ünïcode-1!", rounds=29000), made with passlib.
    const HASHED: &str =
        "$pbkdf2-sha256$29000$nhPi3Nu7d45xLuXc.x8DoA$aKrTabAbXT6BM.S1Ea3Vl0.30oLDLri37EwCjp5Du9I";

    #[tokio::test]
    async fn argon2_round_trip() {
        let passwords = Passwords::new();
        let stored = passwords.hash("Secret-123".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert_eq!(
            passwords
                .verify("Secret-123".into(), Some(stored.clone()))
                .await,
            Ok(Verified::Yes)
        );
        assert_eq!(
            passwords.verify("Secret-124".into(), Some(stored)).await,
            Ok(Verified::No)
        );
        assert_eq!(
            passwords.verify("Secret-123".into(), None).await,
            Ok(Verified::No)
        );
    }

    #[tokio::test]
    async fn passlib_hashes_verify_and_are_made_anew() {
        let passwords = Passwords::new();
        let verified = passwords
            .verify("pässword-Ünïcode-1!".into(), Some(HASHED.into()))
            .await
            .unwrap();
        let Verified::Rehashed(new) = verified else {
            panic!("{verified:?}")
        };
        assert_eq!(
            passwords
                .verify("pässword-Ünïcode-1!".into(), Some(new))
                .await,
            Ok(Verified::Yes)
        );
        assert_eq!(
            passwords
                .verify("password".into(), Some(HASHED.into()))
                .await,
            Ok(Verified::No)
        );
    }

    #[test]
    fn malformed_hashes_say_no() {
        assert!(is_passlib(HASHED));
        for stored in [
            UNUSABLE,
            "$pbkdf2-sha256$x$y$z",
            "$pbkdf2-sha256$999999999$aa$aa",
        ] {
            assert_eq!(verify("x", Some(stored)), Ok(Verified::No), "{stored}");
            assert!(!is_passlib(stored), "{stored}");
        }
    }
}

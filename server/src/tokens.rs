//! Tokens: JWT signed with HS256 (RFC 7519, RFC 7515). A user's token expires; a probe's carries the generation it
//! was made in and is valid until the probe is deleted or its token rotated.
//!
//! Pure: what a token claims is checked here, whether its user or probe still exists is up to the caller.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error as JwtError, ErrorKind},
    signature::{Error as SignatureError, Signer, Verifier},
};
use probe_protocol::{ProbeId, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::config::SecretKey;

/// Signs and verifies with one key.
#[derive(Clone)]
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    user_life: Duration,
}

/// Why a token is not accepted. Says nothing that helps to make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Not a token of this hub, or of another sort.
    #[error("the token is not valid")]
    Invalid,
}

/// What a user's token claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UserClaims {
    #[serde(rename = "_id")]
    id: UserId,
    email: String,
    iat: i64,
    exp: i64,
}

/// What a probe's token claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeClaims {
    /// The probe.
    pub(crate) identifier: ProbeId,
    /// The generation of tokens it belongs to.
    pub(crate) generation: u32,
}

impl Tokens {
    /// Tokens signed with `key`; users' last for `user_life`.
    pub(crate) fn new(key: &SecretKey, user_life: Duration) -> Self {
        // A second hub in the same process (tests) finds it installed: the same provider, so nothing is lost.
        let _ = HS256.install_default();
        let bytes = key.0.as_bytes();
        Self {
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            user_life,
        }
    }

    /// A user's token, and when it expires.
    pub(crate) fn for_user(
        &self,
        id: UserId,
        email: &str,
        now: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), TokenError> {
        let expires = (now + self.user_life).trunc_subsecs(0);
        let claims = UserClaims {
            id,
            email: email.to_owned(),
            iat: now.timestamp(),
            exp: expires.timestamp(),
        };
        Ok((self.sign(&claims)?, expires))
    }

    /// The user that a token names.
    pub(crate) fn user(&self, token: &str) -> Result<UserId, TokenError> {
        let mut validation = validation();
        validation.set_required_spec_claims(&["exp"]);
        self.verify::<UserClaims>(token, &validation)
            .map(|claims| claims.id)
    }

    /// A probe's token.
    pub(crate) fn for_probe(&self, claims: ProbeClaims) -> Result<String, TokenError> {
        self.sign(&claims)
    }

    /// The probe that a token names.
    pub(crate) fn probe(&self, token: &str) -> Result<ProbeClaims, TokenError> {
        let mut validation = validation();
        validation.required_spec_claims.clear();
        self.verify(token, &validation)
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
            .map_err(|_| TokenError::Invalid)
    }

    fn verify<T: DeserializeOwned + Clone>(
        &self,
        token: &str,
        validation: &Validation,
    ) -> Result<T, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        match jsonwebtoken::decode::<T>(token, &self.verifying, validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(TokenError::Expired)
            }
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

/// Longest token worth verifying, bytes.
const LONGEST_TOKEN: usize = 4096;

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_exp = true;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation
}

/// HMAC with SHA-256 for a library that leaves cryptography to its user: the ready-made providers bring RSA and
/// elliptic curves along, which this hub never uses.
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        check(*algorithm, key.family())?;
        Ok(Box::new(Key::new(key.as_bytes())?))
    },
    verifier_factory: |algorithm, key| {
        check(*algorithm, key.family())?;
        Ok(Box::new(Key::new(key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn check(algorithm: Algorithm, family: AlgorithmFamily) -> Result<(), JwtError> {
    if algorithm == Algorithm::HS256 && family == AlgorithmFamily::Hmac {
        return Ok(());
    }
    Err(ErrorKind::InvalidAlgorithm.into())
}

struct Key(Hmac<Sha256>);

impl Key {
    fn new(secret: &[u8]) -> Result<Self, JwtError> {
        Hmac::new_from_slice(secret)
            .map(Self)
            .map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }

    fn over(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac
    }
}

impl Signer<Vec<u8>> for Key {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.over(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Key {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.over(message)
            .verify_slice(signature)
            .map_err(SignatureError::from_source)
    }
}

impl JwtSigner for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(key: &str) -> Tokens {
        Tokens::new(&SecretKey(key.into()), Duration::from_secs(60))
    }

    #[test]
    fn a_token_names_its_user_until_it_expires() {
        let (tokens, id, now) = (tokens("k"), UserId::new(), Utc::now());
        let (token, _) = tokens.for_user(id, "a@example.com", now).unwrap();
        assert_eq!(tokens.user(&token), Ok(id));
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
        assert_eq!(
            super::tests::tokens("other").user(&user),
            Err(TokenError::Invalid)
        );
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
}

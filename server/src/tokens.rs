//! Tokens: JWT signed with HS256 (RFC 7519, RFC 7515). A user's token expires; a probe's carries the generation it
//! was made in and is valid until the probe is deleted or its token rotated.
//!
//! Tokens of the system that this one replaces, signed with the same key, are of other shapes. A probe's carries no
//! generation and counts as the first. A user's does not expire, names the user by the e-mail address, and is taken
//! only where the hub is told to.
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

use crate::{config::SecretKey, domain::FIRST_GENERATION};

/// Signs and verifies with one key.
#[derive(Clone)]
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    user_life: Duration,
    takes_legacy: bool,
}

/// Whom a user's token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// The user with this identifier.
    Id(UserId),
    /// The user with this e-mail address: a token of the replaced system.
    Email(String),
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

/// What any user's token claims, old or new.
#[derive(Debug, Clone, Deserialize)]
struct AnyUserClaims {
    #[serde(rename = "_id")]
    id: UserId,
    email: String,
    exp: Option<i64>,
}

/// What a probe's token claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeClaims {
    /// The probe.
    pub(crate) identifier: ProbeId,
    /// The generation of tokens it belongs to.
    #[serde(default = "first_generation")]
    pub(crate) generation: u32,
}

const fn first_generation() -> u32 {
    FIRST_GENERATION
}

impl Tokens {
    /// Tokens signed with `key`; users' last for `user_life`. `takes_legacy` tells whether users' tokens that never
    /// expire are taken.
    pub(crate) fn new(key: &SecretKey, user_life: Duration, takes_legacy: bool) -> Self {
        // A second hub in the same process (tests) finds it installed: the same provider, so nothing is lost.
        let _ = HS256.install_default();
        let bytes = key.0.as_bytes();
        Self {
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            user_life,
            takes_legacy,
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
    pub(crate) fn user(&self, token: &str) -> Result<Named, TokenError> {
        let claims: AnyUserClaims = self.verify(token)?;
        match claims.exp {
            Some(_) => Ok(Named::Id(claims.id)),
            None if self.takes_legacy => Ok(Named::Email(claims.email)),
            None => Err(TokenError::Expired),
        }
    }

    /// A probe's token.
    pub(crate) fn for_probe(&self, claims: ProbeClaims) -> Result<String, TokenError> {
        self.sign(&claims)
    }

    /// The probe that a token names.
    pub(crate) fn probe(&self, token: &str) -> Result<ProbeClaims, TokenError> {
        self.verify(token)
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
            .map_err(|_| TokenError::Invalid)
    }

    fn verify<T: DeserializeOwned + Clone>(&self, token: &str) -> Result<T, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        match jsonwebtoken::decode::<T>(token, &self.verifying, &validation()) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(TokenError::Expired)
            }
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

/// Longest token worth verifying, bytes.
const LONGEST_TOKEN: usize = 8192;

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    // Honoured where they stand, and nothing has to.
    validation.required_spec_claims.clear();
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
mod tests;

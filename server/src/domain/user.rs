//! Users: what a valid e-mail address and password are, and who may see what.

use chrono::{DateTime, Utc};
use probe_protocol::UserId;
use serde_json::Value;

use super::{Invalid, fields::Fields};

/// Owns operations and probes, has credits; a superuser grants credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Identifier.
    pub(crate) id: UserId,
    /// Address, unique, case-sensitive.
    pub(crate) email: String,
    /// Balance; equals the sum of the user's ledger.
    pub(crate) credits: i64,
    /// May grant credits and see everything.
    pub(crate) is_superuser: bool,
    /// When registered.
    pub(crate) created_at: DateTime<Utc>,
}

impl User {
    /// Whether this user may read what `owner` owns.
    pub(crate) fn may_read(&self, owner: UserId) -> bool {
        self.is_superuser || self.id == owner
    }
}

/// What someone logs in with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Address.
    pub(crate) email: String,
    /// Password, in clear.
    pub(crate) password: String,
}

/// Longest address, bytes (RFC 5321: 64 + 1 + 255, in total 254 with the brackets of a path).
const LONGEST_EMAIL: usize = 254;
/// Longest password, bytes: hashing must not be a way to make the hub work.
const LONGEST_PASSWORD: usize = 1024;
/// Shortest password, characters.
const SHORTEST_PASSWORD: usize = 8;
/// At least one of these must be in a password.
const SPECIAL: &str = r#"!"@#$%^&*()-+?_=,/"#;

impl Credentials {
    /// Reads what someone registers with.
    pub(crate) fn for_registration(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body);
        let credentials = Self::read(&mut fields);
        if let Some(credentials) = &credentials {
            if let Err(detail) = check_email(&credentials.email) {
                fields.wrong("email", detail);
            }
            if let Err(detail) = check_password(&credentials.password) {
                fields.wrong("password", detail);
            }
        }
        fields.finish(credentials)
    }

    /// Reads what someone logs in with; says nothing about the rules.
    pub(crate) fn for_login(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body);
        let credentials = Self::read(&mut fields);
        if credentials
            .as_ref()
            .is_some_and(|c| c.password.len() > LONGEST_PASSWORD)
        {
            fields.wrong(
                "password",
                format!("must not be longer than {LONGEST_PASSWORD} bytes"),
            );
        }
        fields.finish(credentials)
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email: Option<String> = fields.required("email");
        let password: Option<String> = fields.required("password");
        Some(Self {
            email: email?,
            password: password?,
        })
    }
}

/// Checks an e-mail address: a local part of atoms with dots (RFC 5321 dot-string, other letters allowed as in
/// RFC 6531) and a host name with at least one dot.
pub(crate) fn check_email(email: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be an e-mail address";
    let (local, host) = email.rsplit_once('@').ok_or(WRONG)?;
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let local_fits = local.len() <= 64
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(atom));
    let host_fits = host
        .parse::<probe_protocol::Name>()
        .is_ok_and(|name| name.is_host() && !host.ends_with('.'));
    let fits = email.len() <= LONGEST_EMAIL && local_fits && host_fits && host.contains('.');
    if fits { Ok(()) } else { Err(WRONG) }
}

/// Checks a new password.
pub(crate) fn check_password(password: &str) -> Result<(), &'static str> {
    let any = |test: fn(char) -> bool| password.chars().any(test);
    let strong = password.chars().count() >= SHORTEST_PASSWORD
        && any(char::is_uppercase)
        && any(char::is_lowercase)
        && any(char::is_numeric)
        && any(|c| SPECIAL.contains(c));
    if !strong {
        return Err(
            "must have at least 8 characters, an upper-case and a lower-case letter, a digit and one of !\"@#$%^&*()-+?_=,/",
        );
    }
    if password.len() > LONGEST_PASSWORD {
        Err("must not be longer than 1024 bytes")
    } else {
        Ok(())
    }
}

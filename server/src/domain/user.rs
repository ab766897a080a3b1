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

    /// Whose alone this user may read; none where it is everyone's.
    pub(crate) fn limited_to(&self) -> Option<UserId> {
        (!self.is_superuser).then_some(self.id)
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
/// Longest part before the `@`, bytes (RFC 5321).
const LONGEST_LOCAL: usize = 64;
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
            // Blanks around an address come from copying and pasting.
            email: email?.trim().to_owned(),
            password: password?,
        })
    }
}

/// Checks an e-mail address: before the last `@` atoms with dots or a quoted text (RFC 5321, letters of all languages
/// allowed as in RFC 6531), after it a host name below a suffix of the Public Suffix List.
pub(crate) fn check_email(email: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be an e-mail address";
    let (local, host) = email.rsplit_once('@').ok_or(WRONG)?;
    let quoted = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let local_fits = match quoted {
        Some(inside) => is_quotable(inside),
        None => is_dotted(local),
    };
    let fits = email.len() <= LONGEST_EMAIL
        && local.len() <= LONGEST_LOCAL
        && local_fits
        && is_public(host);
    if fits { Ok(()) } else { Err(WRONG) }
}

/// Atoms between single dots.
fn is_dotted(local: &str) -> bool {
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local
        .split('.')
        .all(|part| !part.is_empty() && part.chars().all(atom))
}

/// What may stand between quotes: blanks and signs, and after a backslash also a quote or a backslash.
fn is_quotable(text: &str) -> bool {
    let mut escaped = false;
    let fits = text.chars().all(|c| {
        let after_backslash = std::mem::take(&mut escaped);
        escaped = c == '\\' && !after_backslash;
        !c.is_control() && (c != '"' || after_backslash)
    });
    !text.is_empty() && fits && !escaped
}

/// Whether this is a host name with a dot, below a suffix under which hosts are registered.
fn is_public(host: &str) -> bool {
    let Ok(name) = host.parse::<probe_protocol::Name>() else {
        return false;
    };
    let name_fits = name.is_host() && name.as_str().contains('.') && !host.ends_with('.');
    let suffix = psl::suffix(name.as_str().as_bytes());
    name_fits && suffix.is_some_and(|suffix| suffix.is_known())
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

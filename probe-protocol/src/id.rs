//! Identifiers. Every one is a type of its own, so that a probe cannot be taken for an operation.
//!
//! Outside (JSON, BSON, URLs) an identifier is 24 hexadecimal digits, the form of a MongoDB ObjectId.

use std::{fmt, str::FromStr};

use bson::oid::ObjectId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

/// The text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 24 hexadecimal digits")]
pub struct NotAnId;

/// Bytes of an identifier.
const BYTES: usize = 12;
/// Digits of its text.
const DIGITS: usize = 2 * BYTES;

/// The text of an identifier, on the stack: lists hold thousands of them.
struct Digits([u8; DIGITS]);

impl Digits {
    fn of(id: ObjectId) -> Self {
        let digit = |value: u8| match value {
            0..=9 => b'0' + value,
            _ => b'a' + value - 10,
        };
        let mut digits = [b'0'; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(id.bytes()) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 0xf));
            }
        }
        Self(digits)
    }

    fn as_str(&self) -> &str {
        // Digits are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The identifier with that text, in lower or upper case.
fn read(text: &str) -> Result<ObjectId, NotAnId> {
    let digits = text.as_bytes();
    if digits.len() != DIGITS {
        return Err(NotAnId);
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NotAnId),
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        if let [high, low] = pair {
            *byte = value(*high)? << 4 | value(*low)?;
        }
    }
    Ok(ObjectId::from_bytes(bytes))
}

/// Reads the text without a copy of it.
struct FromText;

impl Visitor<'_> for FromText {
    type Value = ObjectId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ObjectId, E> {
        read(text).map_err(E::custom)
    }
}

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(ObjectId);

        impl $name {
            /// A new identifier; later ones sort after earlier ones, to the second.
            #[expect(clippy::new_without_default, reason = "a default identifier would be a random one")]
            #[must_use]
            pub fn new() -> Self {
                Self(ObjectId::new())
            }

            /// Names nothing: no new identifier is ever made of zeros.
            pub const NONE: Self = Self(ObjectId::from_bytes([0; BYTES]));

            /// The ObjectId inside, for stores that keep ObjectIds.
            #[must_use]
            pub fn object_id(self) -> ObjectId {
                self.0
            }
        }

        impl From<ObjectId> for $name {
            fn from(id: ObjectId) -> Self {
                Self(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_hex()
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                read(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Digits::of(self.0).as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(Digits::of(self.0).as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromText).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.to_hex())
            }
        }
    };
}

object_id! {
    /// Identifies a probe.
    ProbeId
}
object_id! {
    /// Identifies an operation.
    OperationId
}
object_id! {
    /// Identifies a user.
    UserId
}

/// What a probe calls one run's result: unique within its operation, 1 to 64 letters, digits, `-`, `_`, `.` or `:`.
///
/// A result is identified by (operation, probe, code), so sending it again is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResultCode(String);

/// The text is not a result code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, '-', '_', '.' or ':'")]
pub struct NotACode;

impl ResultCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResultCode {
    type Error = NotACode;

    fn try_from(text: String) -> Result<Self, NotACode> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.:".contains(&c);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(Self(text)) } else { Err(NotACode) }
    }
}

impl From<ResultCode> for String {
    fn from(code: ResultCode) -> Self {
        code.0
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_24_hexadecimal_digits() {
        let text = "0123456789abcdef01234567";
        let id: ProbeId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{id:?}"), format!("ProbeId({text})"));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(ProbeId::from(id.object_id()), id);
        for wrong in [
            "",
            "0123",
            "0123456789abcdef0123456g",
            "0123456789abcdef012345678",
            " 123456789abcdef01234567",
            "é23456789abcdef0123456",
        ] {
            assert_eq!(wrong.parse::<OperationId>(), Err(NotAnId), "{wrong}");
        }
        assert_ne!(UserId::new(), UserId::new());
    }

    #[test]
    fn codes_are_short_and_plain() {
        let read = |text: &str| ResultCode::try_from(text.to_owned());
        let longest = "x".repeat(64);
        for text in ["0", "a-B_c.9:z", &longest] {
            assert_eq!(read(text).unwrap().as_str(), text);
        }
        for text in ["", " ", "a b", "a/b", "a\n", "é", "a\0", &"x".repeat(65)] {
            assert_eq!(read(text), Err(NotACode), "{text:?}");
        }
    }
}

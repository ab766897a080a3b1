//! A whole number with limits that cannot be left.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A whole number from `MIN` to `MAX`, both included. Reads only from an integer: `5`, never `"5"` or `5.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number, if it is within the limits.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(Whole::new)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                u64::try_from(number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
                    .and_then(|number| self.visit_u64(number))
            }
        }

        deserializer.deserialize_u32(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::*;

    type Digit = Whole<1, 9>;

    #[derive(Debug, Deserialize)]
    struct Row {
        n: Digit,
    }

    #[test]
    fn holds_its_limits() {
        assert_eq!(Digit::new(1).map(Digit::get), Some(1));
        assert_eq!(Digit::new(9).map(|n| n.to_string()), Some("9".to_owned()));
        assert_eq!(
            (Digit::new(0), Digit::new(10), Digit::new(u32::MAX)),
            (None, None, None)
        );
        assert!(Whole::<0, { u32::MAX }>::new(u32::MAX).is_some());
    }

    #[test]
    fn reads_only_integers_of_json() {
        assert_eq!(serde_json::from_str::<Digit>("5").unwrap().get(), 5);
        for wrong in [
            "0",
            "10",
            "-1",
            "-0",
            "5.0",
            "5e0",
            "\"5\"",
            "true",
            "null",
            "[5]",
            "4294967301",
            "18446744073709551617",
        ] {
            assert!(serde_json::from_str::<Digit>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_only_integers_of_bson() {
        let read = |n: Bson| bson::deserialize_from_slice::<Row>(&doc! {"n": n}.to_vec().unwrap());
        for number in [Bson::Int32(5), Bson::Int64(5)] {
            assert_eq!(read(number).unwrap().n.get(), 5);
        }
        for wrong in [
            Bson::Int32(-5),
            Bson::Int64(10),
            Bson::Int64(i64::MIN),
            Bson::Double(5.0),
            Bson::Double(f64::NAN),
            Bson::String("5".into()),
            Bson::Boolean(true),
            Bson::Null,
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}

//! JSON of any shape as BSON that people can query, and back without loss.
//!
//! Not all of JSON is BSON: names with a zero character, a name that stands twice in one object, numbers beyond 64 bits with a
//! sign. And names that begin with `$` mean something to servers and to readers of extended JSON. A document that holds
//! such a thing, or would grow too large, is kept as its JSON text in a field of its own (`…_json`).

use std::fmt;

use bson::{Bson, RawArrayBuf, RawBson, RawBsonRef, RawDocumentBuf, raw::CString};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
    ser::{Error as _, SerializeMap as _, SerializeSeq as _},
};

/// Largest BSON of one unstructured field, bytes: the field and the raw bytes of a result beside it stay below the 16 MiB
/// of a document. In BSON every member of an array has a name, so it may grow to several times the JSON.
const MOST: usize = 6 * 1024 * 1024;

/// A value as it is kept: one of the two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    /// As BSON.
    pub(super) value: Option<RawBson>,
    /// As JSON text.
    pub(super) text: Option<String>,
}

/// How a JSON text is kept.
pub(super) fn keep(text: &str) -> Kept {
    match serde_json::from_str(text) {
        Ok(InBson(value)) if size(&value) <= MOST => Kept {
            value: Some(value),
            text: None,
        },
        _ => Kept {
            value: None,
            text: Some(text.to_owned()),
        },
    }
}

/// Bytes of what may have many.
fn size(value: &RawBson) -> usize {
    match value {
        RawBson::String(text) => text.len(),
        RawBson::Document(members) => members.as_bytes().len(),
        RawBson::Array(items) => items.as_bytes().len(),
        _ => 0,
    }
}

/// JSON that becomes BSON while it is read: no tree stands between the two.
struct InBson(RawBson);

impl<'de> Deserialize<'de> for InBson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = RawBson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that BSON can say")
    }

    fn visit_unit<E>(self) -> Result<RawBson, E> {
        Ok(RawBson::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawBson, E> {
        Ok(RawBson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawBson, E> {
        Ok(i32::try_from(value).map_or(RawBson::Int64(value), RawBson::Int32))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<RawBson, E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawBson, E> {
        Ok(RawBson::Double(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<RawBson, E> {
        Ok(RawBson::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawBson, A::Error> {
        let mut list = RawArrayBuf::new();
        while let Some(InBson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(RawBson::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawBson, A::Error> {
        let (mut document, mut names) = (RawDocumentBuf::new(), Vec::new());
        while let Some(name) = members.next_key::<String>()? {
            if name.starts_with('$') {
                return Err(A::Error::custom("a name begins with $"));
            }
            let name = CString::try_from(name).map_err(A::Error::custom)?;
            let InBson(value) = members.next_value()?;
            document.append(&name, value);
            names.push(name);
        }
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        if names
            .windows(2)
            .any(|pair| matches!(pair, [one, next] if one == next))
        {
            return Err(A::Error::custom("a name stands twice"));
        }
        Ok(RawBson::Document(document))
    }
}

/// The JSON text of what is kept.
pub(super) fn text(
    value: Option<RawBsonRef<'_>>,
    text: Option<String>,
) -> Result<String, serde_json::Error> {
    match (value, text) {
        (_, Some(text)) => Ok(text),
        (Some(value), None) => serde_json::to_string(&Json(value)),
        (None, None) => Ok("null".to_owned()),
    }
}

/// BSON that writes itself as JSON.
struct Json<'a>(RawBsonRef<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RawBsonRef::Null => serializer.serialize_unit(),
            RawBsonRef::Boolean(value) => serializer.serialize_bool(value),
            RawBsonRef::Int32(value) => serializer.serialize_i32(value),
            RawBsonRef::Int64(value) => serializer.serialize_i64(value),
            RawBsonRef::Double(value) => serializer.serialize_f64(value),
            RawBsonRef::String(text) => serializer.serialize_str(text),
            RawBsonRef::Array(items) => {
                let mut list = serializer.serialize_seq(None)?;
                for item in items {
                    list.serialize_element(&Json(item.map_err(S::Error::custom)?))?;
                }
                list.end()
            }
            RawBsonRef::Document(members) => {
                let mut map = serializer.serialize_map(None)?;
                for member in members {
                    let (name, value) = member.map_err(S::Error::custom)?;
                    map.serialize_entry(name.as_str(), &Json(value))?;
                }
                map.end()
            }
            // Nothing else is ever kept.
            other => Bson::try_from(other)
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};
    use proptest::{collection::vec, prelude::*};
    use serde_json::Value;

    use super::*;

    fn read(kept: Kept) -> String {
        let value = kept.value.as_ref().map(RawBson::as_raw_bson_ref);
        text(value, kept.text).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i16>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,5}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::from),
                vec((r"[a-c$.\x00]{0,2}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_of_any_shape_comes_back_as_it_was(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(read(keep(&text)), text);
        }
    }

    #[test]
    fn what_bson_can_say_can_be_queried() {
        let kept = keep(r#"{"z":[1,-2147483649,1.0],"a":{"b":null,"":true},"é":"\u0000"}"#);
        let wanted = doc! {
            "z": [1_i32, -2_147_483_649_i64, 1.0],
            "a": { "b": null, "": true },
            "é": "\0",
        };
        let value = Bson::try_from(kept.value.unwrap()).unwrap();
        assert_eq!(value, bson!(wanted));
        assert_eq!(kept.text, None);
    }

    #[test]
    fn what_bson_cannot_say_is_kept_as_its_text() {
        let long = format!("[{}0]", "1,".repeat(MOST / 7));
        let texts = [
            r#"[{"$where":1}]"#,
            r#"{"a":{"\u0000":1}}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            "18446744073709551615",
            "[9223372036854775808]",
            "no JSON",
            &long,
        ];
        for text in texts {
            let kept = keep(text);
            assert_eq!((kept.value, kept.text.as_deref()), (None, Some(text)));
        }
    }
}

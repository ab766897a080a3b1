//! JSON of any shape as BSON that people can query, and back without loss.
//!
//! Not all of JSON is BSON: names with a zero character, numbers beyond 64 bits with a sign. And names that begin with `$`
//! mean something to servers and to readers of extended JSON. A document that holds such a thing, or would grow too
//! large, is kept as its JSON text in a field of its own (`…_json`).

use bson::{Bson, Document, RawBsonRef};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _, SerializeSeq as _},
};
use serde_json::Value;

/// Largest BSON of one unstructured field, bytes: the field and the raw bytes of a result beside it stay below the 16 MiB
/// of a document. In BSON every member of an array has a name, so it may grow to several times the JSON.
const MOST: usize = 6 * 1024 * 1024;

/// How many times its JSON text a document may be in BSON: in `[1,1,…]` two bytes become up to a dozen.
const GROWS: usize = 8;

/// A value as it is kept: one of the two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    /// As BSON.
    pub(super) value: Option<Bson>,
    /// As JSON text.
    pub(super) text: Option<String>,
}

/// How a JSON text is kept.
pub(super) fn keep(text: &str) -> Kept {
    let value = serde_json::from_str(text).ok().and_then(bson_of);
    match value.filter(|value| text.len() <= MOST / GROWS || fits(value)) {
        Some(value) => Kept {
            value: Some(value),
            text: None,
        },
        None => Kept {
            value: None,
            text: Some(text.to_owned()),
        },
    }
}

/// The JSON text of what is kept.
pub(super) fn text(value: Option<Bson>, text: Option<String>) -> Result<String, serde_json::Error> {
    match (value, text) {
        (_, Some(text)) => Ok(text),
        (Some(value), None) => serde_json::to_string(&value),
        (None, None) => Ok("null".to_owned()),
    }
}

/// The same of what was read as it stands.
pub(super) fn text_of(
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

fn fits(value: &Bson) -> bool {
    match value {
        Bson::String(text) => text.len() <= MOST,
        Bson::Document(_) | Bson::Array(_) => {
            let wrapped = bson::doc! { "": value.clone() };
            bson::serialize_to_vec(&wrapped).is_ok_and(|bytes| bytes.len() <= MOST)
        }
        _ => true,
    }
}

/// A JSON value as BSON; `None` where BSON cannot say the same.
pub(super) fn bson_of(value: Value) -> Option<Bson> {
    Some(match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(value),
        Value::String(text) => Bson::String(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            (None, Some(float)) if number.is_f64() => Bson::Double(float),
            _ => return None,
        },
        Value::Array(items) => Bson::Array(items.into_iter().map(bson_of).collect::<Option<_>>()?),
        Value::Object(members) => {
            let mut document = Document::new();
            for (name, value) in members {
                if name.starts_with('$') || name.contains('\0') {
                    return None;
                }
                document.insert(name, bson_of(value)?);
            }
            Bson::Document(document)
        }
    })
}

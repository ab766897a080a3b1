//! JSON of any shape as BSON that people can query, and back without loss.
//!
//! Not all of JSON is BSON: names with a zero character, numbers beyond 64 bits with a sign. And names that begin with `$`
//! mean something to servers and to readers of extended JSON. A document that holds such a thing, or would grow too
//! large, is kept as its JSON text in a field of its own (`…_json`).

use bson::{Bson, Document};
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

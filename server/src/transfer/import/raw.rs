//! Documents of the old database as they lie there, and JSON made of them. They may come from a file that anybody wrote:
//! nothing here recurses deeper, or makes more of them, than it is told.

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use bson::{
    oid::ObjectId,
    raw::{RawArray, RawBsonRef, RawDocument},
};
use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value};

use crate::decode::{MAX_NESTING, MAX_VALUES};

/// A document is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is damaged")]
pub(super) struct Damaged;

/// Why no JSON can be made of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unshowable {
    /// It cannot be read.
    #[error("is damaged")]
    Damaged,
    /// Documents within documents, deeper than anything that is shown.
    #[error("nests deeper than {MAX_NESTING} levels")]
    Deep,
    /// More than is shown.
    #[error("has more than {MAX_VALUES} values")]
    Many,
}

/// The members of a document.
pub(super) struct Members<'a>(Vec<(&'a str, RawBsonRef<'a>)>);

impl<'a> Members<'a> {
    /// Reads names and types; what is inside the members is not looked at.
    pub(super) fn of(document: &'a RawDocument) -> Result<Self, Damaged> {
        let members = document.iter().map(|member| {
            let (name, value) = member.map_err(|_| Damaged)?;
            Ok((name.as_str(), value))
        });
        members.collect::<Result<_, _>>().map(Self)
    }

    /// A member; the first, where there are several of a name.
    pub(super) fn get(&self, name: &str) -> Option<RawBsonRef<'a>> {
        let found = self.0.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| *value)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// An identifier.
    pub(super) fn id(&self, name: &str) -> Option<ObjectId> {
        self.get(name)?.as_object_id()
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Option<&'a RawArray> {
        self.get(name)?.as_array()
    }
}

/// When an identifier was made, to the second.
pub(super) fn made_at(id: ObjectId) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(id.timestamp().timestamp_millis()).unwrap_or_default()
}

/// A number of any of the usual types.
pub(super) fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Double(number) => Some(number),
        RawBsonRef::Int32(number) => Some(number.into()),
        // Prices and places: none has so many digits that one is lost.
        RawBsonRef::Int64(number) => Some(number as f64),
        _ => None,
    }
}

/// Makes JSON of a value. What JSON has no words for becomes the nearest thing: identifiers and times are texts, what is
/// no number is null, bytes are base64.
pub(super) fn json(value: RawBsonRef<'_>) -> Result<Value, Unshowable> {
    let mut values_left = MAX_VALUES;
    of_value(value, MAX_NESTING, &mut values_left)
}

fn of_value(
    value: RawBsonRef<'_>,
    levels: usize,
    values_left: &mut usize,
) -> Result<Value, Unshowable> {
    *values_left = values_left.checked_sub(1).ok_or(Unshowable::Many)?;
    Ok(match value {
        RawBsonRef::Document(inner) => {
            let levels = levels.checked_sub(1).ok_or(Unshowable::Deep)?;
            let mut map = Map::new();
            for member in inner {
                let (name, value) = member.map_err(|_| Unshowable::Damaged)?;
                let value = of_value(value, levels, values_left)?;
                map.insert(name.as_str().to_owned(), value);
            }
            Value::Object(map)
        }
        RawBsonRef::Array(inner) => {
            let levels = levels.checked_sub(1).ok_or(Unshowable::Deep)?;
            let mut items = Vec::new();
            for item in inner {
                let item = item.map_err(|_| Unshowable::Damaged)?;
                items.push(of_value(item, levels, values_left)?);
            }
            Value::Array(items)
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => Value::from(code.code),
        simple => of_simple(simple),
    })
}

fn of_simple(value: RawBsonRef<'_>) -> Value {
    match value {
        RawBsonRef::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        RawBsonRef::Int32(number) => number.into(),
        RawBsonRef::Int64(number) => number.into(),
        RawBsonRef::Boolean(it) => it.into(),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => {
            text.into()
        }
        RawBsonRef::ObjectId(id) => id.to_hex().into(),
        RawBsonRef::DateTime(time) => match time.try_to_rfc3339_string() {
            Ok(text) => text.into(),
            Err(_) => time.timestamp_millis().into(),
        },
        RawBsonRef::Timestamp(stamp) => stamp.time.into(),
        RawBsonRef::Binary(binary) => BASE64.encode(binary.bytes).into(),
        RawBsonRef::Decimal128(number) => number.to_string().into(),
        RawBsonRef::RegularExpression(regex) => {
            format!("/{}/{}", regex.pattern, regex.options).into()
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests;

//! Reads a JSON object field by field and collects everything that is wrong with it, so that one answer names all
//! wrong fields instead of the first.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body; empty for the body itself.
    #[schema(example = "/targets/0")]
    pub(crate) pointer: String,
    /// What is wrong, for people.
    #[schema(example = "must be an IPv4 or IPv6 address or a domain name")]
    pub(crate) detail: String,
}

/// Input that cannot be used: at least one wrong field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid input: {} wrong field(s)", .0.len())]
pub(crate) struct Invalid(pub(crate) Vec<FieldError>);

impl Invalid {
    /// One wrong field.
    pub(crate) fn one(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }
}

/// Reads one object. Fields that were asked for are known; [`Fields::finish`] reports all others.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    pointer: String,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Starts with the body.
    pub(crate) fn of(body: &'a Value) -> Self {
        Self::at(body, String::new())
    }

    fn at(value: &'a Value, pointer: String) -> Self {
        let object = value.as_object();
        let mut fields = Self {
            object,
            pointer,
            known: Vec::new(),
            errors: Vec::new(),
        };
        if object.is_none() {
            fields.errors.push(FieldError {
                pointer: fields.pointer.clone(),
                detail: "must be an object".into(),
            });
        }
        fields
    }

    /// The raw value of a field; `null` counts as left out.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object
            .and_then(|object| object.get(name))
            .filter(|value| !value.is_null())
    }

    /// A field that may be left out.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let value = self.raw(name)?;
        self.read(value, name)
    }

    /// A field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let Some(value) = self.raw(name) else {
            self.missing(name);
            return None;
        };
        self.read(value, name)
    }

    /// A list that must be there, of 1 to `most` items, each read on its own.
    pub(crate) fn list<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        most: usize,
    ) -> Option<Vec<T>> {
        let Some(value) = self.raw(name) else {
            self.missing(name);
            return None;
        };
        let Some(items) = value.as_array() else {
            self.wrong(name, "must be a list");
            return None;
        };
        if items.is_empty() || items.len() > most {
            self.wrong(name, format!("must have 1 to {most} items"));
            return None;
        }
        let before = self.errors.len();
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match serde_json::from_value(item.clone()) {
                Ok(value) => read.push(value),
                Err(error) => self.wrong(&format!("{name}/{index}"), reason(&error)),
            }
        }
        (self.errors.len() == before).then_some(read)
    }

    /// An object inside, with its own fields; its errors join this one's.
    pub(crate) fn nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = self.raw(name)?;
        let mut inner = Self::at(value, format!("{}/{name}", self.pointer));
        let result = read(&mut inner);
        inner.report_unknown();
        let clean = inner.errors.is_empty();
        self.errors.append(&mut inner.errors);
        result.filter(|_| clean)
    }

    /// Reports a wrong field; `path` is relative to this object.
    pub(crate) fn wrong(&mut self, path: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{path}", self.pointer);
        self.errors.push(FieldError {
            pointer,
            detail: detail.into(),
        });
    }

    /// Reports a field that is missing.
    pub(crate) fn missing(&mut self, name: &str) {
        // Where there is no object at all, that is what is wrong.
        if self.object.is_some() {
            self.wrong(name, "is required");
        }
    }

    /// The result, if nothing was wrong and nothing unknown was there.
    ///
    /// # Errors
    /// Every wrong field.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        self.report_unknown();
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Invalid(self.errors)),
        }
    }

    fn read<T: DeserializeOwned>(&mut self, value: &Value, name: &'static str) -> Option<T> {
        match serde_json::from_value(value.clone()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, reason(&error));
                None
            }
        }
    }

    fn report_unknown(&mut self) {
        let Some(object) = self.object else { return };
        let unknown: Vec<&String> = object
            .keys()
            .filter(|key| !self.known.contains(&key.as_str()))
            .collect();
        for key in unknown.into_iter().take(MOST_UNKNOWN) {
            // RFC 6901: `~` and `/` are escaped in a pointer.
            let key = key.replace('~', "~0").replace('/', "~1");
            self.wrong(&key, "is not a known field");
        }
    }
}

/// Unknown fields named in one answer; a body full of them must not make the answer as large.
const MOST_UNKNOWN: usize = 20;

/// What serde says, without its position in a text that the user never wrote.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}

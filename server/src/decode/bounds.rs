//! How much may come out of content that anybody may have sent: texts cut, lists counted, JSON measured before it is
//! read and while it is written.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

/// The front of a text: at most so many bytes, and no half character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// A list in a summary: bounded in entries and in bytes of JSON text, it counts what did not fit.
#[derive(Debug)]
pub(super) struct Listing {
    items: Vec<Value>,
    most: usize,
    bytes_left: usize,
    omitted: u64,
}

impl Listing {
    /// An empty list.
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            items: Vec::new(),
            most,
            bytes_left: most_bytes,
            omitted: 0,
        }
    }

    /// Adds an entry where there is room for it.
    pub(super) fn push(&mut self, item: Value) {
        let room = (self.items.len() < self.most)
            .then(|| json_text(&item, self.bytes_left))
            .flatten();
        match room {
            Some(text) => {
                // One more for the comma.
                self.bytes_left = self.bytes_left.saturating_sub(text.len().saturating_add(1));
                self.items.push(item);
            }
            None => self.omit(1),
        }
    }

    /// Counts entries that were left out elsewhere.
    pub(super) fn omit(&mut self, count: u64) {
        self.omitted = self.omitted.saturating_add(count);
    }

    /// Puts the list into an object, and what was left out beside it.
    pub(super) fn put(self, key: &str, object: &mut Map<String, Value>) {
        object.insert(key.to_owned(), self.items.into());
        if self.omitted > 0 {
            object.insert("omitted".to_owned(), self.omitted.into());
        }
    }
}

/// JSON text on one line, `None` where it would be longer than that.
pub(super) fn json_text(value: &impl Serialize, most: usize) -> Option<String> {
    let mut out = Bounded {
        bytes: Vec::new(),
        most,
    };
    serde_json::to_writer(&mut out, value).ok()?;
    String::from_utf8(out.bytes).ok()
}

/// Takes so many bytes and then fails, so that a text too long is not even made.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most.saturating_sub(self.bytes.len()) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether JSON text has at most so many levels and values. Asked before reading it, since a parser builds all of it
/// first; whether it is JSON at all is the parser's to say.
pub(super) fn check_json(
    text: &[u8],
    most_levels: usize,
    most_values: usize,
) -> Result<(), String> {
    let (mut levels, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                levels = levels.saturating_add(1);
                values = values.saturating_add(1);
            }
            b']' | b'}' => levels = levels.saturating_sub(1),
            b',' | b':' => values = values.saturating_add(1),
            _ => {}
        }
        if levels > most_levels {
            return Err(format!("nested deeper than {most_levels} levels"));
        }
        if values > most_values {
            return Err(format!("more than {most_values} values"));
        }
    }
    Ok(())
}

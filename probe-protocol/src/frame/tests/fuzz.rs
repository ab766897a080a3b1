//! Frames as anybody may send them: what is read means the same in both encodings.

use std::fmt;

use ::fuzz::{Target, sort_of};

use super::*;

/// What frames are made of.
const WORDS: &[&str] = &[
    "\"type\":\"hello\"",
    "\"type\":\"accepted\"",
    "\"type\":\"refused\"",
    "\"type\":\"result\"",
    "\"type\":\"finished\"",
    "\"type\":\"status\"",
    "\"type\":\"time\"",
    "\"type\":\"welcome\"",
    "\"type\":\"assign\"",
    "\"type\":\"cancel\"",
    "\"type\":\"stored\"",
    "\"type\":\"rejected\"",
    "\"type\":\"error\"",
    "\"operation\":\"0123456789abcdef01234567\"",
    "\"params\":",
    "\"schedule\":",
    "\"content\":[31,139]",
    "\"dropped\":18446744073709551615",
    "traceroute",
    "dns",
    "warts",
    "gzip",
    "json",
    "dump",
    "over_plan",
    "2026-03-10T12:00:00Z",
    "+262142-12-31T23:59:60.999999999Z",
    "* * * * *",
];

/// Words of BSON: types and lengths of elements, names of fields with their ends.
const BSON_WORDS: &[&str] = &[
    "\x01a\0",
    "\x02type\0\x06\0\0\0hello\0",
    "\x02type\0\x07\0\0\0result\0",
    "\x02type\0\x07\0\0\0assign\0",
    "\x02type\0\x02\0\0\0x\0",
    "\x03params\0\x05\0\0\0\0",
    "\x04codes\0",
    "\x05content\0",
    "\x0ftype\0",
    "\x10credits\0",
    "\x12session\0",
    "\x13a\0",
    "hello",
    "welcome",
    "\x0fa\0\x10\0\0\0\x01\0\0\0\0\x05\0\0\0\0",
];

/// A frame of either direction.
trait Frame: Serialize + DeserializeOwned + PartialEq + fmt::Debug {
    /// Its word and whether it is ever sent.
    fn about(&self) -> (&'static str, bool);
}

impl Frame for ProbeFrame {
    fn about(&self) -> (&'static str, bool) {
        match self {
            Self::Hello(_) => ("hello", true),
            Self::Accepted { .. } => ("accepted", true),
            Self::Refused { .. } => ("refused", true),
            Self::Result(_) => ("result", true),
            Self::Finished { .. } => ("finished", true),
            Self::Status { .. } => ("status", true),
            Self::Time { .. } => ("time", true),
            Self::Unknown => ("unknown", false),
        }
    }
}

impl Frame for HubFrame {
    fn about(&self) -> (&'static str, bool) {
        match self {
            Self::Welcome(_) => ("welcome", true),
            Self::Assign(assign) => (assign.kind.as_str(), true),
            Self::Cancel { .. } => ("cancel", true),
            Self::Closed { .. } => ("closed", true),
            Self::Stored { .. } => ("stored", true),
            Self::Rejected { reason, .. } => ("rejected", *reason != Rejection::Other),
            Self::Time { .. } => ("time", true),
            Self::Error { .. } => ("error", true),
            Self::Unknown => ("unknown", false),
        }
    }
}

/// What BSON cannot hold: whole numbers beyond i64, a zero byte in a name.
fn fits_bson(json: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    fn fits(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(number) => number.is_i64() || number.is_f64(),
            serde_json::Value::Array(items) => items.iter().all(fits),
            serde_json::Value::Object(map) => map
                .iter()
                .all(|(name, value)| !name.contains('\0') && fits(value)),
            _ => true,
        }
    }
    fits(&value)
}

/// Writes a frame in both encodings and reads it again; answers what came of it.
fn both_mean_the_same<F: Frame>(read: Result<F, FrameError>) -> String {
    let frame = match read {
        Ok(frame) => frame,
        Err(error) => return sort_of(&error),
    };
    let (word, is_sent) = frame.about();
    let json = serde_json::to_string(&frame);
    if !is_sent {
        assert!(json.is_err() && bson::serialize_to_vec(&frame).is_err());
        return word.to_owned();
    }
    let json = json.unwrap();
    assert_eq!(text::<F>(&json).unwrap(), frame);
    match bson::serialize_to_vec(&frame) {
        Ok(bytes) => match binary::<F>(&bytes) {
            Ok(read) => assert_eq!(read, frame),
            // JSON may be deeper.
            Err(error) => assert!(matches!(error, FrameError::TooDeep), "{error}: {json}"),
        },
        Err(error) => assert!(!fits_bson(&json), "{error}: {json}"),
    }
    format!("{word} {}", fits_bson(&json))
}

#[test]
fn json_frames() {
    let target = Target::new("json-frames").words(WORDS).heap(64 * 1024, 512);
    target.run(|input| {
        let json = str::from_utf8(input).ok()?;
        Some([
            both_mean_the_same(ProbeFrame::from_text(json)),
            both_mean_the_same(HubFrame::from_text(json)),
        ])
    });
}

#[test]
fn bson_frames() {
    let target = Target::new("bson-frames")
        .words(BSON_WORDS)
        .heap(64 * 1024, 512);
    target.run(|input| {
        [
            both_mean_the_same(ProbeFrame::from_binary(input)),
            both_mean_the_same(HubFrame::from_binary(input)),
        ]
    });
}

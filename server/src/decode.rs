//! What a probe sent becomes what users read: the content of a result goes in, a document and a small uniform summary
//! come out, both as JSON text on one line, ready to be kept by the store.
//!
//! | content | document |
//! | --- | --- |
//! | warts, `json` wanted | array: what `sc_warts2json` prints, and the records that cannot be decoded, raw |
//! | warts, `dump` wanted | string: what `sc_analysis_dump` prints; of a ping it prints nothing: the array |
//! | gzip | string: the text |
//! | json | the document itself |
//! | unreadable, or too large | `{"type":"undecoded","reason":…}` |
//!
//! Reading never fails and never panics, and what it costs is bounded by the constants here, whatever the content
//! claims: content comes from machines that anybody may run. Nothing is lost either, since whoever calls keeps the
//! content as it came. This module knows no store, no session and no clock.
//!
//! The summary is made of the document's records by [`ping`], [`traceroute`] and [`dns`]; where a list in it is longer
//! than its limit, `"omitted"` beside the list counts what is left out.

use std::io::Read;

use flate2::bufread::GzDecoder;
use probe_protocol::{ContentFormat, Kind, MAX_FRAME, ResultFormat};
use serde_json::{Map, Value, json};

use crate::warts;

mod bounds;
mod dig;
mod dns;
mod ping;
#[cfg(test)]
mod tests;
mod traceroute;

/// Longest text taken out of gzip, bytes. A transfer of a hundred thousand names is shorter; a bomb that promises
/// more costs only this much, because reading stops here.
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// Longest document, bytes of JSON text. MongoDB keeps at most 16 MiB in one piece, and the content as it came (one
/// frame at most), the summary and the rest of the result stand beside the document.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024 - MAX_FRAME - 1024 * 1024;

/// Deepest nesting of a JSON document. What `sc_warts2json` prints has 6 levels; readers of documents recurse.
pub(crate) const MAX_NESTING: usize = 32;

/// Most values in a JSON document. A value may take two bytes of text and a hundred of memory; a whole frame of
/// ping records has half as many.
pub(crate) const MAX_VALUES: usize = 500_000;

/// Longest summary, bytes of JSON text. A traceroute of a hundred targets takes half of it.
const MAX_SUMMARY: usize = 512 * 1024;

/// Most targets or questions in a summary: as many as one assignment may have.
const MAX_TARGETS: usize = 1_000;

/// Longest reason that a summary repeats from a probe, bytes: a few lines for people.
const MAX_REASON: usize = 500;

/// What the content of a result says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readout {
    /// The document: JSON text.
    pub(crate) document: String,
    /// The uniform summary: JSON text.
    pub(crate) summary: String,
    /// Records that could not be decoded. A text or a JSON document is one record.
    pub(crate) undecoded: u32,
    /// Whether something of the kind asked for was measured. Silence is a measurement, once a question was sent.
    pub(crate) measured: bool,
}

/// Reads the content of a result.
pub(crate) fn read(kind: Kind, wanted: ResultFormat, format: ContentFormat, raw: &[u8]) -> Readout {
    match format {
        ContentFormat::Warts => read_warts(kind, wanted, raw),
        ContentFormat::Gzip => match gunzip(raw) {
            Ok((text, undecoded)) => read_text(kind, &text, undecoded),
            Err(reason) => unreadable(kind, &reason),
        },
        ContentFormat::Json => match parse_json(raw) {
            Ok(document) => read_value(kind, &document),
            Err(reason) => unreadable(kind, &reason),
        },
    }
}

/// Reads a document that was made elsewhere: the text of a tool, or what stands in other documents. Whoever read it held
/// it to [`MAX_NESTING`] and [`MAX_VALUES`].
pub(crate) fn read_document(kind: Kind, document: &Value) -> Readout {
    match document {
        Value::String(text) => read_text(kind, text, 0),
        _ => read_value(kind, document),
    }
}

fn read_value(kind: Kind, document: &Value) -> Readout {
    let text = bounds::json_text(document, MAX_DOCUMENT);
    readout(kind, text, Digest::of(kind, document), 0)
}

fn read_warts(kind: Kind, wanted: ResultFormat, raw: &[u8]) -> Readout {
    let decoded = warts::decode(raw, &warts::Limits::default());
    let undecoded = u32::try_from(decoded.undecoded()).unwrap_or(u32::MAX);
    let records = decoded.to_json();
    let document = match (wanted, kind) {
        (ResultFormat::Dump, Kind::Traceroute) => {
            bounds::json_text(&decoded.to_dump(), MAX_DOCUMENT)
        }
        _ => bounds::json_text(&records, MAX_DOCUMENT),
    };
    readout(kind, document, Digest::of(kind, &records), undecoded)
}

fn read_text(kind: Kind, text: &str, undecoded: u32) -> Readout {
    let digest = match kind {
        Kind::Dns => dns::of_text(text),
        // The tools of these kinds send no text; there is nothing in it to sum up.
        Kind::Ping | Kind::Traceroute => Digest::default(),
    };
    let document = bounds::json_text(&text, MAX_DOCUMENT);
    readout(kind, document, digest, undecoded)
}

/// The text of the first gzip member, and how much of it cannot be shown. Further members are not read: the probes
/// send one, and each might be a bomb of its own.
fn gunzip(raw: &[u8]) -> Result<(String, u32), String> {
    let mut decoder = GzDecoder::new(raw);
    let mut bytes = Vec::new();
    // Beyond the limit by one: then the text is too long, else its end and its checksum were seen.
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
    (&mut decoder)
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| format!("not readable as gzip: {error}"))?;
    if bytes.len() > MAX_TEXT {
        return Err(format!("longer than {MAX_TEXT} bytes when decompressed"));
    }
    let further = u32::from(!decoder.into_inner().is_empty());
    Ok(match String::from_utf8(bytes) {
        Ok(text) => (text, further),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, further.saturating_add(1))
        }
    })
}

/// A JSON document. Written anew from what is understood of it, it stands on one line and has no key twice.
fn parse_json(raw: &[u8]) -> Result<Value, String> {
    bounds::check_json(raw, MAX_NESTING, MAX_VALUES)?;
    serde_json::from_slice(raw).map_err(|error| format!("not readable as JSON: {error}"))
}

/// What there is to sum up of one kind.
#[derive(Debug, Default)]
struct Digest {
    /// What the summary says beside the kind.
    fields: Map<String, Value>,
    /// Records of the kind that were understood.
    found: usize,
    /// Whether one of them is of something that was measured.
    measured: bool,
    /// Why the probe measured nothing, where it says so.
    failed: Option<String>,
}

impl Digest {
    fn of(kind: Kind, document: &Value) -> Self {
        let digest = match kind {
            Kind::Ping => Self::of_targets(document, "ping", ping::summarize),
            Kind::Traceroute => Self::of_targets(document, "trace", traceroute::summarize),
            Kind::Dns => dns::of_document(document),
        };
        let reason = |record: &Value| {
            let said = record.get("error").or_else(|| record.get("reason"));
            let said = said.and_then(Value::as_str).unwrap_or("no reason given");
            bounds::cut(said, MAX_REASON).to_owned()
        };
        Self {
            failed: records(document, "failed").next().map(reason),
            ..digest
        }
    }

    /// One entry per record; `summarize` says what it is, and whether something was measured.
    fn of_targets(
        document: &Value,
        record_type: &'static str,
        summarize: fn(&Value) -> Option<(Value, bool)>,
    ) -> Self {
        let mut digest = Self::default();
        let mut targets = bounds::Listing::new(MAX_TARGETS, MAX_SUMMARY);
        for (target, measured) in records(document, record_type).filter_map(summarize) {
            digest.found = digest.found.saturating_add(1);
            digest.measured |= measured;
            targets.push(target);
        }
        targets.put("targets", &mut digest.fields);
        digest
    }
}

/// Objects of a type: those in a list, or the document itself.
fn records<'a>(document: &'a Value, record_type: &'static str) -> impl Iterator<Item = &'a Value> {
    let all = match document {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    all.iter()
        .filter(move |record| record.get("type").and_then(Value::as_str) == Some(record_type))
}

/// `document` is `None` where it would be too long.
fn readout(kind: Kind, document: Option<String>, digest: Digest, undecoded: u32) -> Readout {
    let summary = match &digest.failed {
        Some(reason) if digest.found == 0 => json!({"kind": kind, "failed": reason}),
        _ if digest.found == 0 && undecoded > 0 => json!({"kind": kind, "undecoded": true}),
        _ => {
            let mut summary = Map::new();
            summary.insert("kind".to_owned(), kind.as_str().into());
            summary.extend(digest.fields);
            summary.into()
        }
    };
    let (document, undecoded) = match document {
        Some(document) => (document, undecoded),
        None => {
            let reason = format!("the document would be longer than {MAX_DOCUMENT} bytes");
            (marker(&reason), undecoded.max(1))
        }
    };
    Readout {
        document,
        summary: summary.to_string(),
        undecoded,
        measured: digest.measured,
    }
}

/// What stands for content that cannot be read.
pub(crate) fn unreadable(kind: Kind, reason: &str) -> Readout {
    Readout {
        document: marker(reason),
        summary: json!({"kind": kind, "undecoded": true}).to_string(),
        undecoded: 1,
        measured: false,
    }
}

/// Stands where a document would.
fn marker(reason: &str) -> String {
    json!({"type": "undecoded", "reason": reason}).to_string()
}

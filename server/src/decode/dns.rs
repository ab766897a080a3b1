//! The summary of dns: of the text that dig prints, and of the document `{"type":"dns","queries":[…]}` that a probe
//! without dig makes. Both say the same in the same words.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::{
    Digest, MAX_REASON, MAX_SUMMARY, MAX_TARGETS,
    bounds::{Listing, cut},
    dig, records,
};

/// Most answers to one question that a summary repeats. Only a zone transfer has more, and its text has them all.
const MAX_ANSWERS: usize = 1_000;

/// Longest list of answers to one question, bytes of JSON text, so that one question leaves room for others.
const MAX_ANSWERS_BYTES: usize = MAX_SUMMARY / 2;

/// Longest name as text, bytes: 255 octets, each of them four characters where it must be escaped.
const MAX_NAME: usize = 1_020;

/// Longest data of one record, bytes: what a signature or a key takes. Long texts are in the document.
const MAX_DATA: usize = 1_024;

/// Longest status, type, class or server, bytes.
const MAX_WORD: usize = 64;

/// What a tool says where no question left the machine: then nothing was measured. All in lower case.
const NOT_SENT: &[&str] = &[
    "network unreachable",
    "network is unreachable",
    "address not available",
    "cannot assign requested address",
    "permission denied",
    "address family not supported",
];

/// One question and what came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Query<'a> {
    /// Name asked for.
    pub(super) name: Option<String>,
    /// Record type asked for.
    pub(super) record_type: Option<String>,
    /// The word for the response code; `None` where no response came.
    pub(super) status: Option<&'a str>,
    /// Answers, as many as are kept.
    pub(super) answers: Vec<Answer<'a>>,
    /// Answers that were not kept.
    pub(super) omitted: u64,
    /// How long the answer took.
    pub(super) time_ms: Option<u64>,
    /// Who was asked: address, `#`, port.
    pub(super) server: Option<String>,
    /// Why no response came.
    pub(super) error: Option<&'a str>,
}

/// One record of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// Owner.
    pub(super) name: &'a str,
    /// Seconds it may be kept.
    pub(super) ttl: Option<u32>,
    /// Class, such as `IN`.
    pub(super) class: &'a str,
    /// Type, such as `MX`.
    pub(super) record_type: &'a str,
    /// What it says, as a zone file has it.
    pub(super) data: &'a str,
}

/// The digest of dig's text.
pub(super) fn of_text(text: &str) -> Digest {
    let parsed = dig::parse(text, MAX_TARGETS, MAX_ANSWERS);
    digest(parsed.queries.iter(), parsed.omitted)
}

/// The digest of a document.
pub(super) fn of_document(document: &Value) -> Digest {
    let queries = records(document, "dns")
        .filter_map(|record| record.get("queries")?.as_array())
        .flatten();
    let mut omitted = 0_u64;
    let mut kept = Vec::new();
    for query in queries.filter(|query| query.is_object()) {
        if kept.len() < MAX_TARGETS {
            kept.push(of_object(query));
        } else {
            omitted = omitted.saturating_add(1);
        }
    }
    digest(kept.iter(), omitted)
}

fn digest<'a>(queries: impl Iterator<Item = &'a Query<'a>>, omitted: u64) -> Digest {
    let mut digest = Digest::default();
    let mut listing = Listing::new(MAX_TARGETS, MAX_SUMMARY);
    for query in queries {
        digest.found = digest.found.saturating_add(1);
        digest.measured |= query.was_sent();
        listing.push(query.to_value());
    }
    listing.omit(omitted);
    listing.put("queries", &mut digest.fields);
    digest
}

impl Query<'_> {
    /// Whether the question left the machine. No answer to it is a measurement too.
    fn was_sent(&self) -> bool {
        let on_the_way = |error: &str| {
            let error = error.to_ascii_lowercase();
            !NOT_SENT.iter().any(|phrase| error.contains(phrase))
        };
        self.status.is_some() || !self.answers.is_empty() || self.error.is_some_and(on_the_way)
    }

    fn to_value(&self) -> Value {
        let mut question = Map::new();
        let record_type = self.record_type.as_deref();
        question.insert("name".to_owned(), self.name.as_deref().map(name).into());
        let upper = record_type.map(|it| cut(it, MAX_WORD).to_ascii_uppercase());
        question.insert("type".to_owned(), upper.into());
        let mut object = Map::new();
        object.insert("question".to_owned(), question.into());
        let word = |text: Option<&str>| Value::from(text.map(|text| cut(text, MAX_WORD)));
        object.insert("status".to_owned(), word(self.status));
        let mut answers = Listing::new(MAX_ANSWERS, MAX_ANSWERS_BYTES);
        answers.omit(self.omitted);
        self.answers
            .iter()
            .for_each(|answer| answers.push(answer.to_value()));
        answers.put("answers", &mut object);
        object.insert("time_ms".to_owned(), self.time_ms.into());
        object.insert("server".to_owned(), word(self.server.as_deref()));
        if let Some(error) = self.error {
            object.insert("error".to_owned(), cut(error, MAX_REASON).into());
        }
        object.into()
    }
}

impl Answer<'_> {
    fn to_value(self) -> Value {
        let mut object = Map::new();
        object.insert("name".to_owned(), name(self.name).into());
        object.insert("ttl".to_owned(), self.ttl.into());
        object.insert("class".to_owned(), cut(self.class, MAX_WORD).into());
        object.insert("type".to_owned(), cut(self.record_type, MAX_WORD).into());
        object.insert("data".to_owned(), cut(self.data, MAX_DATA).into());
        object.into()
    }
}

/// A name as users write it: without the dot of the root, which tools add.
fn name(text: &str) -> &str {
    let bare = text
        .strip_suffix('.')
        .filter(|bare| !bare.is_empty() && !bare.ends_with('\\'));
    cut(bare.unwrap_or(text), MAX_NAME)
}

/// Reads one entry of a probe's own document.
fn of_object(object: &Value) -> Query<'_> {
    let text = |key| object.get(key).and_then(Value::as_str);
    let question = |key| {
        object
            .get("question")?
            .get(key)?
            .as_str()
            .map(str::to_owned)
    };
    let answers = object.get("answers").and_then(Value::as_array);
    let count = answers.map_or(0, Vec::len);
    // These two words are the library's way to say that there was no response.
    let (status, error) = match text("status") {
        Some("TIMEOUT") => (None, text("error").or(Some("timed out"))),
        Some("ERROR") => (None, text("error").or(Some("no reason given"))),
        status => (status, text("error")),
    };
    Query {
        name: question("name"),
        record_type: question("type"),
        status,
        answers: answers
            .into_iter()
            .flatten()
            .take(MAX_ANSWERS)
            .filter_map(answer)
            .collect(),
        omitted: u64::try_from(count.saturating_sub(MAX_ANSWERS)).unwrap_or(u64::MAX),
        time_ms: object.get("time_ms").and_then(Value::as_u64),
        server: text("server").map(server),
        error,
    }
}

fn answer(object: &Value) -> Option<Answer<'_>> {
    let text = |key| object.get(key).and_then(Value::as_str);
    Some(Answer {
        name: text("name")?,
        ttl: object
            .get("ttl")
            .and_then(Value::as_u64)
            .and_then(|ttl| u32::try_from(ttl).ok()),
        class: text("class").unwrap_or("IN"),
        record_type: text("type")?,
        data: text("data")?,
    })
}

/// A server as dig writes it.
fn server(text: &str) -> String {
    match text.parse::<SocketAddr>() {
        Ok(address) => format!("{}#{}", address.ip(), address.port()),
        Err(_) => cut(text, MAX_WORD).to_owned(),
    }
}

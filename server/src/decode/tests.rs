//! Tests of decoding as a whole: formats, limits and damage. The samples were made by scamper 20211212 and dig 9.18
//! on a loopback interface; documentation addresses were put in afterwards.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};
use proptest::prelude::*;

use super::*;

mod fuzz;
mod summaries;

const PING: &[u8] = include_bytes!("samples/ping.warts");
const PING_SILENT: &[u8] = include_bytes!("samples/ping-silent.warts");
const TRACE: &[u8] = include_bytes!("samples/trace.warts");
const TRACE_SILENT: &[u8] = include_bytes!("samples/trace-silent.warts");
const DIG: &str = include_str!("samples/dig-several.txt");

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn warts(kind: Kind, wanted: ResultFormat, raw: &[u8]) -> Readout {
    read(kind, wanted, ContentFormat::Warts, raw)
}

fn of_json(kind: Kind, document: &Value) -> Readout {
    let raw = document.to_string();
    read(
        kind,
        ResultFormat::Json,
        ContentFormat::Json,
        raw.as_bytes(),
    )
}

fn of_gzip(kind: Kind, raw: &[u8]) -> Readout {
    read(kind, ResultFormat::Json, ContentFormat::Gzip, raw)
}

#[track_caller]
fn assert_unreadable(readout: &Readout, reason: &str) {
    let document = parsed(&readout.document);
    assert_eq!(document["type"], "undecoded");
    let said = document["reason"].as_str().unwrap();
    assert!(said.contains(reason), "{said}");
    assert_eq!(parsed(&readout.summary)["undecoded"], true);
    assert_eq!((readout.undecoded, readout.measured), (1, false));
}

#[test]
fn warts_become_the_records_and_a_dump_of_traces() {
    let ping = warts(Kind::Ping, ResultFormat::Json, PING);
    let records = parsed(&ping.document);
    let types: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["type"])
        .collect();
    assert_eq!(types, ["cycle-start", "ping", "cycle-stop"]);
    assert_eq!((ping.undecoded, ping.measured), (0, true));

    // The tool dumps a ping as nothing, so the records stay.
    assert_eq!(warts(Kind::Ping, ResultFormat::Dump, PING), ping);

    let trace = warts(Kind::Traceroute, ResultFormat::Json, TRACE);
    let dump = warts(Kind::Traceroute, ResultFormat::Dump, TRACE);
    let text = parsed(&dump.document);
    let lines = text
        .as_str()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'));
    let lines: Vec<_> = lines.collect();
    let line = "T\t192.0.2.1\t192.0.2.1\t0\t0\t1795228638\tR\t0.018\t1\t64\tS\t0\tC";
    assert_eq!(lines, [line]);
    assert_eq!(dump.summary, trace.summary);
    assert!(dump.measured);
}

#[test]
fn only_records_of_the_kind_asked_for_count() {
    for (kind, raw) in [
        (Kind::Traceroute, PING),
        (Kind::Ping, TRACE),
        (Kind::Dns, PING),
    ] {
        let readout = warts(kind, ResultFormat::Json, raw);
        assert!(!readout.measured);
        assert_eq!(parsed(&readout.document).as_array().unwrap().len(), 3);
    }
    let other = warts(Kind::Ping, ResultFormat::Json, TRACE);
    assert_eq!(other.summary, r#"{"kind":"ping","targets":[]}"#);
    assert!(!of_gzip(Kind::Ping, &gzip(DIG.as_bytes())).measured);
    assert!(!warts(Kind::Ping, ResultFormat::Json, b"").measured);
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let mut raw = PING.to_vec();
    raw.extend(b"no warts at all");
    let readout = warts(Kind::Ping, ResultFormat::Json, &raw);
    assert!(readout.measured);
    assert_eq!(readout.undecoded, 1);
    assert_eq!(parsed(&readout.summary)["targets"][0]["received"], 3);
    let lost = warts(Kind::Ping, ResultFormat::Json, b"no warts at all");
    assert_eq!(lost.summary, r#"{"kind":"ping","undecoded":true}"#);
    assert_eq!((lost.undecoded, lost.measured), (1, false));
}

#[test]
fn gzip_becomes_its_text() {
    let readout = of_gzip(Kind::Dns, &gzip(DIG.as_bytes()));
    assert_eq!(parsed(&readout.document), DIG);
    assert_eq!((readout.undecoded, readout.measured), (0, true));
    assert_eq!(of_gzip(Kind::Dns, &gzip(b"")).document, "\"\"");
}

#[test]
fn text_that_is_not_utf8_is_shown_and_counted() {
    let readout = of_gzip(Kind::Dns, &gzip(b"caf\xe9"));
    assert_eq!(parsed(&readout.document), "caf\u{fffd}");
    assert_eq!((readout.undecoded, readout.measured), (1, false));
    assert_eq!(readout.summary, r#"{"kind":"dns","undecoded":true}"#);
}

#[test]
fn only_the_first_gzip_member_is_read() {
    let two = [gzip(DIG.as_bytes()), gzip(b"more")].concat();
    let readout = of_gzip(Kind::Dns, &two);
    assert_eq!(parsed(&readout.document), DIG);
    assert_eq!((readout.undecoded, readout.measured), (1, true));
}

#[test]
fn damaged_gzip_is_unreadable() {
    let whole = gzip(DIG.as_bytes());
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    for raw in [
        &whole[..whole.len() - 9],
        &whole[..whole.len() - 1],
        &wrong_sum,
        b"text",
        b"",
    ] {
        assert_unreadable(&of_gzip(Kind::Dns, raw), "not readable as gzip");
    }
}

/// One gzip member of a GiB of zeros, made of one compressed MiB again and again.
fn bomb() -> Vec<u8> {
    let mut one = Vec::with_capacity(64 * 1024);
    let mut compress = Compress::new(Compression::default(), false);
    let zeros = vec![0; 1024 * 1024];
    compress
        .compress_vec(&zeros, &mut one, FlushCompress::Full)
        .unwrap();
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    (0..1024).for_each(|_| bomb.extend(&one));
    bomb
}

#[test]
fn a_gzip_bomb_costs_only_the_limit() {
    let bomb = bomb();
    let began = Instant::now();
    assert_unreadable(&of_gzip(Kind::Dns, &bomb), "longer than 16777216 bytes");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_text_at_the_limit_is_read_and_its_document_is_not_made() {
    let mut text = DIG.as_bytes().to_vec();
    text.resize(MAX_TEXT, b'x');
    let readout = of_gzip(Kind::Dns, &gzip(&text));
    assert_eq!(parsed(&readout.document)["type"], "undecoded");
    assert!(readout.undecoded >= 1 && readout.measured);
    assert_eq!(parsed(&readout.summary)["queries"][0]["status"], "NOERROR");
    text.push(b'x');
    assert_unreadable(&of_gzip(Kind::Dns, &gzip(&text)), "longer than");
}

#[test]
fn json_is_kept_on_one_line() {
    let raw = b" {\"type\" : \"other\",\n\"a\":[1, 2.5,\"\\n\"] }\n";
    let readout = read(Kind::Ping, ResultFormat::Json, ContentFormat::Json, raw);
    assert_eq!(readout.document, r#"{"type":"other","a":[1,2.5,"\n"]}"#);
    assert_eq!((readout.undecoded, readout.measured), (0, false));
}

#[test]
fn json_has_limits() {
    let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    let read = |raw: &[u8]| read(Kind::Dns, ResultFormat::Json, ContentFormat::Json, raw);
    assert_eq!(read(&nested(MAX_NESTING)).undecoded, 0);
    assert_unreadable(
        &read(&nested(MAX_NESTING + 1)),
        "nested deeper than 32 levels",
    );
    assert_unreadable(
        &read(&b"[".repeat(1_000_000)),
        "nested deeper than 32 levels",
    );
    let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
    assert_unreadable(&read(many.as_bytes()), "more than 500000 values");
    // Brackets and commas in a text are none.
    let text = format!("[\"\\\"{}\"]", "[,".repeat(MAX_VALUES));
    assert_eq!(read(text.as_bytes()).undecoded, 0);
    for raw in [
        &b""[..],
        b"{",
        b"nul",
        b"1e999",
        b"\"\xff\"",
        b"[1] x",
        b"NaN",
    ] {
        assert_unreadable(&read(raw), "not readable as JSON");
    }
}

#[test]
fn a_failed_run_measured_nothing_and_says_why() {
    let failed =
        json!({"type": "failed", "kind": "ping", "error": "no scamper", "targets": ["a.example"]});
    for kind in Kind::ALL {
        let readout = of_json(*kind, &failed);
        assert_eq!(parsed(&readout.document), failed);
        assert_eq!(
            readout.summary,
            json!({"kind": kind, "failed": "no scamper"}).to_string()
        );
        assert_eq!((readout.undecoded, readout.measured), (0, false));
    }
    let long = json!({"type": "failed", "error": "é".repeat(10_000)});
    let summary = parsed(&of_json(Kind::Dns, &long).summary);
    assert_eq!(summary["failed"], "é".repeat(MAX_REASON / 2));
}

/// A summary is small, finite and names its kind, whatever the content.
fn check(kind: Kind, readout: &Readout) {
    assert!(readout.document.len() <= MAX_DOCUMENT);
    assert!(readout.summary.len() <= MAX_SUMMARY + 1024);
    assert!(!readout.document.contains('\n') && !readout.summary.contains('\n'));
    let _: Value = parsed(&readout.document);
    assert_eq!(parsed(&readout.summary)["kind"], kind.as_str());
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

fn formats() -> impl Strategy<Value = (ResultFormat, ContentFormat)> {
    let wanted = prop::sample::select(&[ResultFormat::Json, ResultFormat::Dump][..]);
    let formats = [
        ContentFormat::Warts,
        ContentFormat::Gzip,
        ContentFormat::Json,
    ];
    (wanted, prop::sample::select(formats.to_vec()))
}

/// A sample, cut somewhere and with some bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let json = warts(Kind::Ping, ResultFormat::Json, PING).document;
    let trace = warts(Kind::Traceroute, ResultFormat::Json, TRACE).document;
    let samples = vec![
        PING.to_vec(),
        TRACE.to_vec(),
        PING_SILENT.to_vec(),
        TRACE_SILENT.to_vec(),
        gzip(DIG.as_bytes()),
        json.into_bytes(),
        trace.into_bytes(),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (
        prop::sample::select(samples),
        any::<prop::sample::Index>(),
        any::<bool>(),
        changes,
    )
        .prop_map(|(mut bytes, end, shorten, changes)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if shorten {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

/// Any JSON, likely with the words that the readers look for.
fn documents() -> impl Strategy<Value = Value> {
    let words =
        "ping|trace|dns|failed|COMPLETED|192.0.2.1|2001:db8::1|NOERROR|TIMEOUT|udp|\\PC{0,9}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u8..=9).prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    let keys = "type|dst|ping_sent|responses|statistics|replies|min|avg|max|seq|rtt|from|icmp_type|hops|addr|\
        probe_ttl|firsthop|stop_reason|queries|question|name|status|answers|data|ttl|time_ms|server|error";
    leaf.prop_recursive(5, 120, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(keys, inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn anything_can_be_read(
        kind in kinds(), (wanted, format) in formats(), raw in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        check(kind, &read(kind, wanted, format, &raw));
    }

    #[test]
    fn damage_can_be_read(kind in kinds(), (wanted, format) in formats(), raw in damaged()) {
        check(kind, &read(kind, wanted, format, &raw));
    }

    #[test]
    fn any_document_can_be_read(
        kind in kinds(), mut record in documents(), list in any::<bool>(), likely in any::<bool>(),
    ) {
        if let (true, Value::Object(fields)) = (likely, &mut record) {
            for (key, value) in [("type", "ping"), ("dst", "192.0.2.1")] {
                fields.insert(key.to_owned(), value.into());
            }
            fields.insert("ping_sent".to_owned(), 4.into());
            match kind {
                Kind::Ping => {}
                Kind::Traceroute => _ = fields.insert("type".to_owned(), "trace".into()),
                Kind::Dns => {
                    fields.insert("type".to_owned(), "dns".into());
                    let queries = json!([fields.clone()]);
                    fields.insert("queries".to_owned(), queries);
                }
            }
        }
        let document = if list { json!([record]) } else { record };
        check(kind, &of_json(kind, &document));
    }

    #[test]
    fn a_text_is_cut_between_characters(text in "\\PC{0,40}", most in 0_usize..50) {
        let front = bounds::cut(&text, most);
        prop_assert!(text.starts_with(front) && front.len() <= most.min(text.len()));
        prop_assert!(front.len() + 4 > most.min(text.len()));
    }
}

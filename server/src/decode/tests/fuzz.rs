//! Contents of results: compressed texts, texts of dig, and documents.

use ::fuzz::Target;

use super::*;

/// Heap for each byte that a content becomes: text, document (six bytes for one, as in `\u0000`) in a buffer that grows,
/// and what the checks read of it again.
const HEAP_A_BYTE: usize = 48;
/// Bytes that a byte of gzip becomes at most (RFC 1951: 258 bytes for two bits).
const DEFLATED: usize = 1032;
/// Longest input of gzip, bytes: it may become a thousand times as long.
const LONGEST_GZIP: usize = 4096;
/// Longest that so long a text may take.
const LONGEST_TO_READ: Duration = Duration::from_secs(3);

const DIG_WORDS: &[&str] = &[
    "; <<>> DiG 9.18.1 <<>> -q a.example -t mx\n",
    ";; global options: +cmd\n",
    ";; Got answer:\n",
    ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1\n",
    ";; QUESTION SECTION:\n;a.example.\t\tIN\tMX\n",
    ";; ANSWER SECTION:\n",
    "a.example.\t300\tIN\tA\t192.0.2.1\n",
    ";; Query time: 4 msec\n",
    ";; SERVER: 192.0.2.53#53(192.0.2.53)\n",
    ";; connection timed out; no servers could be reached\n",
    "; Transfer failed.\n",
    "\n",
    "\t",
    "\"",
];

const JSON_WORDS: &[&str] = &[
    "\"type\":\"ping\"",
    "\"type\":\"trace\"",
    "\"type\":\"dns\"",
    "\"type\":\"failed\"",
    "\"ping_sent\":",
    "\"responses\":[",
    "\"statistics\":{",
    "\"hops\":[",
    "\"probe_ttl\":",
    "\"rtt\":",
    "\"dst\":\"192.0.2.1\"",
    "\"addr\":\"2001:db8::1\"",
    "\"icmp_type\":",
    "\"stop_reason\":\"COMPLETED\"",
    "\"queries\":[",
    "\"answers\":[",
    "\"error\":",
];

/// What a document looks like: names and sorts of values; of a list how long it is, its first and its last.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "0".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(number) if number.is_f64() => "f".to_owned(),
        Value::Number(number) => if number.is_u64() { "u" } else { "i" }.to_owned(),
        Value::String(text) => if text.is_empty() { "e" } else { "s" }.to_owned(),
        Value::Array(items) => {
            let ends = [items.first(), items.last()];
            let ends = ends.map(|item| item.map(shape).unwrap_or_default());
            format!("{}{ends:?}", items.len().min(3))
        }
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(name, value)| format!("{name} {}", shape(value)));
            fields.collect::<Vec<_>>().join(",")
        }
    }
}

/// What came of it. A summary has names of a known set only.
fn sort(readout: &Readout) -> (bool, u32, String) {
    let marker = readout
        .document
        .starts_with(r#"{"type":"undecoded","reason""#);
    let undecoded = u32::from(marker) + readout.undecoded.min(2);
    let summary = shape(&parsed(&readout.summary));
    (readout.measured, undecoded, summary)
}

#[test]
fn compressed() {
    let target = Target::new("gzip")
        .longest(LONGEST_GZIP)
        .heap(256 * 1024, DEFLATED * HEAP_A_BYTE)
        .time(LONGEST_TO_READ);
    target.run(|input| {
        let readout = of_gzip(Kind::Dns, input);
        check(Kind::Dns, &readout);
        if readout.undecoded == 0 {
            let document = parsed(&readout.document);
            let again = of_gzip(Kind::Dns, &gzip(document.as_str().unwrap().as_bytes()));
            assert_eq!(again, readout);
        }
        let reason = parsed(&readout.document)["reason"]
            .as_str()
            .map(str::to_owned);
        (reason, sort(&readout))
    });
}

#[test]
fn texts_of_dig() {
    let target = Target::new("dig").words(DIG_WORDS).heap(512 * 1024, 512);
    target.run(|input| {
        let readout = of_gzip(Kind::Dns, &gzip(input));
        check(Kind::Dns, &readout);
        assert_eq!(readout.undecoded, u32::from(str::from_utf8(input).is_err()));
        if let Ok(text) = str::from_utf8(input) {
            assert_eq!(parsed(&readout.document), text);
        }
        sort(&readout)
    });
}

#[test]
fn documents_of_json() {
    let target = Target::new("documents")
        .words(JSON_WORDS)
        .heap(128 * 1024, 1024);
    target.run(|input| {
        let outcome = |kind: &Kind| {
            let read = |raw: &[u8]| read(*kind, ResultFormat::Json, ContentFormat::Json, raw);
            let readout = read(input);
            check(*kind, &readout);
            if readout.undecoded == 0 {
                // Written anew it is the same, and kept as it is.
                assert_eq!(read(readout.document.as_bytes()), readout);
            }
            sort(&readout)
        };
        Kind::ALL.iter().map(outcome).collect::<Vec<_>>()
    });
}

//! Results as they lay inside an old operation.

use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId, raw::RawArrayBuf};
use serde_json::{Value, json};

use super::*;
use crate::transfer::import::notes::tests::Lines;

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn taken(kind: Kind, list: impl Into<Bson>) -> (Results, Vec<String>) {
    let document = doc! { "results": list.into() };
    let raw = RawDocumentBuf::from_bytes(bson::serialize_to_vec(&document).unwrap()).unwrap();
    take_raw(kind, raw.get("results").unwrap())
}

fn take_raw(kind: Kind, list: Option<RawBsonRef<'_>>) -> (Results, Vec<String>) {
    let owner = Owner {
        id: id(1).into(),
        kind,
        created_at: DateTime::from_timestamp(0x6000_0000, 0).unwrap(),
        now: DateTime::from_timestamp(0x6001_0000, 0).unwrap(),
    };
    let mut lines = Lines::default();
    let probes = HashSet::from([id(2).into(), id(3).into()]);
    let results = take(list, owner, &probes, &mut Notes::to(&mut lines));
    (results, lines.0)
}

fn result(probe: u8, code: &str, results: impl Into<Bson>) -> Bson {
    doc! { "probe": id(probe), "unique_code": code, "results": results.into() }.into()
}

fn ping() -> Bson {
    let start = doc! { "sec": 0x6000_0010, "usec": 500_000 };
    let answer = doc! { "seq": 0, "rtt": 1.5, "from": "192.0.2.1" };
    let record = doc! {
        "type": "ping", "dst": "192.0.2.1", "ping_sent": 2, "start": start, "responses": [answer],
    };
    vec![record].into()
}

#[test]
fn documents_and_summaries_are_those_of_results_that_come_today() {
    let (results, notes) = taken(
        Kind::Ping,
        vec![result(2, "a", ping()), result(3, "b", Bson::Array(vec![]))],
    );
    assert_eq!(notes, Vec::<String>::new());
    let [first, second] = results.rows.as_slice() else {
        panic!("{:?}", results.rows)
    };
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(first.probe.object_id(), id(2));
    assert!(!first.rewarded && first.result.raw.is_empty() && first.result.measured);
    assert_eq!(
        first.result.started_at.timestamp_millis(),
        0x6000_0010 * 1000 + 500
    );
    let today = decode::read(
        Kind::Ping,
        probe_protocol::ResultFormat::Json,
        ContentFormat::Json,
        first.result.document.as_bytes(),
    );
    assert_eq!(first.result.summary, today.summary);
    assert_eq!(first.result.document, today.document);
    let summary: Value = serde_json::from_str(&first.result.summary).unwrap();
    assert_eq!(summary["targets"][0]["sent"], 2);
    assert_eq!(
        (second.result.document.as_str(), second.result.measured),
        ("[]", false)
    );
    assert_eq!(second.received_at.timestamp(), 0x6000_0000);
    assert_eq!(results.of_probe[&id(2).into()], 1);
}

#[test]
fn texts_are_read_as_those_of_dig() {
    let text = "; <<>> DiG 9.11.5 <<>> -q example.org\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n\
        ;; QUESTION SECTION:\n;example.org.\t\tIN\tA\n\n;; ANSWER SECTION:\nexample.org.\t5\tIN\tA\t192.0.2.1\n\n\
        ;; Query time: 3 msec\n;; WHEN: Thu Jan 14 08:30:00 UTC 2021\n";
    let (results, _) = taken(Kind::Dns, vec![result(2, "a", text)]);
    let row = &results.rows[0].result;
    assert_eq!(
        serde_json::from_str::<Value>(&row.document).unwrap(),
        json!(text)
    );
    let summary: Value = serde_json::from_str(&row.summary).unwrap();
    assert_eq!(summary["queries"][0]["answers"][0]["data"], "192.0.2.1");
    assert!(row.measured);
    assert_eq!(row.started_at.to_rfc3339(), "2021-01-14T08:30:00+00:00");
}

#[test]
fn what_cannot_be_taken_is_told() {
    let (results, notes) = taken(
        Kind::Ping,
        vec![
            result(2, "a", ping()),
            result(2, "a", ping()),
            result(4, "foreign", ping()),
            result(2, "no code!", ping()),
            doc! { "probe": id(2), "results": [] }.into(),
            doc! { "unique_code": "x", "results": [] }.into(),
            doc! { "probe": id(2), "unique_code": "y" }.into(),
            result(2, "z", 5),
            Bson::Int32(5),
            result(3, "a", ping()),
        ],
    );
    let codes: Vec<&str> = results
        .rows
        .iter()
        .map(|row| row.result.code.as_str())
        .collect();
    assert_eq!(codes, ["a", "a"]);
    assert_eq!(results.rows[1].seq, 2);
    let count = results.count;
    assert_eq!(
        (count.found, count.taken, count.there, count.left),
        (10, 2, 0, 8)
    );
    assert_eq!(notes.len(), 8);
    for (note, why) in
        notes
            .iter()
            .zip(["twice", "does not belong", "none of this system", "no code"])
    {
        assert!(note.contains(why) && note.contains("not taken"), "{note}");
    }
    for nothing in [Bson::Null, Bson::Int32(5), Bson::String("x".into())] {
        assert_eq!(taken(Kind::Ping, nothing).0.count, Count::default());
    }
}

#[test]
fn what_is_too_much_leaves_its_place() {
    let mut deep = RawArrayBuf::new();
    for _ in 0..5_000 {
        let mut outer = RawArrayBuf::new();
        outer.push(deep);
        deep = outer;
    }
    let mut item = RawDocumentBuf::new();
    item.append(bson::cstr!("probe"), id(2));
    item.append(bson::cstr!("unique_code"), "deep");
    item.append(bson::cstr!("results"), deep);
    let mut list = RawArrayBuf::new();
    list.push(item);
    let long = "\u{1}".repeat(3 * 1024 * 1024);
    let mut item = RawDocumentBuf::new();
    item.append(bson::cstr!("probe"), id(2));
    item.append(bson::cstr!("unique_code"), "long");
    item.append(bson::cstr!("results"), long.as_str());
    list.push(item);
    let (results, notes) = take_raw(Kind::Dns, Some(RawBsonRef::Array(&list)));
    assert_eq!((results.count.taken, notes.len()), (2, 2));
    assert!(
        notes[0].contains("nests deeper") && notes[1].contains("too long"),
        "{notes:?}"
    );
    for row in &results.rows {
        let document: Value = serde_json::from_str(&row.result.document).unwrap();
        assert_eq!(document["type"], "undecoded");
        assert!(row.result.undecoded > 0 && !row.result.measured);
    }
}

#[test]
fn a_list_that_is_damaged_is_taken_up_to_there() {
    let document = doc! { "results": [result(2, "a", ping()), result(2, "b", ping()), result(2, "c", ping())] };
    let mut bytes = bson::serialize_to_vec(&document).unwrap();
    let second = bytes.windows(3).position(|it| it == b"\x031\0").unwrap();
    bytes[second] = 0x20;
    let raw = RawDocumentBuf::from_bytes(bytes).unwrap();
    let list = raw.get("results").unwrap();
    let (results, notes) = take_raw(Kind::Ping, list);
    assert_eq!(
        (results.count.taken, results.count.left, notes.len()),
        (1, 1, 1)
    );
    assert_eq!(count(list), 2);
}

//! Damaged input: a bad record costs only itself, and limits hold.

use serde_json::Value;

use super::build::{closing, hop, known, opening, params, ping, record, reply, trace, v4};
use super::{decoded, objects};
use crate::warts::{Fault, Limits, Record, Undecoded, decode};

fn raw(records: &[Record]) -> Vec<&Undecoded> {
    let raw = records.iter().filter_map(|record| match record {
        Record::Undecoded(raw) => Some(raw),
        _ => None,
    });
    raw.collect()
}

fn reasons(bytes: &[u8], limits: &Limits) -> Vec<Fault> {
    let decoded = decode(bytes, limits);
    raw(&decoded.records)
        .into_iter()
        .map(|raw| raw.reason.clone())
        .collect()
}

fn reason(bytes: &[u8]) -> Fault {
    reasons(bytes, &Limits::default()).remove(0)
}

fn types(bytes: &[u8]) -> Vec<Value> {
    objects(bytes)
        .iter()
        .map(|object| object["type"].clone())
        .collect()
}

#[test]
fn undecoded_keeps_place_type_and_bytes() {
    let bytes = [opening(), record(14, b"abc"), closing()].concat();
    let object = objects(&bytes).remove(1);
    let expected = serde_json::json!({"type": "undecoded", "warts_type": 14,
        "offset": opening().len(), "length": 11,
        "reason": "records of type 14 are not decoded", "base64": "EgUADgAAAANhYmM="});
    assert_eq!(object.to_string(), expected.to_string());
}

#[test]
fn a_bad_body_costs_only_itself() {
    let bytes = [opening(), record(7, b"\x7f\xff"), ping(1, &[]), closing()].concat();
    assert_eq!(
        types(&bytes),
        ["cycle-start", "undecoded", "ping", "cycle-stop"]
    );
}

#[test]
fn a_bad_magic_costs_one_record() {
    let mut bytes = [opening(), ping(1, &[]), ping(2, &[]), closing()].concat();
    bytes[opening().len()] = 0xff;
    assert_eq!(
        types(&bytes),
        ["cycle-start", "undecoded", "ping", "cycle-stop"]
    );
    let decoded = decoded(&bytes);
    assert_eq!(raw(&decoded.records)[0].bytes.len(), ping(1, &[]).len());
}

#[test]
fn a_bad_length_costs_one_record() {
    for length in [0, 5, 70, 1_000_000, u32::MAX] {
        let mut bytes = [opening(), ping(1, &[]), ping(2, &[]), closing()].concat();
        let at = opening().len() + 4;
        bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        let expected = ["cycle-start", "undecoded", "ping", "cycle-stop"];
        assert_eq!(types(&bytes), expected, "{length}");
    }
}

#[test]
fn a_truncated_end_is_kept() {
    let whole = [opening(), ping(1, &[reply(0, 1)])].concat();
    let cut = &whole[..whole.len() - 3];
    assert_eq!(types(cut), ["cycle-start", "undecoded"]);
    assert!(matches!(reason(cut), Fault::Truncated { .. }));
    let garbage = [&whole[..], b"\x12"].concat();
    assert_eq!(types(&garbage), ["cycle-start", "ping", "undecoded"]);
    assert_eq!(reason(&garbage), Fault::NoHeader);
}

#[test]
fn joined_files_start_their_ids_anew() {
    let file = [opening(), ping(1, &[]), closing()].concat();
    let types = types(&[file.clone(), file].concat());
    assert_eq!(types, ["cycle-start", "ping", "cycle-stop"].repeat(2));
}

#[test]
fn a_measurement_outlives_its_lost_list() {
    assert_eq!(types(&ping(1, &[])), ["ping"]);
    assert_eq!(reason(&closing()), Fault::UnknownCycle(1));
}

#[test]
fn references_and_addresses_are_checked() {
    let unknown = params(&[(12, &known(2))]);
    assert_eq!(reason(&ping(1, &[unknown])), Fault::UnknownAddress(2));
    let nobody = params(&[(7, &[0, 0])]);
    assert_eq!(
        reason(&ping(1, &[nobody])),
        Fault::MissingAddress("a reply")
    );
    let odd = params(&[(12, &[5, 1, 0, 0, 0, 0, 0])]);
    assert_eq!(
        reason(&ping(1, &[odd])),
        Fault::BadAddress { kind: 1, size: 5 }
    );
    let near = hop(0, [11, 0], &known(1));
    assert_eq!(reason(&trace(1, 1, &[near], &[])), Fault::MissingTtl);
}

#[test]
fn records_that_nothing_follows_are_not_tried_forever() {
    let followed_and_not = [ping(1, &[]), ping(2, &[]), vec![0; 3]].concat();
    let bytes = followed_and_not.repeat(40);
    let reasons = reasons(&bytes, &Limits::default());
    assert_eq!(decoded(&bytes).records.len() - reasons.len(), 40 + 16);
    assert!(reasons.contains(&Fault::Doubtful));
}

#[test]
fn an_endless_flag_chain_ends() {
    assert_eq!(reason(&record(7, &[0xff; 64])), Fault::LongFlags);
    assert_eq!(reason(&record(7, &[0xff; 4])), Fault::ShortBody);
}

#[test]
fn counts_without_content_allocate_nothing() {
    let body = [&params(&[(20, &v4(1)), (21, &v4(2))])[..], &[0xff, 0xff]].concat();
    assert_eq!(reason(&record(7, &body)), Fault::ShortBody);
}

#[test]
fn limits_keep_the_rest_raw() {
    let bytes = [opening(), ping(2, &[reply(0, 1), reply(1, 1)]), closing()].concat();
    let limit = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        reasons(&bytes, &limits)
    };
    let records = limit(|limits| limits.max_records = 2);
    assert_eq!(records, [Fault::TooManyRecords { limit: 2 }]);
    let items = limit(|limits| limits.max_items = 1);
    assert_eq!(items, [Fault::TooManyItems { limit: 1 }]);
    let addresses = limit(|limits| limits.max_addresses = 1);
    assert_eq!(addresses, [Fault::TooManyAddresses { limit: 1 }]);
    let names = limit(|limits| limits.max_name_bytes = 6);
    assert_eq!(names[0], Fault::LongName { limit: 6 });
}

#[test]
fn a_record_beyond_the_items_leaves_room_for_later_ones() {
    let large = ping(3, &[reply(0, 1), reply(1, 1), reply(2, 1)]);
    let bytes = [large, ping(1, &[reply(0, 1)])].concat();
    let limits = Limits {
        max_items: 2,
        ..Limits::default()
    };
    let decoded = decode(&bytes, &limits);
    assert_eq!(decoded.undecoded(), 1);
    assert!(matches!(decoded.records[1], Record::Ping(_)));
}

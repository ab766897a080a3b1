//! JSON of BSON, also of BSON that somebody made to do harm.

use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId, raw::RawArrayBuf, spec::BinarySubtype};
use serde_json::json;

use super::*;

fn raw_of(document: bson::Document) -> RawDocumentBuf {
    RawDocumentBuf::from_bytes(bson::serialize_to_vec(&document).unwrap()).unwrap()
}

fn json_of(document: &RawDocument) -> Result<Value, Unshowable> {
    json(RawBsonRef::Document(document))
}

#[test]
fn every_type_has_a_json_form() {
    let id = ObjectId::parse_str("0123456789abcdef01234567").unwrap();
    let document = raw_of(doc! {
        "a": 1, "b": 2_i64, "c": 1.5, "d": "ü", "e": true, "f": Bson::Null, "g": id,
        "h": bson::DateTime::from_millis(1_773_144_000_000), "i": [1, ["x"]], "j.k": { "$l": f64::NAN },
        "m": f64::INFINITY, "n": bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
        "o": bson::Timestamp { time: 5, increment: 6 }, "p": "1.5".parse::<bson::Decimal128>().unwrap(),
        "q": bson::Regex { pattern: bson::cstr!("^a").to_owned(), options: bson::cstr!("i").to_owned() },
        "r": Bson::MaxKey, "s": Bson::Undefined, "t": Bson::JavaScriptCode("f()".into()),
        "u": bson::JavaScriptCodeWithScope { code: "g()".into(), scope: doc! { "x": 1 } },
        "v": Bson::Symbol("w".into()), "x": -0.0, "": "",
    });
    let expected = json!({
        "a": 1, "b": 2, "c": 1.5, "d": "ü", "e": true, "f": null, "g": "0123456789abcdef01234567",
        "h": "2026-03-10T12:00:00Z", "i": [1, ["x"]], "j.k": { "$l": null }, "m": null, "n": "AQID", "o": 5, "p": "1.5",
        "q": "/^a/i", "r": null, "s": null, "t": "f()", "u": "g()", "v": "w", "x": -0.0, "": "",
    });
    assert_eq!(json_of(&document).unwrap(), expected);
}

/// Lists in lists, so many levels.
fn nested(levels: usize) -> RawArrayBuf {
    let mut list = RawArrayBuf::new();
    for _ in 1..levels {
        let mut outer = RawArrayBuf::new();
        outer.push(list);
        list = outer;
    }
    list
}

#[test]
fn what_is_too_deep_or_too_much_is_no_json() {
    let deepest = nested(MAX_NESTING);
    assert!(json(RawBsonRef::Array(&deepest)).is_ok());
    for levels in [MAX_NESTING + 1, 5_000] {
        let deeper = nested(levels);
        assert_eq!(json(RawBsonRef::Array(&deeper)), Err(Unshowable::Deep));
    }
    let mut many = RawArrayBuf::new();
    for _ in 0..MAX_VALUES {
        many.push(1);
    }
    assert_eq!(json(RawBsonRef::Array(&many)), Err(Unshowable::Many));
}

#[test]
fn damage_is_found_where_it_is_looked_for() {
    let bytes = bson::serialize_to_vec(&doc! { "a": { "b": "text" }, "c": 5 }).unwrap();
    let good = RawDocument::from_bytes(&bytes).unwrap();
    let members = Members::of(good).unwrap();
    assert!(members.get("a").is_some() && members.get("b").is_none());
    for (at, byte) in [(4, 0x7f), (7, 0xff), (11, 0x20), (15, 0xff), (18, 0xff)] {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        let document = RawDocument::from_bytes(&bytes).unwrap();
        assert_eq!(json_of(document), Err(Unshowable::Damaged), "byte {at}");
    }
}

#[test]
fn numbers_are_of_three_types() {
    let found = |value| number(value);
    assert_eq!(found(RawBsonRef::Int32(-5)), Some(-5.0));
    assert_eq!(found(RawBsonRef::Int64(5)), Some(5.0));
    assert_eq!(found(RawBsonRef::Double(0.5)), Some(0.5));
    assert_eq!(found(RawBsonRef::Boolean(true)), None);
    assert_eq!(found(RawBsonRef::String("5")), None);
}

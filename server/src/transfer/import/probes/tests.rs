//! Probes as the old system left them.

use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};

use super::*;
use crate::transfer::import::notes::tests::Lines;

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn converted(document: &Document) -> (Option<Probe>, Vec<String>) {
    let document = RawDocumentBuf::from_bytes(bson::serialize_to_vec(document).unwrap()).unwrap();
    let mut lines = Lines::default();
    let users = HashSet::from([id(1).into()]);
    let probe = convert(&document, &users, &mut Notes::to(&mut lines));
    (probe, lines.0)
}

fn at(coordinates: Bson) -> Document {
    doc! { "_id": id(9), "owner": id(1), "location": { "type": "Point", "coordinates": coordinates } }
}

#[test]
fn a_good_one_is_taken_as_it_is() {
    let (probe, notes) = converted(&at(Bson::Array(vec![
        Bson::Double(-58.37),
        Bson::Int32(-34),
    ])));
    let probe = probe.unwrap();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(
        (probe.id.object_id(), probe.owner.object_id()),
        (id(9), id(1))
    );
    let Location {
        longitude,
        latitude,
    } = probe.location;
    assert_eq!((longitude, latitude), (-58.37, -34.0));
    assert_eq!((probe.token_generation, probe.load), (1, 0));
    assert_eq!(probe.created_at.timestamp(), 0x6000_0000);
}

#[test]
fn what_is_no_place_is_put_somewhere_and_told() {
    let list = |items: [Bson; 2]| Bson::Array(items.to_vec());
    let (one, nan) = (Bson::Int64(1), Bson::Double(f64::NAN));
    for (coordinates, expected) in [
        (list([nan.clone(), one.clone()]), (0.0, 0.0)),
        (list([one.clone(), nan]), (0.0, 0.0)),
        (list([Bson::Int32(999), Bson::Int32(-999)]), (0.0, 0.0)),
        (list([Bson::Double(180.1), one.clone()]), (0.0, 0.0)),
        (list([one.clone(), Bson::Double(f64::INFINITY)]), (0.0, 0.0)),
        (list([Bson::String("1".into()), one.clone()]), (0.0, 0.0)),
        (Bson::Array(vec![one.clone()]), (0.0, 0.0)),
        (Bson::Null, (0.0, 0.0)),
        (
            list([Bson::Boolean(true), Bson::Boolean(false)]),
            (1.0, 0.0),
        ),
        (list([Bson::Boolean(false), one]), (0.0, 1.0)),
    ] {
        let (probe, notes) = converted(&at(coordinates.clone()));
        let location = probe.unwrap().location;
        assert_eq!(
            (location.longitude, location.latitude),
            expected,
            "{coordinates}"
        );
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains(&format!("/api/v1/probes/{}", id(9))),
            "{notes:?}"
        );
    }
    let (probe, notes) = converted(&doc! { "_id": id(9), "owner": id(1) });
    assert!(probe.is_some() && notes.len() == 1);
    let edge = Bson::Array(vec![Bson::Int32(-180), Bson::Int32(90)]);
    assert!(converted(&at(edge)).1.is_empty());
}

#[test]
fn what_belongs_to_nobody_is_not_taken() {
    for change in [
        doc! { "owner": id(2) },
        doc! { "owner": Bson::Null },
        doc! { "_id": "probe" },
    ] {
        let mut document = at(Bson::Null);
        document.extend(change);
        let (probe, notes) = converted(&document);
        assert!(probe.is_none() && notes.len() == 1, "{notes:?}");
    }
}

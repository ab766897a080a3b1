//! Users as the old system left them.

use bson::{Bson, Document, RawDocumentBuf, doc};

use super::*;
use crate::transfer::import::notes::tests::Lines;

/// passlib.hash.pbkdf2_sha256 of some password.
const HASH: &str =
    "$pbkdf2-sha256$29000$nhPi3Nu7d45xLuXc.x8DoA$aKrTabAbXT6BM.S1Ea3Vl0.30oLDLri37EwCjp5Du9I";

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn raw_of(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::from_bytes(bson::serialize_to_vec(document).unwrap()).unwrap()
}

/// Users that were taken, and what was noted.
fn converted(documents: &[Document]) -> (Vec<(User, String)>, Vec<String>) {
    let raw: Vec<RawDocumentBuf> = documents.iter().map(raw_of).collect();
    let mut addresses = Addresses::default();
    raw.iter().for_each(|document| addresses.see(document));
    let mut lines = Lines::default();
    let mut notes = Notes::to(&mut lines);
    let users = raw
        .iter()
        .filter_map(|document| convert(document, &addresses, &mut notes))
        .collect();
    (users, lines.0)
}

fn ana(changes: Document) -> Document {
    let mut user = doc! { "_id": id(1), "email": "ana@example.org", "password": HASH, "credits": 0, "is_superuser": false };
    user.extend(changes);
    user
}

#[test]
fn a_good_one_is_taken_as_it_is() {
    let (users, notes) = converted(&[ana(doc! { "credits": 7_i64, "is_superuser": true })]);
    assert_eq!(notes, Vec::<String>::new());
    let (user, hash) = &users[0];
    assert_eq!((user.email.as_str(), user.credits), ("ana@example.org", 7));
    assert!(user.is_superuser && hash == HASH);
    assert_eq!(user.id.object_id(), id(1));
    assert_eq!(user.created_at.timestamp(), 0x6000_0000);
    let records = records(user.clone(), hash.clone(), user.created_at);
    let Record::Ledger { user: whose, entry } = &records[1] else {
        panic!("no entry")
    };
    assert_eq!(*whose, user.id);
    assert_eq!((entry.id, entry.amount, entry.balance), (1, 7, 7));
}

#[test]
fn balances_become_whole() {
    for (was, is, is_noted) in [
        (Bson::Int32(5), 5, false),
        (Bson::Int64(i64::MAX), i64::MAX, false),
        (Bson::Double(18.0), 18, false),
        (Bson::Double(16.142), 17, true),
        (Bson::Double(0.0001), 1, true),
        (Bson::Double(-0.5), 0, true),
        (Bson::Int32(-900), 0, true),
        (Bson::Double(f64::NAN), 0, true),
        (Bson::Double(f64::INFINITY), i64::MAX, true),
        (Bson::Double(f64::NEG_INFINITY), 0, true),
        (Bson::Double(1e300), i64::MAX, true),
        (Bson::String("5".into()), 0, true),
        (Bson::Null, 0, true),
    ] {
        let (users, notes) = converted(&[ana(doc! { "credits": was.clone() })]);
        let (user, hash) = users[0].clone();
        assert_eq!(user.credits, is, "{was}");
        assert_eq!(!notes.is_empty(), is_noted, "{was}: {notes:?}");
        // An entry of nothing explains nothing.
        let count = records(user, hash, DateTime::default()).len();
        assert_eq!(count, if is > 0 { 2 } else { 1 });
    }
}

#[test]
fn the_oldest_keeps_an_address() {
    let user = |number, email: &str| ana(doc! { "_id": id(number), "email": email });
    let (users, notes) = converted(&[
        user(3, " ana@example.org"),
        user(2, "ana@example.org\t"),
        user(4, "Ana@example.org"),
        user(5, "ana@example.org"),
    ]);
    let found: Vec<&str> = users.iter().map(|(user, _)| user.email.as_str()).collect();
    assert_eq!(
        found,
        [
            &format!("duplicate-{}.ana@example.org", id(3)),
            "ana@example.org",
            "Ana@example.org",
            &format!("duplicate-{}.ana@example.org", id(5)),
        ]
    );
    assert_eq!(notes.len(), 2);
    assert!(
        notes[0].contains(found[0]) && notes[0].contains("logs in"),
        "{notes:?}"
    );
}

#[test]
fn who_cannot_log_in_is_kept_for_what_is_theirs() {
    for email in [
        Bson::Null,
        Bson::Int32(5),
        Bson::String("  ".into()),
        Bson::String("x".repeat(2000)),
    ] {
        let (users, notes) = converted(&[ana(doc! { "email": email })]);
        assert_eq!(users[0].0.email, format!("nobody-{}@invalid", id(1)));
        assert_eq!(notes.len(), 1);
    }
    for password in [
        "",
        "plain",
        "$pbkdf2-sha256$9$!!$x",
        "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ",
    ] {
        let (users, notes) = converted(&[ana(doc! { "password": password })]);
        assert_eq!(users[0].1, passwords::UNUSABLE);
        assert!(notes[0].contains("cannot log in"), "{notes:?}");
    }
    let (users, notes) = converted(&[ana(doc! { "password": 5 }), ana(doc! { "_id": "ana" })]);
    assert_eq!((users.len(), notes.len()), (1, 2));
}

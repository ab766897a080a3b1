//! Holds a database of MongoDB to the promises, also while hubs write.
//!
//! What its documents say is copied, as of one moment, into tables like those of the SQLite store, in memory; so the same
//! queries read both stores. Documents whose fields are not as they must be are found on the way. What SQLite's own
//! tables cannot hold, because their schema forbids it, is asked for in addition.

use bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database, error::ErrorKind};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{BROKEN_PROMISES, Snapshot};
use crate::wait::{SOON, eventually};

mod tables;
#[cfg(test)]
mod tests;

use tables::{INDEXES, TABLES, Table};

/// MongoDB's codes for a moment that cannot be read: one at which a collection was being made, and one that is too long
/// ago. Another moment can.
const OTHER_MOMENT: [i32; 2] = [246, 239];
/// Of results, what promises say nothing about: most of their bytes.
const LEFT_OUT: [&str; 3] = ["raw", "document", "summary"];

/// What must not be found beside [`BROKEN_PROMISES`].
const BROKEN_IN_MONGO: &[(&str, &str)] = &[
    ("a document is not as it must be", "select what from unfit"),
    (
        "an e-mail address is there twice",
        "select email from users group by email having count(*) > 1",
    ),
    (
        "two results have the same number",
        "select operation || ' ' || seq from results group by operation, seq having count(*) > 1",
    ),
    (
        "a user's entries are not numbered from 1 to their count",
        "select u.id || ' has ' || u.ledger_entries || ', found ' || count(l.number) || ' from ' || coalesce(min(l.number), 0)
            || ' to ' || coalesce(max(l.number), 0) from users u left join ledger l on l.user = u.id group by u.id
            having count(l.number) != u.ledger_entries or coalesce(max(l.number), 0) != u.ledger_entries
            or coalesce(min(l.number), 1) != 1",
    ),
    (
        "more was given back than charged",
        "select id from operations where refunded < 0 or refunded > charged",
    ),
    (
        "an assignment has another price than its operation",
        "select a.operation || ' ' || a.probe from assignments a join operations o on o.id = a.operation
            where a.run_price != o.run_price",
    ),
    (
        "an assignment's times do not fit its state",
        "select operation || ' ' || probe || ' is ' || state from assignments
            where (ended_at_ms is null) != (state in ('pending', 'delivered', 'accepted'))
            or (ended_at_ms is null) != (ends_at_ms is not null)",
    ),
    (
        "there is no such state",
        "select operation || ' ' || probe || ' is ' || state from assignments where state not in
            ('pending', 'delivered', 'accepted', 'finished', 'refused', 'cancelled', 'expired')",
    ),
    (
        "there is no such reason",
        "select user || ' ' || number || ' is ' || reason from ledger
            where reason not in ('grant', 'charge', 'refund', 'reward')",
    ),
    (
        "an entry leaves less than nothing",
        "select user || ' ' || number || ' leaves ' || balance from ledger where balance < 0",
    ),
];

/// What the database holds at one moment; the columns that queries may ask for stand in `mongo/tables.rs`.
///
/// # Panics
/// When it cannot be read.
pub async fn snapshot(database: &Database) -> Snapshot {
    eventually(SOON, "a moment that can be read", || async {
        let mut copy = Connection::open_in_memory().expect("a database in memory");
        match fill(&mut copy, database).await {
            Ok(()) => Some(Snapshot::new(copy, &[BROKEN_PROMISES, BROKEN_IN_MONGO])),
            Err(error) if is_other_moment(&error) => None,
            Err(error) => panic!("cannot read {}: {error}", database.name()),
        }
    })
    .await
}

fn is_other_moment(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(refused) if OTHER_MOMENT.contains(&refused.code))
}

async fn fill(copy: &mut Connection, database: &Database) -> mongodb::error::Result<()> {
    // A reference that leads nowhere is to be found, not to be refused.
    copy.execute_batch("pragma foreign_keys = off; create table unfit (what text)")
        .expect("settings");
    let mut session = database.client().start_session().snapshot(true).await?;
    for table in TABLES {
        copy.execute_batch(table.create).expect("a table");
        let documents = read(database, &mut session, table.name).await?;
        insert(copy, table, &documents);
    }
    copy.execute_batch(INDEXES).expect("the indexes");
    Ok(())
}

/// All documents of a collection in the order of their keys.
async fn read(
    database: &Database,
    session: &mut ClientSession,
    collection: &str,
) -> mongodb::error::Result<Vec<Document>> {
    let without: Document = LEFT_OUT
        .iter()
        .map(|field| ((*field).to_owned(), Bson::Int32(0)))
        .collect();
    let mut cursor = database
        .collection::<Document>(collection)
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .projection(without)
        .session(&mut *session)
        .await?;
    let mut documents = Vec::new();
    while let Some(document) = cursor.next(session).await {
        documents.push(document?);
    }
    Ok(documents)
}

fn insert(copy: &mut Connection, table: &Table, documents: &[Document]) {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let places = vec!["?"; names.len()];
    let (names, places) = (names.join(", "), places.join(", "));
    let statement = format!("insert into {} ({names}) values ({places})", table.name);
    let transaction = copy.transaction().expect("a transaction");
    for document in documents {
        let values: Vec<Value> = table
            .columns
            .iter()
            .map(|column| {
                column.read(document).unwrap_or_else(|what| {
                    let id = document.get("_id");
                    let what = format!("{} {id:?}: {what}", table.name);
                    transaction
                        .execute("insert into unfit values (?)", [what])
                        .expect("a row");
                    Value::Null
                })
            })
            .collect();
        transaction
            .execute(&statement, params_from_iter(values))
            .expect("a row");
    }
    transaction.commit().expect("a commit");
}

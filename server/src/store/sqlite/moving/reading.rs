//! Rows become records, a page at a time, in the order of a table's key.

use rusqlite::{
    Connection, Row, params,
    types::{Value, ValueRef},
};

use super::super::{
    assignments,
    codec::{self, maybe_time, parsed, time},
    operations, probes, results, users,
};
use crate::store::{IdempotencyKey, Part, Record, StoreError, Stored};

/// A place in the order of a table's key: a record's key, or one that is before all.
pub(super) struct Place {
    /// First column of the key.
    first: String,
    /// The second one, where there is one.
    second: Value,
}

impl Place {
    /// The place of a record of this part; before all where there is none.
    pub(super) fn behind(part: Part, record: Option<&Record>) -> Stored<Self> {
        // Any text is behind the empty one, any text and any number that counts from 1 behind zero.
        let none = Value::Integer(0);
        let Some(record) = record else {
            return Ok(Self {
                first: String::new(),
                second: none,
            });
        };
        if record.part() != part {
            let (given, part) = (record.part().as_str(), part.as_str());
            return Err(StoreError::Corrupt(format!(
                "{given} have no place among {part}"
            )));
        }
        let (first, second) = match record {
            Record::User { user, .. } => (user.id.to_string(), none),
            Record::Probe { probe, .. } => (probe.id.to_string(), none),
            Record::Operation { operation, .. } => (operation.plan.id.to_string(), none),
            Record::Assignment { assignment, .. } => (
                assignment.operation.to_string(),
                Value::Text(assignment.probe.to_string()),
            ),
            Record::Result { operation, row } => (
                operation.to_string(),
                Value::Integer(i64::try_from(row.seq)?),
            ),
            Record::Ledger { user, entry } => (user.to_string(), Value::Integer(entry.id)),
            Record::Key { key, .. } => (key.user.to_string(), Value::Text(key.key.clone())),
        };
        Ok(Self { first, second })
    }
}

/// The statement that reads a part behind a place.
const fn selecting(part: Part) -> &'static str {
    match part {
        Part::Users => "select * from users where id > ?1 order by id limit ?3",
        Part::Probes => "select * from probes where id > ?1 order by id limit ?3",
        Part::Operations => "select * from operations where id > ?1 order by id limit ?3",
        Part::Assignments => {
            "select * from assignments where (operation, probe) > (?1, ?2)
                order by operation, probe limit ?3"
        }
        Part::Results => {
            "select * from results where (operation, seq) > (?1, ?2)
                order by operation, seq limit ?3"
        }
        Part::Ledger => {
            "select * from ledger where (user, number) > (?1, ?2) order by user, number limit ?3"
        }
        Part::Keys => {
            "select * from idempotency_keys where (user, key) > (?1, ?2)
                order by user, key limit ?3"
        }
    }
}

/// The records of a part behind a place, until there are `limit` or they exceed `most_bytes`.
pub(super) fn page(
    connection: &Connection,
    part: Part,
    behind: Place,
    limit: usize,
    most_bytes: usize,
) -> Stored<Vec<Record>> {
    let mut statement = connection.prepare_cached(selecting(part))?;
    let Place { first, second } = behind;
    let mut rows = statement.query(params![first, second, codec::limit(limit)])?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while bytes <= most_bytes
        && let Some(row) = rows.next()?
    {
        bytes = bytes.saturating_add(weight(row)?);
        found.push(read(part, row)?);
    }
    Ok(found)
}

/// Bytes of a row's texts and blobs: not only results are big, what was sent for an operation may be too.
fn weight(row: &Row<'_>) -> rusqlite::Result<usize> {
    let columns = 0..row.as_ref().column_count();
    let bytes = columns.map(|column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
        })
    });
    bytes.sum()
}

fn read(part: Part, row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(match part {
        Part::Users => Record::User {
            user: users::read(row)?,
            password_hash: row.get("password_hash")?,
        },
        Part::Probes => Record::Probe {
            probe: probes::read(row)?,
            deleted_at: maybe_time(row, "deleted_at_ms")?,
        },
        Part::Operations => Record::Operation {
            operation: Box::new(operations::read(row)?),
            open_assignments: row.get("open_assignments")?,
        },
        Part::Assignments => Record::Assignment {
            assignment: assignments::read(row)?,
            created_at: time(row, "created_at_ms")?,
            ends_at: maybe_time(row, "ends_at_ms")?,
        },
        Part::Results => {
            let mut result = results::read(row)?;
            result.result.raw = row.get::<_, Vec<u8>>("raw")?.into();
            Record::Result {
                operation: parsed(row, "operation")?,
                row: Box::new(result),
            }
        }
        Part::Ledger => Record::Ledger {
            user: parsed(row, "user")?,
            entry: users::read_entry(row)?,
        },
        Part::Keys => Record::Key {
            key: IdempotencyKey {
                user: parsed(row, "user")?,
                key: row.get("key")?,
                fingerprint: row.get("fingerprint")?,
            },
            subject: row.get("subject")?,
            answer: row.get("answer")?,
            created_at: time(row, "created_at_ms")?,
        },
    })
}

//! Deleting everything, for tests and rehearsals.

use probe_protocol::ProbeId;
use rusqlite::Connection;

use super::codec::parsed;
use crate::store::Stored;

pub(super) const PROBES: &str = "select id from probes";

/// All tables, those that name others before those that are named.
const TABLES: &[&str] = &[
    "idempotency_keys",
    "ledger",
    "results",
    "assignments",
    "operations",
    "probes",
    "users",
    "moves",
    "reports",
];

/// Deletes all rows and keeps the schema with its indexes; answers with the probes there were.
pub(super) fn delete_all(connection: &Connection) -> Stored<Vec<ProbeId>> {
    let mut statement = connection.prepare_cached(PROBES)?;
    let found = statement.query_map([], |row| parsed(row, "id"))?;
    let probes = found.collect::<Result<_, _>>()?;
    for table in TABLES {
        connection.execute(&format!("delete from {table}"), [])?;
    }
    Ok(probes)
}

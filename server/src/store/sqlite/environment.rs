//! Which environment the file belongs to: one row, written once.

use rusqlite::{Connection, OptionalExtension};

use crate::store::Stored;

const IS_KEPT: &str = "select 1 from sqlite_schema where type = 'table' and name = 'environment'";
const NAME: &str = "select name from environment where id = 1";
const STAMP: &str = "insert into environment (id, name) values (1, ?1) on conflict (id) do nothing";

/// The environment; none before a hub has used the file.
pub(super) fn name(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(NAME)?;
    statement.query_row([], |row| row.get(0)).optional()
}

/// The same of a file whose schema may be older than that.
pub(super) fn name_if_kept(connection: &Connection) -> rusqlite::Result<Option<String>> {
    if connection.prepare(IS_KEPT)?.exists([])? {
        name(connection)
    } else {
        Ok(None)
    }
}

/// Stamps the file where it has no stamp.
pub(super) fn stamp(connection: &Connection, environment: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(STAMP)?;
    statement.execute([environment])?;
    Ok(())
}

/// Stamps the file where it has no stamp; the one that it has then.
pub(super) fn stamp_and_read(connection: &Connection, environment: &str) -> Stored<Option<String>> {
    stamp(connection, environment)?;
    Ok(name(connection)?)
}

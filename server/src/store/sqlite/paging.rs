//! Lists in pages: newest first, of everyone or of one owner.

use probe_protocol::UserId;
use rusqlite::{Connection, Row, params};

use super::codec;
use crate::store::Stored;

/// Above every identifier.
const AFTER_ALL_IDS: &str = "g";

/// The two statements of a list: rows with an id below `?1`, at most `?2`, newest first.
pub(super) struct Statements {
    /// Of everyone.
    pub(super) all: &'static str,
    /// Of the owner `?3`.
    pub(super) of_owner: &'static str,
}

/// A page of a list: at most `limit` rows with an id below `before`.
pub(super) fn page<T>(
    connection: &Connection,
    statements: &Statements,
    owner: Option<UserId>,
    before: Option<String>,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Stored<Vec<T>> {
    let before = before.as_deref().unwrap_or(AFTER_ALL_IDS);
    let limit = codec::limit(limit);
    let sql = owner.map_or(statements.all, |_| statements.of_owner);
    let mut statement = connection.prepare_cached(sql)?;
    let found = match owner {
        Some(owner) => statement.query_map(params![before, limit, owner.to_string()], read)?,
        None => statement.query_map(params![before, limit], read)?,
    };
    Ok(found.collect::<Result<_, _>>()?)
}

//! Lists in pages: newest or oldest first, of everyone or of one owner.

use probe_protocol::UserId;
use rusqlite::{Connection, Row, params};

use super::codec;
use crate::store::{Span, Stored};

/// Below and above every identifier.
const BEFORE_ALL_IDS: &str = "";
const AFTER_ALL_IDS: &str = "g";

/// A table that is listed, and which of its rows are.
pub(super) struct List {
    /// The table; it has columns `id` and `owner`.
    pub(super) table: &'static str,
    /// A condition that the rows meet.
    pub(super) condition: &'static str,
}

/// A page of a list: at most `limit` rows of a span.
pub(super) fn page<Id: ToString, T>(
    connection: &Connection,
    list: &List,
    owner: Option<UserId>,
    span: Span<Id>,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Stored<Vec<T>> {
    let (beyond, order, edge, id) = match span {
        Span::Before(id) => ("<", "desc", AFTER_ALL_IDS, id),
        Span::After(id) => (">", "asc", BEFORE_ALL_IDS, id),
    };
    let edge = id.map_or_else(|| edge.to_owned(), |id| id.to_string());
    let owned = owner.map_or("", |_| "owner = ?3 and ");
    let List { table, condition } = list;
    let sql = format!(
        "select * from {table} where {owned}id {beyond} ?1 and {condition} order by id {order} limit ?2"
    );
    let limit = codec::limit(limit);
    let mut statement = connection.prepare_cached(&sql)?;
    let found = match owner {
        Some(owner) => statement.query_map(params![edge, limit, owner.to_string()], read)?,
        None => statement.query_map(params![edge, limit], read)?,
    };
    Ok(found.collect::<Result<_, _>>()?)
}

//! How values stand in columns. Readers take a row and a column's name, so that statements may list columns in any
//! order; where a page has many rows, its place, as looking for a name takes longer than reading what it names.

use std::{error::Error, str::FromStr};

use chrono::{DateTime, Utc};
use rusqlite::{Row, RowIndex, types::Type};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IntoDeserializer, value},
};

use probe_protocol::ResultFormat;

use crate::domain::Offline;

/// Whether a row's columns are these and in this order, whatever comes after them: readers by place count on it.
pub(super) fn begins_with(row: &Row<'_>, names: &[&str]) -> bool {
    row.as_ref()
        .column_names()
        .take(names.len())
        .eq(names.iter().copied())
}

/// A time as it is kept: whole milliseconds, as MongoDB keeps them too.
pub(super) fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// The time that will be read where `at` is written.
pub(super) fn as_kept(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms(at)).unwrap_or(at)
}

/// The word for a result format.
pub(super) const fn result_format(format: ResultFormat) -> &'static str {
    match format {
        ResultFormat::Json => "json",
        ResultFormat::Dump => "dump",
    }
}

/// The word for what happens with probes that are away.
pub(super) const fn offline(offline: Offline) -> &'static str {
    match offline {
        Offline::Skip => "skip",
        Offline::Queue => "queue",
    }
}

fn unreadable(kind: Type, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    // The column's number is not known here; the error's own text says what was expected.
    rusqlite::Error::FromSqlConversionFailure(0, kind, error.into())
}

/// A value that has a text form: an identifier, a code.
pub(super) fn parsed<T>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| unreadable(Type::Text, error))
}

/// The same where it may be missing.
pub(super) fn maybe_parsed<T>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(str::parse)
        .transpose()
        .map_err(|error| unreadable(Type::Text, error))
}

/// A word of an enum.
pub(super) fn word<'r, T>(row: &'r Row<'_>, column: impl RowIndex) -> rusqlite::Result<T>
where
    T: Deserialize<'r>,
{
    let text = row.get_ref(column)?.as_str()?;
    T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(text))
        .map_err(|error| unreadable(Type::Text, error))
}

/// A JSON document.
pub(super) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: impl RowIndex,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(Type::Text, error))
}

/// The same where it may be missing.
pub(super) fn maybe_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: impl RowIndex,
) -> rusqlite::Result<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| unreadable(Type::Text, error))
}

/// A time.
pub(super) fn time(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<DateTime<Utc>> {
    from_ms(row.get(column)?)
}

/// The same where it may be missing.
pub(super) fn maybe_time(
    row: &Row<'_>,
    column: impl RowIndex,
) -> rusqlite::Result<Option<DateTime<Utc>>> {
    row.get::<_, Option<i64>>(column)?.map(from_ms).transpose()
}

fn from_ms(ms: i64) -> rusqlite::Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
        .ok_or_else(|| unreadable(Type::Integer, "not a time of the calendar"))
}

/// A number that is never negative.
pub(super) fn whole(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unreadable(Type::Integer, error))
}

/// How many rows at most.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

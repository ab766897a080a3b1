//! Results: stored once under the next number of their operation, read in that order.

use bytes::Bytes;
use probe_protocol::{ContentFormat, OperationId, ProbeId, ResultCode};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, ms, parsed, time, whole, word};
use crate::store::{Clock, NewResult, Report, ResultRow, Stored};

const IS_KNOWN: &str = "select 1 from results where operation = ?1 and probe = ?2 and code = ?3";

/// Whether a result of that name is stored.
pub(super) fn is_known(
    connection: &Connection,
    operation: OperationId,
    probe: ProbeId,
    code: &ResultCode,
) -> Stored<bool> {
    let mut statement = connection.prepare_cached(IS_KNOWN)?;
    Ok(statement.exists(params![
        operation.to_string(),
        probe.to_string(),
        code.as_str()
    ])?)
}

const INSERT: &str = "insert into results (operation, seq, probe, code, format, undecoded, measured, rewarded,
    received_at_ms, started_at_ms, finished_at_ms, clock_offset_us, clock_error_us, summary, document, raw)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    on conflict (operation, probe, code) do nothing";

/// Stores a result under that number, unless one of its name is stored; whether it did.
pub(super) fn insert(
    connection: &Connection,
    report: &Report,
    result: &NewResult,
    seq: i64,
) -> Stored<bool> {
    let inserted = connection.prepare_cached(INSERT)?.execute(params![
        report.operation.to_string(),
        seq,
        report.probe.to_string(),
        result.code.as_str(),
        result.format.as_str(),
        result.undecoded,
        result.measured,
        // What is stored was planned and paid for, so whatever measured something is rewarded.
        result.measured,
        ms(report.at),
        ms(result.started_at),
        ms(result.finished_at),
        result.clock.map(|clock| clock.offset_us),
        result.clock.map(|clock| clock.error_us),
        result.summary,
        result.document,
        &result.raw[..],
    ])?;
    Ok(inserted > 0)
}

const SET_LAST_SEQ: &str = "update operations set last_seq = ?2 where id = ?1";

/// Writes the number of an operation's last result.
pub(super) fn set_last_seq(connection: &Connection, id: OperationId, seq: i64) -> Stored<()> {
    let mut statement = connection.prepare_cached(SET_LAST_SEQ)?;
    statement.execute(params![id.to_string(), seq])?;
    Ok(())
}

const LIST: &str =
    "select operation, seq, probe, code, format, undecoded, measured, rewarded, received_at_ms,
    started_at_ms, finished_at_ms, clock_offset_us, clock_error_us, summary, document
    from results where operation = ?1 and seq > ?2 order by seq limit ?3";

/// Results with a number above `after`, in order, until there are `limit` or their documents exceed `most_bytes`.
pub(super) fn list(
    connection: &Connection,
    id: OperationId,
    after: u64,
    limit: usize,
    most_bytes: usize,
) -> Stored<Vec<ResultRow>> {
    // No number is above the largest that can be kept.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(LIST)?;
    let mut rows = statement.query(params![id.to_string(), after, codec::limit(limit)])?;
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    while bytes <= most_bytes
        && let Some(row) = rows.next()?
    {
        let result = read(row)?;
        bytes = bytes.saturating_add(result.result.document.len());
        found.push(result);
    }
    Ok(found)
}

/// The columns of a result, as they stand in the table, but for the raw bytes.
const COLUMNS: [&str; 15] = [
    "operation",
    "seq",
    "probe",
    "code",
    "format",
    "undecoded",
    "measured",
    "rewarded",
    "received_at_ms",
    "started_at_ms",
    "finished_at_ms",
    "clock_offset_us",
    "clock_error_us",
    "summary",
    "document",
];

/// A result without its raw bytes, from any row that begins with its columns.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<ResultRow> {
    debug_assert!(codec::begins_with(row, &COLUMNS));
    let offset_us: Option<i64> = row.get(11)?;
    let error_us: Option<i64> = row.get(12)?;
    Ok(ResultRow {
        seq: whole(row, 1)?,
        probe: parsed(row, 2)?,
        received_at: time(row, 8)?,
        rewarded: row.get(7)?,
        result: NewResult {
            code: word(row, 3)?,
            format: word(row, 4)?,
            raw: Bytes::new(),
            document: row.get(14)?,
            summary: row.get(13)?,
            undecoded: row.get(5)?,
            measured: row.get(6)?,
            started_at: time(row, 9)?,
            finished_at: time(row, 10)?,
            clock: offset_us.zip(error_us).map(|(offset_us, error_us)| Clock {
                offset_us,
                error_us,
            }),
        },
    })
}

const RAW: &str = "select format, raw from results where operation = ?1 and seq = ?2";

/// The raw bytes of one result.
pub(super) fn raw(
    connection: &Connection,
    id: OperationId,
    seq: u64,
) -> Stored<Option<(ContentFormat, Bytes)>> {
    let Ok(seq) = i64::try_from(seq) else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(RAW)?;
    let found = statement.query_row(params![id.to_string(), seq], |row| {
        Ok((word(row, "format")?, row.get::<_, Vec<u8>>("raw")?.into()))
    });
    Ok(found.optional()?)
}

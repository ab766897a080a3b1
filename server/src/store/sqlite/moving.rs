//! Carrying everything out of the file and into it: [`reading`] makes records of rows, [`filling`] makes rows of
//! records. This module counts, and keeps the note of a move that has not finished. What a record says is not judged
//! here, beyond what the schema demands.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    codec::{ms, whole},
};
use crate::store::{MoveStore, Part, Record, Stored};

mod filling;
mod reading;

/// Longest that counting a part may take: it looks at every row, of which there may be hundreds of millions.
const COUNT_DEADLINE: Duration = Duration::from_secs(600);

#[async_trait]
impl MoveStore for SqliteStore {
    async fn records(
        &self,
        part: Part,
        after: Option<&Record>,
        limit: usize,
        most_bytes: usize,
    ) -> Stored<Vec<Record>> {
        let after = reading::Place::behind(part, after)?;
        self.read(move |connection| reading::page(connection, part, after, limit, most_bytes))
            .await
    }

    async fn fill(&self, records: Vec<Record>) -> Stored<usize> {
        self.write(move |connection| filling::fill(connection, &records))
            .await
    }

    async fn count_loads(&self) -> Stored<()> {
        self.write(|connection| {
            connection.prepare_cached(COUNT_LOADS)?.execute([])?;
            Ok(())
        })
        .await
    }

    async fn count(&self, part: Part) -> Stored<u64> {
        let counting = move |connection: &Connection| count(connection, part);
        self.readers.read_within(COUNT_DEADLINE, counting).await
    }

    async fn begin_move(&self, from: &str, at: DateTime<Utc>) -> Stored<Option<String>> {
        let from = from.to_owned();
        self.write(move |connection| begin(connection, &from, at))
            .await
    }

    async fn end_move(&self, at: DateTime<Utc>) -> Stored<()> {
        self.write(move |connection| {
            connection.prepare_cached(END)?.execute([ms(at)])?;
            Ok(())
        })
        .await
    }

    async fn unfinished_move(&self) -> Stored<Option<String>> {
        self.read(unfinished).await
    }
}

/// Goes through all probes, and by an index through what is open on each.
pub(super) const COUNT_LOADS: &str = "update probes set load = open.load
    from (select p.id, coalesce((select sum(o.run_price) from assignments a join operations o on o.id = a.operation
        where a.probe = p.id and a.ended_at_ms is null), 0) as load from probes p) open
    where open.id = probes.id and open.load != probes.load";

/// The statement that counts a part. SQLite goes through its smallest index.
pub(super) const fn counting(part: Part) -> &'static str {
    match part {
        Part::Users => "select count(*) as records from users",
        Part::Probes => "select count(*) as records from probes",
        Part::Operations => "select count(*) as records from operations",
        Part::Assignments => "select count(*) as records from assignments",
        Part::Results => "select count(*) as records from results",
        Part::Ledger => "select count(*) as records from ledger",
        Part::Keys => "select count(*) as records from idempotency_keys",
    }
}

fn count(connection: &Connection, part: Part) -> Stored<u64> {
    let mut statement = connection.prepare_cached(counting(part))?;
    Ok(statement.query_row([], |row| whole(row, "records"))?)
}

const UNFINISHED: &str = "select source from moves where id = 1 and finished_at_ms is null";

/// Where a move that has not finished comes from.
fn unfinished(connection: &Connection) -> Stored<Option<String>> {
    let mut statement = connection.prepare_cached(UNFINISHED)?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?)
}

const BEGIN: &str = "insert into moves (id, source, started_at_ms) values (1, ?1, ?2)
    on conflict (id) do update set source = ?1, started_at_ms = ?2, finished_at_ms = null";
const END: &str = "update moves set finished_at_ms = ?1 where id = 1 and finished_at_ms is null";

/// Notes a move; the place of another one that has not finished, which stays.
fn begin(connection: &Connection, from: &str, at: DateTime<Utc>) -> Stored<Option<String>> {
    match unfinished(connection)? {
        Some(known) if known == from => Ok(None),
        Some(other) => Ok(Some(other)),
        None => {
            let mut statement = connection.prepare_cached(BEGIN)?;
            statement.execute(params![from, ms(at)])?;
            Ok(None)
        }
    }
}

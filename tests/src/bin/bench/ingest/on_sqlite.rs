//! What SQLite takes without a hub: the hub's own rows, with its table and its indexes, in transactions as large as its own,
//! each durable before the next.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, params_from_iter, types::Value};

use super::{BATCH, Inserts, WARM_UP};
use crate::{figure::rate, machine::CpuTimes};

/// Most rows that are inserted again: they are held in memory.
const MOST: i64 = 100_000;

/// The results that a hub stored, and how it keeps them.
#[derive(Debug)]
pub(super) struct Documents {
    rows: Vec<Vec<Value>>,
    schema: Vec<String>,
}

impl Documents {
    /// Reads them in the order in which they were stored.
    pub(super) fn read(data_dir: &Path) -> Self {
        let file = tests::database::open(data_dir);
        let schema = "select sql from sqlite_schema where tbl_name = 'results' and sql is not null order by type desc";
        let mut schema = file.prepare(schema).expect("a query");
        let schema = schema.query_map([], |row| row.get(0)).expect("the schema");
        let schema = schema.collect::<Result<_, _>>().expect("the schema");
        let mut all = file
            .prepare("select * from results order by rowid limit ?")
            .expect("a query");
        let columns = all.column_count();
        let rows = all
            .query_map([MOST], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })
            .expect("results");
        Self {
            rows: rows.collect::<Result<_, _>>().expect("results"),
            schema,
        }
    }

    /// Mean length of one, bytes: what is of varying length.
    pub(super) fn mean_bytes(&self) -> usize {
        let all = self.rows.iter().flatten();
        let bytes: usize = all
            .map(|value| match value {
                Value::Text(text) => text.len(),
                Value::Blob(blob) => blob.len(),
                _ => 0,
            })
            .sum();
        bytes / self.rows.len().max(1)
    }
}

/// Inserts them into a fresh file by one writer, as SQLite wants it.
pub(super) fn measure(documents: &Documents) -> Inserts {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Connection::open(folder.path().join("bare.sqlite")).expect("a file");
    file.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = off",
    )
    .expect("the hub's way to write, but for what results refer to");
    for statement in &documents.schema {
        file.execute_batch(statement).expect("the hub's table");
    }
    let batches: Vec<&[Vec<Value>]> = documents.rows.chunks(BATCH).collect();
    let (warm_up, measured) = batches.split_at(batches.len() / WARM_UP);
    insert(&mut file, warm_up);
    let us = [Some(std::process::id())];
    let (cpu_before, began) = (CpuTimes::of(us), Instant::now());
    insert(&mut file, measured);
    let took = began.elapsed();
    let count = measured.iter().map(|batch| batch.len()).sum();
    let [writer] = CpuTimes::of(us).since(&cpu_before).per(count);
    Inserts {
        writers: 1,
        per_second: rate(count, took),
        cpu_us: [0.0, writer],
    }
}

fn insert(file: &mut Connection, batches: &[&[Vec<Value>]]) {
    for batch in batches {
        let transaction = file.transaction().expect("a transaction");
        let values = vec!["?"; batch[0].len()].join(", ");
        let sql = format!("insert into results values ({values})");
        let mut insert = transaction.prepare_cached(&sql).expect("a statement");
        for row in *batch {
            let inserted = insert.execute(params_from_iter(row));
            inserted.expect("a row that is stored");
        }
        drop(insert);
        transaction.commit().expect("a commit");
    }
}

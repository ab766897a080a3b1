//! What it takes a store to make an operation's assignments durable: as many bare rows in one transaction, with indexes like the
//! hub's.

use std::time::Instant;

use bson::{DateTime, Document, doc};
use mongodb::{Database, options::ReadConcern};
use rusqlite::Connection;
use services::Mongod;
use tests::TestProbe;

use crate::{
    bare_mongo,
    figure::{median, ms},
};

/// How often; the figure is the median.
const TIMES: u32 = 5;
/// Where the hub keeps assignments.
const ASSIGNMENTS: &str = "assignments";

/// With SQLite, milliseconds.
pub(super) fn on_sqlite(probes: &[TestProbe]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Connection::open(folder.path().join("bare.sqlite")).expect("a file");
    file.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full;
         create table assignments (operation text, probe text, state text, planned_runs integer, created_at_ms integer,
            ends_at_ms integer, primary key (operation, probe)) strict, without rowid;
         create index open on assignments (probe, state, created_at_ms, operation);
         create index overdue on assignments (ends_at_ms)",
    )
    .expect("a table");
    let mut times = Vec::new();
    for number in 0..TIMES {
        let began = Instant::now();
        let transaction = file.transaction().expect("a transaction");
        let mut insert = transaction
            .prepare_cached("insert into assignments values (?, ?, 'pending', 1, ?, ?)")
            .expect("a statement");
        for probe in probes {
            let row = (number.to_string(), probe.id.to_string(), number, number);
            insert.execute(row).expect("a row");
        }
        drop(insert);
        transaction.commit().expect("a commit");
        times.push(ms(began.elapsed()));
    }
    median(times)
}

/// With MongoDB, milliseconds.
pub(super) async fn on_mongo(probes: &[TestProbe], mongod: &Mongod, of_hub: &Database) -> f64 {
    let client = mongod.client().await;
    let database = client.database(&mongod.fresh_database());
    let indexes = bare_mongo::indexes(of_hub, ASSIGNMENTS).await;
    bare_mongo::create(&database, ASSIGNMENTS, &indexes).await;
    let assignments = database.collection::<Document>(ASSIGNMENTS);
    let mut times = Vec::new();
    for number in 0..TIMES {
        let at = DateTime::from_millis(number.into());
        let bare = |probe: &TestProbe| {
            doc! {
                "_id": { "operation": i64::from(number), "probe": probe.id.object_id() }, "state": "pending",
                "planned_runs": 1, "results": 0, "run_price": 1, "created_at": at, "ends_at": at,
            }
        };
        let documents: Vec<Document> = probes.iter().map(bare).collect();
        let began = Instant::now();
        let mut session = client.start_session().await.expect("a session");
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(bare_mongo::durable())
            .await
            .expect("a transaction");
        let insert = assignments.insert_many(documents);
        insert.session(&mut session).await.expect("documents");
        session.commit_transaction().await.expect("a commit");
        times.push(ms(began.elapsed()));
    }
    database.drop().await.expect("the database is dropped");
    median(times)
}

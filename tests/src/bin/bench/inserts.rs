//! What the server takes without a hub: the hub's own documents, with its indexes and its write concern, inserted in batches
//! as large as its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    options::{Acknowledgment, WriteConcern},
};
use services::Mongod;
use tokio::task::JoinSet;

use crate::{
    figures::{Cpu, Inserts, percentile, rate},
    machine::CpuTimes,
};

/// Documents of one `insert_many`: the most reports that the hub commits together (`BATCH` of its ingest).
pub(crate) const BATCH: usize = 512;
/// Where the hub keeps results.
const RESULTS: &str = "results";
/// Most documents that are inserted again: they are held in memory.
const MOST: i64 = 200_000;
/// Of all batches one in so many comes before what is measured.
const WARM_UP: usize = 10;

/// The results that a hub stored, as they stand in its database, and its indexes for them.
#[derive(Debug)]
pub(crate) struct Documents {
    all: Arc<Vec<RawDocumentBuf>>,
    indexes: Vec<Document>,
}

impl Documents {
    /// Reads them in the order in which they were stored.
    pub(crate) async fn read(database: &Database) -> Self {
        let results = database.collection::<RawDocumentBuf>(RESULTS);
        let find = results
            .find(doc! {})
            .sort(doc! { "$natural": 1 })
            .limit(MOST);
        let all = find.await.expect("results").try_collect().await;
        let listed = database.run_cursor_command(doc! { "listIndexes": RESULTS });
        let mut indexes: Vec<Document> = listed
            .await
            .expect("indexes")
            .try_collect()
            .await
            .expect("indexes");
        // That one is there by itself.
        indexes.retain(|index| index.get_str("name").is_ok_and(|name| name != "_id_"));
        assert!(!indexes.is_empty(), "the hub's indexes");
        Self {
            all: Arc::new(all.expect("results")),
            indexes,
        }
    }

    /// Mean length of one, bytes.
    pub(crate) fn mean_bytes(&self) -> usize {
        let all: usize = self.all.iter().map(|one| one.as_bytes().len()).sum();
        all / self.all.len().max(1)
    }
}

/// Inserts them into a fresh database by so many writers at a time, and drops it.
pub(crate) async fn measure(documents: &Documents, writers: usize, mongod: &Mongod) -> Inserts {
    let client = mongod.client().await;
    let database = client.database(&mongod.fresh_database());
    let create = doc! { "createIndexes": RESULTS, "indexes": &documents.indexes };
    database.run_command(create).await.expect("the indexes");
    let durable = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    let results = database.collection::<RawDocumentBuf>(RESULTS);
    let batches = documents.all.len().div_ceil(BATCH);
    let (warm_up, all) = (batches / WARM_UP, &documents.all);
    insert(&results, &durable, all, 0..warm_up, writers).await;
    let processes = [mongod.pid(), Some(std::process::id())];
    let (cpu_before, began) = (CpuTimes::of(processes), Instant::now());
    let mut times = insert(&results, &durable, all, warm_up..batches, writers).await;
    let took = began.elapsed();
    times.sort_unstable();
    let count = all.len() - warm_up * BATCH;
    let [server, bench] = CpuTimes::of(processes).since(&cpu_before).per(count);
    let stored = results.count_documents(doc! {}).await.expect("a number");
    assert_eq!(stored, all.len() as u64, "inserted documents");
    database.drop().await.expect("the database is dropped");
    Inserts {
        writers,
        per_second: rate(count, took),
        batch_p50_ms: percentile(&times, 50),
        batch_p99_ms: percentile(&times, 99),
        cpu_us: Cpu {
            hub: 0.0,
            mongod: server,
            bench,
        },
    }
}

/// Inserts these batches, each writer the next one that nobody took; how long each batch took.
async fn insert(
    results: &Collection<RawDocumentBuf>,
    durable: &WriteConcern,
    documents: &Arc<Vec<RawDocumentBuf>>,
    batches: std::ops::Range<usize>,
    writers: usize,
) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(batches.start));
    let mut running = JoinSet::new();
    for _ in 0..writers {
        let (results, documents, next) = (results.clone(), documents.clone(), next.clone());
        let (durable, end) = (durable.clone(), batches.end);
        running.spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return times;
                }
                let from = number * BATCH;
                let batch = &documents[from..documents.len().min(from + BATCH)];
                let began = Instant::now();
                let insert = results
                    .insert_many(batch)
                    .ordered(false)
                    .write_concern(durable.clone());
                insert.await.expect("a batch that is stored");
                times.push(began.elapsed());
            }
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

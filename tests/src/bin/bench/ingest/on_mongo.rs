//! What the server takes without a hub: the hub's own documents, with its indexes and its write concern, inserted in batches
//! as large as its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt as _;
use mongodb::{Collection, Database, options::WriteConcern};
use services::Mongod;
use tokio::task::JoinSet;

use super::{BATCH, Inserts, WARM_UP};
use crate::{bare_mongo, figure::rate, machine::CpuTimes};

/// Bare inserts are done by so many at a time, one after the other. The first is what the hub does: one batch is committed
/// after the other.
const WRITERS: [usize; 3] = [1, 2, 4];
/// Where the hub keeps results.
const RESULTS: &str = "results";
/// Most documents that are inserted again: they are held in memory.
const MOST: i64 = 200_000;

/// The results that a hub stored, as they stand in its database, and its indexes for them.
#[derive(Debug)]
pub(super) struct Documents {
    all: Arc<Vec<RawDocumentBuf>>,
    indexes: Vec<Document>,
}

impl Documents {
    /// Reads them in the order in which they were stored.
    pub(super) async fn read(database: &Database) -> Self {
        let results = database.collection::<RawDocumentBuf>(RESULTS);
        let find = results
            .find(doc! {})
            .sort(doc! { "$natural": 1 })
            .limit(MOST);
        let all = find.await.expect("results").try_collect().await;
        Self {
            all: Arc::new(all.expect("results")),
            indexes: bare_mongo::indexes(database, RESULTS).await,
        }
    }

    /// Mean length of one, bytes.
    pub(super) fn mean_bytes(&self) -> usize {
        let all: usize = self.all.iter().map(|one| one.as_bytes().len()).sum();
        all / self.all.len().max(1)
    }
}

/// Inserts them by one writer, and by several at a time.
pub(super) async fn measure(documents: &Documents, mongod: &Mongod) -> Vec<Inserts> {
    let mut all = Vec::with_capacity(WRITERS.len());
    for writers in WRITERS {
        all.push(by(documents, writers, mongod).await);
    }
    all
}

/// Inserts them into a fresh database by so many writers at a time, and drops it.
async fn by(documents: &Documents, writers: usize, mongod: &Mongod) -> Inserts {
    let client = mongod.client().await;
    let database = client.database(&mongod.fresh_database());
    bare_mongo::create(&database, RESULTS, &documents.indexes).await;
    let durable = bare_mongo::durable();
    let results = database.collection::<RawDocumentBuf>(RESULTS);
    let batches = documents.all.len().div_ceil(BATCH);
    let (warm_up, all) = (batches / WARM_UP, &documents.all);
    insert(&results, &durable, all, 0..warm_up, writers).await;
    let processes = [mongod.pid(), Some(std::process::id())];
    let (cpu_before, began) = (CpuTimes::of(processes), Instant::now());
    insert(&results, &durable, all, warm_up..batches, writers).await;
    let took = began.elapsed();
    let count = all.len() - warm_up * BATCH;
    let [server, bench] = CpuTimes::of(processes).since(&cpu_before).per(count);
    let stored = results.count_documents(doc! {}).await.expect("a number");
    assert_eq!(stored, all.len() as u64, "inserted documents");
    database.drop().await.expect("the database is dropped");
    Inserts {
        writers,
        per_second: rate(count, took),
        cpu_us: [server, bench],
    }
}

/// Inserts these batches, each writer the next one that nobody took.
async fn insert(
    results: &Collection<RawDocumentBuf>,
    durable: &WriteConcern,
    documents: &Arc<Vec<RawDocumentBuf>>,
    batches: std::ops::Range<usize>,
    writers: usize,
) {
    let next = Arc::new(AtomicUsize::new(batches.start));
    let mut running = JoinSet::new();
    for _ in 0..writers {
        let (results, documents, next) = (results.clone(), documents.clone(), next.clone());
        let (durable, end) = (durable.clone(), batches.end);
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let from = number * BATCH;
                let batch = &documents[from..documents.len().min(from + BATCH)];
                let insert = results
                    .insert_many(batch)
                    .ordered(false)
                    .write_concern(durable.clone());
                insert.await.expect("a batch that is stored");
            }
        });
    }
    running.join_all().await;
}

//! What these tests share: a world in either store, ways to damage it behind the hub's back, and the command.

use bson::{Document, doc};
use mongodb::Database;
use probe_protocol::{OperationId, ProbeId};
use rusqlite::Connection;
use serde_json::Value;
use services::mongod;
use tests::{Ack, FakeProbe, Hub, TestUser, at_work, database, orders, wait::SOON};

use crate::copying::bench::run;

/// Trials that get a new hub on either store.
macro_rules! in_both {
    ($($test:ident),+ $(,)?) => {
        vec![$(
            tests::Case::new(concat!(module_path!(), "::", stringify!($test), "::sqlite"))
                .run(|| async { $test(super::bench::on_sqlite(&[]).await).await }),
            tests::Case::new(concat!(module_path!(), "::", stringify!($test), "::mongo"))
                .unless(services::mongod::missing())
                .run(|| async { $test(super::bench::on_mongo(&[]).await).await })
        ),+]
    };
}
pub(super) use in_both;

pub(super) async fn on_sqlite(settings: &[(&str, &str)]) -> Hub {
    let mut all = vec![("DATABASE", "sqlite")];
    all.extend(settings);
    Hub::start_with(&all).await
}

pub(super) async fn on_mongo(settings: &[(&str, &str)]) -> Hub {
    let uri = mongod::shared().await.uri();
    Hub::on_mongo(&uri, settings).await
}

/// Somebody with a probe at work, three results of it, and an operation that has finished.
pub(super) struct World {
    pub(super) ana: TestUser,
    pub(super) probe: ProbeId,
    pub(super) running: OperationId,
    pub(super) over: OperationId,
    pub(super) agent: FakeProbe,
}

pub(super) async fn world(hub: &Hub) -> World {
    let (ana, registered, mut agent, running) = at_work(hub).await;
    for name in ["1", "2", "3"] {
        assert_eq!(agent.deliver(running, name).await, Ack::Stored);
    }
    let over = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(agent.accept().await, over);
    assert_eq!(agent.deliver(over, "1").await, Ack::Stored);
    World {
        ana,
        probe: registered.id,
        running,
        over,
        agent,
    }
}

/// What the command found.
pub(crate) struct Diagnosis {
    pub(super) code: Option<i32>,
    pub(super) report: Value,
}

impl Diagnosis {
    /// The rules that were broken, each finding with its own.
    pub(super) fn rules(&self) -> Vec<&str> {
        let findings = self.findings().iter();
        findings
            .map(|one| one["rule"].as_str().expect("a rule"))
            .collect()
    }

    pub(super) fn findings(&self) -> &Vec<Value> {
        self.report["findings"].as_array().expect("findings")
    }

    /// Nothing is wrong.
    pub(crate) fn must_be_clean(&self) {
        assert_eq!(self.code, Some(0), "{}", self.report);
        assert_eq!(self.report["total"], 0, "{}", self.report);
    }
}

/// `pladmed diagnose --json`, and more words.
pub(crate) async fn diagnose(hub: &Hub, more: &[&str]) -> Diagnosis {
    let mut words = vec!["diagnose", "--json"];
    words.extend(more);
    let output = run(hub.command(&words)).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{error} in {text:?}; {said}")
    });
    Diagnosis {
        code: output.status.code(),
        report,
    }
}

/// Does statements on the file of a hub, which no rule of its schema hinders.
pub(super) fn harm_file(hub: &Hub, sql: &str) {
    let connection = Connection::open(hub.data_dir().join(database::FILE)).expect("the hub's file");
    connection.busy_timeout(SOON).expect("a timeout");
    let freely = format!("pragma foreign_keys = off; pragma ignore_check_constraints = on; {sql}");
    connection
        .execute_batch(&freely)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(connection.changes() > 0, "{sql}");
}

/// Changes a document of a hub's database.
pub(super) async fn harm_document(
    database: &Database,
    collection: &str,
    filter: Document,
    change: Document,
) {
    let collection = database.collection::<Document>(collection);
    let changed = if change.is_empty() {
        let deleted = collection.delete_one(filter).await;
        deleted.expect("a deletion").deleted_count
    } else {
        let changed = collection.update_one(filter, change).await;
        changed.expect("a change").modified_count
    };
    assert_eq!(changed, 1, "{}", collection.name());
}

/// All that a store holds, to compare it and to put it back.
pub(super) enum Saved {
    File(Vec<u8>),
    Documents(Vec<(String, Vec<Document>)>),
}

/// Of a hub that is stopped, so that its file is one file.
pub(super) async fn save(hub: &Hub) -> Saved {
    let Some(database) = hub.mongo().await else {
        let file = std::fs::read(hub.data_dir().join(database::FILE));
        return Saved::File(file.expect("the file"));
    };
    let mut names = database.list_collection_names().await.expect("names");
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let documents = crate::mongo::all(&database, &name).await;
        all.push((name, documents));
    }
    Saved::Documents(all)
}

impl Saved {
    pub(super) fn must_be(&self, other: &Self) {
        match (self, other) {
            (Self::File(one), Self::File(other)) => assert!(one == other, "the file has changed"),
            (Self::Documents(one), Self::Documents(other)) => assert_eq!(one, other),
            _ => panic!("two kinds of stores"),
        }
    }

    pub(super) async fn put_back(&self, hub: &Hub) {
        match self {
            Self::File(bytes) => {
                let file = hub.data_dir().join(database::FILE);
                std::fs::write(&file, bytes).expect("the file");
                for ending in ["sqlite-wal", "sqlite-shm"] {
                    let _ = std::fs::remove_file(file.with_extension(ending));
                }
            }
            Self::Documents(all) => {
                let database = hub.mongo().await.expect("a database");
                for (name, documents) in all {
                    let collection = database.collection::<Document>(name);
                    collection.delete_many(doc! {}).await.expect("a deletion");
                    if !documents.is_empty() {
                        collection.insert_many(documents).await.expect("documents");
                    }
                }
            }
        }
    }
}

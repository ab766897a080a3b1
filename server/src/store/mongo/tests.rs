//! What only MongoDB's store promises, with a real server. What every store promises is in `store::contract`.

mod contention;
mod leases;

use std::{collections::BTreeSet, sync::Arc};

use bson::{Document, doc};
use futures::TryStreamExt as _;
use services::{Mongod, mongod};
use tokio::sync::Mutex;

use super::{MongoStore, Place, ResultLife, Server};
use crate::store::{Stamp, Store, contract};

fn place(mongod: &Mongod) -> Place {
    Place {
        server: Server::Uri(mongod.uri()),
        database: Some(mongod.fresh_database()),
        usual: "pladmed",
    }
}

/// Bytes of MongoDB's list of queries: a subject of the contract must fit.
const PROFILE: i64 = 64 * 1024 * 1024;

async fn watch(mongod: &Mongod, place: &Place) {
    let name = place.database.clone().unwrap();
    let database = mongod.client().await.database(&name);
    let profile = doc! { "create": "system.profile", "capped": true, "size": PROFILE };
    database.run_command(profile).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
}

/// What was run in a database in another way than by the one index it is meant for, in words.
async fn complaints(mongod: &Mongod, name: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    let profile = mongod
        .client()
        .await
        .database(name)
        .collection::<Document>("system.profile");
    let filter = doc! { "planSummary": { "$exists": true }, "ns": { "$ne": format!("{name}.system.profile") } };
    let all: Vec<Document> = profile
        .find(filter)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for entry in all {
        let plan = entry.get_str("planSummary").unwrap();
        let command = entry.get_document("command").unwrap();
        let shape = format!(
            "{} {} {plan}",
            entry.get_str("ns").unwrap().split('.').nth(1).unwrap(),
            entry.get_str("op").unwrap()
        );
        let filter = ["filter", "q", "query", "pipeline"]
            .iter()
            .find_map(|name| command.get(*name));
        let of_everything =
            filter.is_some_and(|filter| filter.as_document().is_some_and(Document::is_empty));
        let is = |what: &str| entry.get_bool(what).unwrap_or(false);
        if (plan.contains("COLLSCAN") || is("hasSortStage")) && !of_everything {
            wrong.push(format!("{shape}: {command}"));
        }
        // What a race decides, depends on what is there at the moment, and is kept when that has changed.
        if is("fromMultiPlanner") {
            wrong.push(format!("{shape} by a race of indexes: {command}"));
        }
        seen.insert(shape);
    }
    wrong
}

/// The page for people who read the database.
const PAGE: &str = include_str!("../../../../docs/data-model.md");

/// The fields that the page tells of: `collection.field`.
fn told() -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let mut collection = "";
    for line in PAGE.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            collection = name.trim_matches('`');
        }
        let names = line
            .strip_prefix("| `")
            .and_then(|row| row.split(" |").next());
        for name in names.into_iter().flat_map(|names| names.split(", ")) {
            told.insert(format!("{collection}.{}", name.trim_matches('`')));
        }
    }
    told
}

/// The fields that documents have: `collection.field`. Those with JSON text, and raw bytes that stand apart, are told of in
/// words.
async fn fields(mongod: &Mongod, name: &str, seen: &mut BTreeSet<String>) {
    let database = mongod.client().await.database(name);
    for name in database.list_collection_names().await.unwrap() {
        if name.starts_with("system.") || name == "raws" {
            continue;
        }
        let names = [
            doc! { "$project": { "_id": 0, "field": { "$objectToArray": "$$ROOT" } } },
            doc! { "$unwind": "$field" },
            doc! { "$group": { "_id": "$field.k" } },
        ];
        let found = database
            .collection::<Document>(&name)
            .aggregate(names)
            .await
            .unwrap();
        let found: Vec<Document> = found.try_collect().await.unwrap();
        let fields = found.iter().map(|field| field.get_str("_id").unwrap());
        seen.extend(
            fields
                .filter(|field| !field.ends_with("_json"))
                .map(|field| format!("{name}.{field}")),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "skipped: needs mongod; make test runs it where there is one"]
async fn keeps_the_contract_by_indexes_alone() {
    let mongod = mongod::shared().await;
    let names = Mutex::new(Vec::new());
    let make = async || -> Arc<dyn Store> {
        let place = place(mongod);
        let store = MongoStore::open(&place, ResultLife::Endless, Stamp::Any)
            .await
            .unwrap();
        watch(mongod, &place).await;
        names.lock().await.push(place.database.unwrap());
        let store: Arc<dyn Store> = Arc::new(store);
        store
    };
    contract::run(&make).await;
    let of_two_hubs = async || -> [Arc<dyn Store>; 2] {
        let one = make().await;
        let place = Place {
            database: names.lock().await.last().cloned(),
            ..place(mongod)
        };
        let two = MongoStore::open(&place, ResultLife::Endless, Stamp::Any)
            .await
            .unwrap();
        [one, Arc::new(two)]
    };
    contract::run_sharing(of_two_hubs).await;
    let mut seen = BTreeSet::new();
    for name in names.lock().await.iter() {
        assert_eq!(
            complaints(mongod, name, &mut seen).await,
            Vec::<String>::new()
        );
    }
    // Far fewer would mean that they are not seen.
    assert!(seen.len() >= 20, "{seen:?}");
    let mut kept = BTreeSet::new();
    for name in names.lock().await.iter() {
        fields(mongod, name, &mut kept).await;
    }
    let told = told();
    let untold: Vec<_> = kept.difference(&told).collect();
    assert!(
        untold.is_empty(),
        "docs/data-model.md does not tell of {untold:?}"
    );
    let unseen: Vec<_> = told.difference(&kept).collect();
    assert!(
        unseen.is_empty(),
        "docs/data-model.md tells of {unseen:?}, which the contract does not write"
    );
}

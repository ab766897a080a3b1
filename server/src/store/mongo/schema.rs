//! Collections and indexes, and the stamp that says whose database this is.

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt as _;
use mongodb::{
    Collection, IndexModel,
    options::{Hint, IndexOptions},
};

use super::{
    Kept, ResultLife,
    connect::MongoOpenError,
    documents::{AssignmentDoc, MetaDoc},
    error::{Attempt, is_not_indexed, is_there_already},
    link::Tx,
};
use crate::store::{Stamp, Step, Upgrade};

/// The schema that this program writes.
pub(super) const VERSION: i32 = 1;
/// What each schema brought, from 1.
const STEPS: &[&str] = &["collections and indexes"];
/// The stamp's identifier in `meta`.
const STAMP: &str = "schema";
/// Name of the index of identifiers, which every collection has.
pub(super) const BY_ID: &str = "_id_";
/// Name of the index that deletes what is old.
const BY_AGE: &str = "by_age";
/// The way to what is open on a probe and to what it costs. It holds what has ended too, because MongoDB keeps deleted
/// entries of an index for minutes, and who looks for one that is not there walks along them to the next that is: in an index
/// of open assignments alone, with nothing open, that is along everything that any probe did in these minutes.
const BY_PROBE: &str = "assignments_of_probe";
/// What earlier versions counted on, and what nobody needs to keep up.
const OUTDATED: [&str; 2] = ["assignments_by_operation", "assignments_by_probe"];
/// What a database of the replaced system holds.
const OLD: &[&str] = &["users", "probes", "operations"];

/// The indexes of each collection that somebody counts on, beside the one of identifiers.
pub(super) const INDEXES: &[(&str, &[&str])] = &[
    ("users", &["users_by_email"]),
    ("probes", &["probes_by_owner", "probes_by_location"]),
    ("operations", &["operations_by_owner"]),
    ("assignments", &[BY_PROBE, "assignments_by_end"]),
    ("results", &["results_by_number"]),
    ("idempotency_keys", &["keys_by_age"]),
];

/// Makes a query go along an index. Where several would do, MongoDB chooses by a race on what is there at the moment and
/// keeps its choice when that has changed.
pub(super) fn along(index: &str) -> Hint {
    Hint::Name(index.to_owned())
}

/// Brings collections and indexes up to date; what is there already costs nothing.
pub(super) async fn prepare(
    kept: &Kept,
    result_life: ResultLife,
    stamp: Stamp<'_>,
) -> Result<(), MongoOpenError> {
    check(kept).await?;
    // Before anything changes: what belongs to others is left as it is.
    belong(kept, stamp).await?;
    index(&kept.users, "users_by_email", doc! { "email": 1 }, unique()).await?;
    index(
        &kept.probes,
        "probes_by_owner",
        doc! { "owner": 1, "_id": 1 },
        plain(),
    )
    .await?;
    index(
        &kept.probes,
        "probes_by_location",
        doc! { "location": "2dsphere" },
        plain(),
    )
    .await?;
    let by_owner = doc! { "owner": 1, "_id": 1 };
    index(&kept.operations, "operations_by_owner", by_owner, plain()).await?;
    let of_probe =
        doc! { "_id.probe": 1, "state": 1, "created_at": 1, "_id.operation": 1, "run_price": 1 };
    index(&kept.assignments, BY_PROBE, of_probe, plain()).await?;
    index(
        &kept.assignments,
        "assignments_by_end",
        doc! { "ends_at": 1 },
        open(),
    )
    .await?;
    drop_outdated(&kept.assignments).await?;
    let numbered = doc! { "_id.operation": 1, "seq": 1 };
    index(&kept.results, "results_by_number", numbered, unique()).await?;
    make(kept, kept.raws.name()).await?;
    make(kept, kept.ledger.name()).await?;
    make(kept, kept.leases.name()).await?;
    index(&kept.keys, "keys_by_age", doc! { "created_at": 1 }, plain()).await?;
    forget_results(kept, result_life).await
}

/// Refuses what is not a database of ours with this very schema.
pub(super) async fn check_as_it_is(kept: &Kept) -> Result<(), MongoOpenError> {
    let name = || kept.database.name().to_owned();
    match version(kept).await? {
        Some(VERSION) => Ok(()),
        Some(found) => Err(MongoOpenError::Older {
            name: name(),
            found,
        }),
        None => Err(MongoOpenError::None(name())),
    }
}

/// What [`prepare`] would do to the collections; their indexes are looked after at every start.
pub(super) async fn upgrade(kept: &Kept, stamp: Stamp<'_>) -> Result<Upgrade, MongoOpenError> {
    let from = known(kept).await?.map(i64::from);
    fits(kept, stamp).await?;
    let steps = (1..).zip(STEPS);
    let missing = steps.filter(|(number, _)| *number > from.unwrap_or(0));
    Ok(Upgrade {
        from,
        to: VERSION.into(),
        steps: missing
            .map(|(number, &name)| Step { number, name })
            .collect(),
    })
}

/// Refuses what this program must not touch, and marks what is new.
async fn check(kept: &Kept) -> Result<(), MongoOpenError> {
    if known(kept).await?.is_none() {
        let mark = doc! { "$setOnInsert": { "version": VERSION } };
        kept.meta
            .update_one(doc! { "_id": STAMP }, mark)
            .upsert(true)
            .await?;
    }
    Ok(())
}

/// The schema that there is; none where there is nothing. Refuses what this program must not touch.
async fn known(kept: &Kept) -> Result<Option<i32>, MongoOpenError> {
    if let Some(version) = version(kept).await? {
        return Ok(Some(version));
    }
    let name = || kept.database.name().to_owned();
    let there = kept.database.list_collection_names().await?;
    let holds = |wanted: &str| there.iter().any(|name| name == wanted);
    let foreign = |name: &String| !name.starts_with("system.") && name != "meta";
    if there.iter().any(foreign) {
        // Or another hub began on an empty database in between; it stamps before anything else.
        if let Some(version) = version(kept).await? {
            return Ok(Some(version));
        }
        let old = OLD.iter().all(|name| holds(name)) && !holds("assignments");
        return Err(if old {
            MongoOpenError::Old(name())
        } else {
            MongoOpenError::Foreign(name())
        });
    }
    Ok(None)
}

/// Refuses a database of another environment, and stamps one that has none where that is wanted. Of several hubs that start
/// at the same time one decides: a change of one document happens whole.
async fn belong(kept: &Kept, stamp: Stamp<'_>) -> Result<(), MongoOpenError> {
    if let Stamp::Ours(ours) = stamp {
        let set = doc! { "$set": { "environment": ours } };
        kept.meta.update_one(unstamped(), set).await?;
    }
    fits(kept, stamp).await
}

/// Refuses a database of another environment.
pub(super) async fn fits(kept: &Kept, stamp: Stamp<'_>) -> Result<(), MongoOpenError> {
    let found = environment(kept).await?;
    let name = || format!("the database {}", kept.database.name());
    Ok(stamp.check(name, found.as_deref())?)
}

fn unstamped() -> Document {
    doc! { "_id": STAMP, "environment": { "$exists": false } }
}

/// The environment that the database belongs to.
pub(super) async fn environment(kept: &Kept) -> mongodb::error::Result<Option<String>> {
    let found = kept.meta.find_one(doc! { "_id": STAMP }).await?;
    Ok(found.and_then(|found| found.environment))
}

/// Stamps the database where it has no stamp; the one that it has then.
pub(super) async fn stamp(tx: &mut Tx, environment: &str) -> Attempt<Option<String>> {
    let meta: Collection<MetaDoc> = tx.kept.meta.clone();
    let set = doc! { "$set": { "environment": environment } };
    tx.change(&meta, unstamped(), set).await?;
    let found = tx.one(&meta, doc! { "_id": STAMP }).await?;
    Ok(found.and_then(|found| found.environment))
}

/// Makes a collection that has no index of ours; asking it for its indexes would fail.
async fn make(kept: &Kept, name: &str) -> Result<(), MongoOpenError> {
    match kept.database.create_collection(name).await {
        Err(error) if !is_there_already(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// The version in the stamp, where there is one. Refuses one that is not known.
async fn version(kept: &Kept) -> Result<Option<i32>, MongoOpenError> {
    let stamp = kept.meta.find_one(doc! { "_id": STAMP }).await?;
    match stamp.and_then(|stamp| stamp.version) {
        Some(found) if found > VERSION => Err(MongoOpenError::Newer {
            name: kept.database.name().to_owned(),
            found,
            known: VERSION,
        }),
        version => Ok(version),
    }
}

fn plain() -> IndexOptions {
    IndexOptions::default()
}

fn unique() -> IndexOptions {
    IndexOptions::builder().unique(true).build()
}

/// Only open assignments: those that time will end.
fn open() -> IndexOptions {
    IndexOptions::builder()
        .partial_filter_expression(doc! { "ends_at": { "$exists": true } })
        .build()
}

async fn index<T: Send + Sync>(
    collection: &Collection<T>,
    name: &str,
    keys: Document,
    mut options: IndexOptions,
) -> Result<(), MongoOpenError> {
    options.name = Some(name.to_owned());
    let model = IndexModel::builder().keys(keys).options(options).build();
    collection.create_index(model).await?;
    Ok(())
}

/// Drops what nobody needs to keep up. Only what is there: to drop an index, also one that is not, waits for all transactions,
/// and one that a killed hub left behind takes a minute.
async fn drop_outdated(collection: &Collection<AssignmentDoc>) -> Result<(), MongoOpenError> {
    let there = collection.list_index_names().await?;
    for name in there
        .iter()
        .filter(|name| OUTDATED.contains(&name.as_str()))
    {
        drop_index(collection, name).await?;
    }
    Ok(())
}

/// Drops an index where there is one.
async fn drop_index<T: Send + Sync>(
    collection: &Collection<T>,
    name: &str,
) -> Result<(), MongoOpenError> {
    match collection.drop_index(name).await {
        Err(error) if !is_not_indexed(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// MongoDB deletes results by age itself, where that is wanted; the last hub that starts decides.
async fn forget_results(kept: &Kept, result_life: ResultLife) -> Result<(), MongoOpenError> {
    let life = match result_life {
        ResultLife::AsItIs => return Ok(()),
        ResultLife::Endless => None,
        ResultLife::For(life) => Some(life),
    };
    forget(kept, &kept.results, life).await?;
    forget(kept, &kept.raws, life).await
}

async fn forget<T: Send + Sync>(
    kept: &Kept,
    collection: &Collection<T>,
    life: Option<Duration>,
) -> Result<(), MongoOpenError> {
    let indexes: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
    let found = indexes
        .into_iter()
        .filter_map(|index| index.options)
        .find(|options| options.name.as_deref() == Some(BY_AGE));
    match (found.map(|options| options.expire_after), life) {
        (None, None) => Ok(()),
        (Some(_), None) => {
            tracing::info!(
                collection = collection.name(),
                "documents are kept for ever from now on"
            );
            // Another hub that starts now may be quicker.
            drop_index(collection, BY_AGE).await
        }
        (None, Some(life)) => {
            let options = IndexOptions::builder().expire_after(life).build();
            index(collection, BY_AGE, doc! { "received_at": 1 }, options).await
        }
        (Some(before), Some(life)) if before == Some(life) => Ok(()),
        (Some(_), Some(life)) => {
            let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
            let change = doc! {
                "collMod": collection.name(),
                "index": { "name": BY_AGE, "expireAfterSeconds": seconds },
            };
            kept.database.run_command(change).await?;
            Ok(())
        }
    }
}

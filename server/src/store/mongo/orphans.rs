//! Transactions that nobody will end: those of a hub that was killed, and those whose server could not be reached when
//! they were given up. MongoDB ends them after a minute (`transactionLifetimeLimitSeconds`) and lets nobody change until
//! then what they have changed, a balance most often. So whoever runs into one ends it.
//!
//! An orphan waits for its next command, and the connection that brought its last one is gone. Should its hub be there
//! after all, that begins it anew ([`super::link`]): to end one too many costs time and nothing else.

use std::{collections::HashSet, time::Duration};

use bson::{Bson, doc};
use futures::TryStreamExt as _;
use mongodb::options::ReadConcern;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{Kept, connect::NAME, error::Attempt};

/// How often a hub looks, at most: many may run into the same orphan.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Younger ones are left alone: their connection may have been made while MongoDB listed them.
const OLD_ENOUGH: Duration = Duration::from_secs(1);

/// When they were looked for last.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    looked: Mutex<Option<Instant>>,
}

/// What MongoDB tells of a connection, or of a session without one.
#[derive(Debug, Deserialize)]
struct Seen {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "connectionId")]
    connection: i64,
    #[serde(rename = "appName", default)]
    program: String,
    #[serde(default)]
    lsid: Option<Lsid>,
    #[serde(default)]
    transaction: Option<Open>,
}

#[derive(Debug, Deserialize)]
struct Lsid {
    id: Bson,
}

#[derive(Debug, Deserialize)]
struct Open {
    /// Not told of a transaction that begins or ends while MongoDB looks.
    #[serde(rename = "timeOpenMicros")]
    for_us: Option<i64>,
}

impl Orphans {
    /// Ends those that are there now, unless somebody just has, or is at it.
    pub(super) async fn end(&self, kept: &Kept) {
        let Ok(mut looked) = self.looked.try_lock() else {
            return;
        };
        if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        match end_all(kept).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "ended transactions that a hub left behind"),
            // They end by themselves, only later.
            Err(error) => tracing::warn!(%error, "cannot look for transactions left behind"),
        }
        *looked = Some(Instant::now());
    }
}

async fn end_all(kept: &Kept) -> Attempt<usize> {
    let admin = kept.client.database("admin");
    // Only what this login may see, which is its own; that needs no right.
    let look = [
        doc! { "$currentOp": { "allUsers": false, "idleConnections": true, "idleSessions": true } },
        doc! { "$match": { "connectionId": { "$exists": true } } },
        doc! { "$project": {
            "type": 1, "connectionId": 1, "appName": 1, "lsid.id": 1, "transaction.timeOpenMicros": 1,
        } },
    ];
    let look = admin.aggregate(look).with_type::<Seen>();
    // The only concern that it takes.
    let seen = look.read_concern(ReadConcern::local()).await?;
    let sessions = orphans(seen.try_collect().await?);
    let count = sessions.len();
    if count > 0 {
        let sessions: Vec<_> = sessions.into_iter().map(|id| doc! { "id": id }).collect();
        admin.run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(count)
}

/// The sessions of orphans.
fn orphans(seen: Vec<Seen>) -> Vec<Bson> {
    let connections = seen.iter().filter(|one| one.kind == "op");
    let connections: HashSet<i64> = connections.map(|one| one.connection).collect();
    let is_orphan = |one: &Seen| {
        let open = one.transaction.as_ref().and_then(|open| open.for_us);
        let open = open.and_then(|us| u64::try_from(us).ok());
        one.kind == "idleSession"
            && one.program == NAME
            && open.is_some_and(|us| Duration::from_micros(us) >= OLD_ENOUGH)
            && !connections.contains(&one.connection)
    };
    let ids = seen.into_iter().filter(is_orphan);
    ids.filter_map(|one| one.lsid.map(|lsid| lsid.id)).collect()
}

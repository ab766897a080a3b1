//! Keeping the file tidy, and closing it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::ProbeId;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    codec::{self, ms},
    environment, keys, wiping,
};
use crate::store::{Lease, Stored, UpkeepStore, Work, stamp::stamped};

#[async_trait]
impl UpkeepStore for SqliteStore {
    fn name(&self) -> &str {
        "sqlite"
    }

    async fn environment(&self) -> Stored<Option<String>> {
        self.read(|connection| Ok(environment::name(connection)?))
            .await
    }

    async fn stamp(&self, environment: &str) -> Stored<String> {
        let wanted = environment.to_owned();
        let found = self.write(move |connection| environment::stamp_and_read(connection, &wanted));
        stamped(found.await?)
    }

    async fn lease(&self, work: Work, holder: &str, _length: Duration) -> Stored<Option<Lease>> {
        // Nobody else has the file open: `open::lock`.
        Ok(Some(Lease {
            work,
            holder: holder.into(),
            fence: 1,
        }))
    }

    async fn release(&self, _lease: &Lease) -> Stored<()> {
        Ok(())
    }

    async fn forget_keys(&self, lease: &Lease, before: DateTime<Utc>) -> Stored<()> {
        lease.is_for(Work::ForgetKeys)?;
        self.write(move |connection| keys::forget(connection, before))
            .await
    }

    async fn forget_results(
        &self,
        lease: &Lease,
        before: DateTime<Utc>,
        limit: usize,
    ) -> Stored<usize> {
        lease.is_for(Work::ForgetResults)?;
        self.write(move |connection| forget_results(connection, before, limit))
            .await
    }

    async fn delete_all(&self) -> Stored<Vec<ProbeId>> {
        self.write(wiping::delete_all).await
    }

    async fn ping(&self) -> Stored<()> {
        // Through the writer: a hub that cannot write is not ready. Nothing is written, so nothing is synced.
        self.write(|connection| {
            let mut statement = connection.prepare_cached("select 1")?;
            Ok(statement.query_row([], |_| Ok(()))?)
        })
        .await
    }

    async fn close(&self) {
        self.shut().await;
    }
}

const FORGET_RESULTS: &str = "delete from results where rowid in
    (select rowid from results where received_at_ms < ?1 order by received_at_ms limit ?2)";

/// Forgets the oldest results that were stored before, as many as may be.
fn forget_results(connection: &Connection, before: DateTime<Utc>, limit: usize) -> Stored<usize> {
    let mut statement = connection.prepare_cached(FORGET_RESULTS)?;
    Ok(statement.execute(params![ms(before), codec::limit(limit)])?)
}

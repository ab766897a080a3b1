//! Reading the file to judge it: [`reading`] has the pages, [`repairing`] what is put right. This module asks SQLite what it
//! thinks of the file itself, and keeps the report.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::UserId;
use rusqlite::{Connection, InterruptHandle, OptionalExtension};

use super::{SqliteStore, codec::maybe_time};
use crate::{
    domain::audit::{EntryFacts, ProbeFacts, Repair, ResultFacts, Thing, UserFacts},
    store::{AuditStore, Edge, Facts, Lease, OperationsFacts, Stored, Work},
};

mod reading;
mod repairing;

/// Longest that SQLite may look through the file: it reads all of it, and a disk gives a hundred megabytes a second.
const INSPECT_DEADLINE: Duration = Duration::from_secs(1800);
/// Lines of damage that are told; there may be one for each page.
const DAMAGE_TOLD: i64 = 20;

#[async_trait]
impl AuditStore for SqliteStore {
    async fn user_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<UserFacts>> {
        let after = after.cloned();
        self.read(move |connection| reading::users(connection, after.as_ref(), limit))
            .await
    }

    async fn probe_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<ProbeFacts>> {
        let after = after.cloned();
        self.read(move |connection| reading::probes(connection, after.as_ref(), limit))
            .await
    }

    async fn operation_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<OperationsFacts> {
        let after = after.cloned();
        self.read(move |connection| reading::operations(connection, after.as_ref(), limit))
            .await
    }

    async fn result_facts(
        &self,
        after: Option<&Edge>,
        last: Option<&Edge>,
        limit: usize,
    ) -> Stored<Facts<ResultFacts>> {
        let (after, last) = (after.cloned(), last.cloned());
        self.read(move |connection| {
            reading::results(connection, after.as_ref(), last.as_ref(), limit)
        })
        .await
    }

    async fn entry_facts(&self, after: Option<&Edge>, limit: usize) -> Stored<Facts<EntryFacts>> {
        let after = after.cloned();
        self.read(move |connection| reading::entries(connection, after.as_ref(), limit))
            .await
    }

    async fn first_entry(&self, user: UserId) -> Stored<Option<DateTime<Utc>>> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(FIRST_ENTRY)?;
            let found = statement.query_row([user.to_string()], |row| maybe_time(row, "at_ms"));
            Ok(found.optional()?.flatten())
        })
        .await
    }

    async fn absent(&self, things: Vec<Thing>) -> Stored<Vec<Thing>> {
        self.read(move |connection| reading::absent(connection, &things))
            .await
    }

    async fn inspect(&self) -> Stored<Vec<String>> {
        let stop = Stop::default();
        let stopped = stop.clone();
        let inspecting = move |connection: &Connection| {
            stopped.set(Some(connection.get_interrupt_handle()));
            let found = inspect(connection);
            // From here on the connection is somebody else's.
            stopped.set(None);
            found
        };
        let _stop = StopWhenGone(stop);
        let found = self.readers.read_within(INSPECT_DEADLINE, inspecting);
        found.await
    }

    async fn repair(&self, repair: Repair) -> Stored<Option<String>> {
        self.write(move |connection| repairing::repair(connection, repair))
            .await
    }

    async fn keep_report(&self, lease: &Lease, report: String) -> Stored<()> {
        lease.is_for(Work::Diagnose)?;
        self.write(move |connection| {
            connection.prepare_cached(KEEP)?.execute([report])?;
            Ok(())
        })
        .await
    }

    async fn report(&self) -> Stored<Option<String>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(REPORT)?;
            Ok(statement.query_row([], |row| row.get(0)).optional()?)
        })
        .await
    }
}

const FIRST_ENTRY: &str = "select at_ms from ledger where user = ?1 order by number limit 1";
const KEEP: &str =
    "insert into reports (id, report) values (1, ?1) on conflict (id) do update set report = ?1";
const REPORT: &str = "select report from reports where id = 1";

/// Ends what a connection is doing, while it does it.
#[derive(Clone, Default)]
struct Stop(Arc<Mutex<Option<InterruptHandle>>>);

impl Stop {
    fn set(&self, handle: Option<InterruptHandle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}

/// Who waits for a look at the whole file may go away; then it ends.
struct StopWhenGone(Stop);

impl Drop for StopWhenGone {
    fn drop(&mut self) {
        let handle = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*handle {
            handle.interrupt();
        }
    }
}

/// What SQLite finds wrong with the file. References are looked at with everything else, but for those of keys.
fn inspect(connection: &Connection) -> Stored<Vec<String>> {
    let mut found = Vec::new();
    connection.pragma(None, "integrity_check", DAMAGE_TOLD, |row| {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.push(line);
        }
        Ok(())
    })?;
    let mut strays = 0_u64;
    connection.pragma(None, "foreign_key_check", "idempotency_keys", |_| {
        strays += 1;
        Ok(())
    })?;
    if strays > 0 {
        found.push(format!(
            "{strays} idempotency keys are of users that are not there"
        ));
    }
    Ok(found)
}

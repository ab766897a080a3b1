//! The assignments this probe holds, each in one file with its progress.
//!
//! An assignment that ended stays as a tombstone until the hub says `closed`, so that `finished` can be said again and
//! a late copy of the same `assign` is recognised.

use std::{collections::BTreeMap, fs, io};

use chrono::{DateTime, Utc};
use probe_protocol::{Assign, OperationId, ResultCode};
use serde::{Deserialize, Serialize};
use tracing::warn;
use uuid::Uuid;

use crate::data_dir::{DataDir, files};

/// Why an assignment gives no more results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All its runs are over.
    Completed,
    /// The hub cancelled it.
    Cancelled,
}

/// How far an assignment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Progress {
    /// One run.
    Once {
        /// The run's name, chosen before it starts: a run that is repeated after a crash keeps it.
        code: ResultCode,
    },
    /// A schedule.
    Schedule {
        /// Every run planned up to here was started or skipped.
        upto: DateTime<Utc>,
        /// Runs that were skipped because they could not start in time.
        skipped: u64,
    },
}

/// One assignment as it lies on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the hub asked for.
    pub assign: Assign,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// How far it is.
    pub progress: Progress,
    /// Set once no more results will be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

impl Record {
    fn new(assign: Assign, now: DateTime<Utc>) -> Self {
        let progress = match assign.schedule {
            Some(_) => Progress::Schedule {
                upto: now,
                skipped: 0,
            },
            None => Progress::Once { code: new_code() },
        };
        Self {
            assign,
            received_at: now,
            progress,
            ended: None,
        }
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.assign.operation
    }
}

/// A fresh name for a run.
#[must_use]
pub fn new_code() -> ResultCode {
    let text = Uuid::now_v7().hyphenated().to_string();
    ResultCode::try_from(text).unwrap_or_else(|_| unreachable!("hex digits and '-' make a code"))
}

/// All assignments, with `DIR/assignments` behind them.
#[derive(Debug, Default)]
pub struct Assignments(BTreeMap<OperationId, Record>);

impl Assignments {
    /// Reads what lies there; unreadable files are set aside.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn load(dir: &DataDir) -> io::Result<Self> {
        let mut records = BTreeMap::new();
        for file in files(&dir.assignments())? {
            let record = fs::read(&file)
                .map_err(|e| e.to_string())
                .and_then(|bytes| {
                    serde_json::from_slice::<Record>(&bytes).map_err(|e| e.to_string())
                });
            match record {
                Ok(record)
                    if file.ends_with(name_of(record.operation()))
                        && record.assign.schedule.is_some()
                            == matches!(record.progress, Progress::Schedule { .. }) =>
                {
                    records.insert(record.operation(), record);
                }
                Ok(_) => dir.set_aside(&file, &"holds something else than its name says"),
                Err(why) => dir.set_aside(&file, &why),
            }
        }
        Ok(Self(records))
    }

    /// Keeps a new assignment; durable, as all that is written here, after [`DataDir::commit`].
    ///
    /// # Errors
    /// The file cannot be written; then nothing is kept.
    pub fn accept(
        &mut self,
        dir: &DataDir,
        assign: Assign,
        now: DateTime<Utc>,
    ) -> io::Result<Record> {
        let record = Record::new(assign, now);
        self.save(dir, record.clone())?;
        Ok(record)
    }

    /// Notes that every run up to `upto` was started or skipped, `skipped` of them newly skipped.
    ///
    /// # Errors
    /// The file cannot be written; then the progress stays as it was.
    pub fn advance(
        &mut self,
        dir: &DataDir,
        operation: OperationId,
        upto: DateTime<Utc>,
        newly_skipped: u64,
    ) -> io::Result<()> {
        let Some(record) = self.0.get(&operation) else {
            return Ok(());
        };
        let mut record = record.clone();
        if let Progress::Schedule { upto: at, skipped } = &mut record.progress {
            *at = upto;
            *skipped += newly_skipped;
        }
        self.save(dir, record)
    }

    /// Notes that no more results will be made. The first reason stays.
    ///
    /// # Errors
    /// The file cannot be written; it is ended in memory all the same, and will be again after a restart.
    pub fn end(&mut self, dir: &DataDir, operation: OperationId, ended: Ended) -> io::Result<()> {
        let Some(record) = self.0.get_mut(&operation) else {
            return Ok(());
        };
        if record.ended.is_some() {
            return Ok(());
        }
        record.ended = Some(ended);
        let record = record.clone();
        self.save(dir, record)
    }

    /// Forgets an assignment. Not made durable: a tombstone that comes back after a crash is answered by the hub again.
    pub fn close(&mut self, dir: &DataDir, operation: OperationId) {
        if self.0.remove(&operation).is_none() {
            return;
        }
        let file = dir.assignments().join(name_of(operation));
        if let Err(cause) = fs::remove_file(&file) {
            warn!(file = %file.display(), %cause, "cannot delete {}", file.display());
        }
    }

    /// One assignment.
    #[must_use]
    pub fn get(&self, operation: OperationId) -> Option<&Record> {
        self.0.get(&operation)
    }

    /// All of them, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.0.values()
    }

    /// How many are held, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Credits in use: one run's price of each assignment that has not ended.
    #[must_use]
    pub fn in_use_credits(&self) -> u32 {
        let running = self.0.values().filter(|record| record.ended.is_none());
        running.fold(0, |sum, record| sum.saturating_add(record.assign.credits))
    }

    fn save(&mut self, dir: &DataDir, record: Record) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(&record)?;
        dir.write(&dir.assignments(), &name_of(record.operation()), &bytes)?;
        self.0.insert(record.operation(), record);
        Ok(())
    }
}

fn name_of(operation: OperationId) -> String {
    format!("{operation}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn progress_outlives_the_agent() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let mut held = Assignments::load(&dir).unwrap();
        let now = "2026-03-01T10:00:00.123456789Z".parse().unwrap();
        let once = held.accept(&dir, fixture::once(1), now).unwrap();
        let cron = held
            .accept(&dir, fixture::scheduled(2, "* * * * *", 1), now)
            .unwrap();
        let run = "2026-03-01T10:01:00.5Z".parse().unwrap();
        held.advance(&dir, cron.operation(), run, 3).unwrap();
        held.end(&dir, once.operation(), Ended::Completed).unwrap();
        held.end(&dir, once.operation(), Ended::Cancelled).unwrap();
        dir.commit().unwrap();

        let held = Assignments::load(&dir).unwrap();
        let mut expected = once.clone();
        expected.ended = Some(Ended::Completed);
        assert_eq!(held.get(once.operation()), Some(&expected));
        let progress = &held.get(cron.operation()).unwrap().progress;
        let (upto, skipped) = (run, 3);
        assert_eq!(progress, &Progress::Schedule { upto, skipped });
        assert_eq!(held.in_use_credits(), cron.assign.credits);
    }

    #[test]
    fn damaged_files_are_set_aside_and_cost_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let mut held = Assignments::load(&dir).unwrap();
        let now = Utc::now();
        for number in 1..=3 {
            held.accept(&dir, fixture::once(number), now).unwrap();
        }
        dir.commit().unwrap();
        let file = |number| dir.assignments().join(name_of(fixture::operation(number)));
        fs::write(file(1), "{\"assign\":").unwrap();
        fs::rename(file(2), file(9)).unwrap();
        let held = Assignments::load(&dir).unwrap();
        let left: Vec<_> = held.iter().map(Record::operation).collect();
        assert_eq!(left, [fixture::operation(3)]);
        assert_eq!(files(&dir.damaged()).unwrap().len(), 2);
    }

    #[test]
    fn a_closed_assignment_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let mut held = Assignments::load(&dir).unwrap();
        held.accept(&dir, fixture::once(1), Utc::now()).unwrap();
        dir.commit().unwrap();
        held.close(&dir, fixture::operation(1));
        held.close(&dir, fixture::operation(1));
        assert!(Assignments::load(&dir).unwrap().is_empty());
    }
}

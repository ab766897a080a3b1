//! Results on disk, from the end of a run until the hub said `stored` or `rejected`.
//!
//! One file a result, holding the very frame that travels; the file's name says which result it is, so a start reads
//! names only. Files over the size limit go oldest first. Memory holds the names, never the contents.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
};

use probe_protocol::{OperationId, ProbeFrame, ResultCode};
use tracing::warn;

use crate::data_dir::{DataDir, files};

/// Position of a result in the spool; later results have higher numbers.
pub type Sequence = u64;

/// Digits of a sequence number in a file's name: enough for every `u64`, so that names sort as numbers.
const SEQUENCE_DIGITS: usize = 20;

/// Which result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResultKey {
    /// The operation.
    pub operation: OperationId,
    /// The run's name.
    pub code: ResultCode,
}

/// A result read back for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Where it lies.
    pub sequence: Sequence,
    /// Which result it is.
    pub key: ResultKey,
    /// The `result` frame, BSON.
    pub frame: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    key: ResultKey,
    bytes: u64,
}

/// The index over `DIR/results`.
#[derive(Debug)]
pub struct Spool {
    limit: u64,
    bytes: u64,
    entries: BTreeMap<Sequence, Entry>,
    by_key: HashMap<ResultKey, Sequence>,
    of_operation: HashMap<OperationId, u32>,
    next: Sequence,
}

impl Spool {
    /// Reads the names of what lies there; files with other names are set aside.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn load(dir: &DataDir, limit: u64) -> io::Result<Self> {
        let mut spool = Self {
            limit,
            bytes: 0,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            of_operation: HashMap::new(),
            next: 1,
        };
        for file in files(&dir.results())? {
            let name = file.file_name().and_then(|name| name.to_str());
            match (name.and_then(parse_name), fs::metadata(&file)) {
                (Some((sequence, key)), Ok(meta)) if !spool.by_key.contains_key(&key) => {
                    spool.insert(sequence, key, meta.len());
                }
                _ => dir.set_aside(&file, &"not a result's name, or there twice"),
            }
        }
        Ok(spool)
    }

    /// Keeps a result; durable after [`DataDir::commit`]. One that is there already is left as it is.
    /// Returns how many older ones were dropped to stay below the limit.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, dir: &DataDir, key: ResultKey, frame: &[u8]) -> io::Result<u64> {
        if self.by_key.contains_key(&key) {
            return Ok(0);
        }
        let sequence = self.next;
        dir.write(&dir.results(), &name_of(sequence, &key), frame)?;
        self.insert(sequence, key, frame.len() as u64);
        let mut dropped = 0;
        if self.bytes > self.limit {
            dir.commit()?; // what is dropped must be in its place
        }
        while self.bytes > self.limit && self.entries.len() > 1 {
            let Some((&oldest, _)) = self.entries.first_key_value() else {
                break;
            };
            self.delete(dir, oldest);
            dropped += 1;
        }
        Ok(dropped)
    }

    /// The oldest results after `after`: at most `count`, and no further one once `bytes` are read.
    pub fn read_after(
        &mut self,
        dir: &DataDir,
        after: Sequence,
        count: usize,
        bytes: usize,
    ) -> Vec<Spooled> {
        let mut batch: Vec<Spooled> = Vec::new();
        let mut total = 0;
        let mut unreadable = Vec::new();
        for (&sequence, entry) in self.entries.range(after.saturating_add(1)..) {
            if batch.len() >= count || total >= bytes {
                break;
            }
            match read(dir, sequence, &entry.key) {
                Ok(frame) => {
                    total += frame.len();
                    let key = entry.key.clone();
                    batch.push(Spooled {
                        sequence,
                        key,
                        frame,
                    });
                }
                Err(why) => unreadable.push((sequence, why)),
            }
        }
        for (sequence, why) in unreadable {
            if let Some(entry) = self.forget(sequence) {
                dir.set_aside(&dir.results().join(name_of(sequence, &entry.key)), &why);
            }
        }
        batch
    }

    /// Deletes a result that the hub answered. The deletion is not made durable: one that comes back after a crash is
    /// sent again and answered again.
    pub fn remove(&mut self, dir: &DataDir, key: &ResultKey) {
        if let Some(&sequence) = self.by_key.get(key) {
            self.delete(dir, sequence);
        }
    }

    /// Whether this result is kept.
    #[must_use]
    pub fn holds(&self, key: &ResultKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether results of this operation are kept.
    #[must_use]
    pub fn holds_any_of(&self, operation: OperationId) -> bool {
        self.of_operation.contains_key(&operation)
    }

    /// How many results are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest sequence number given so far.
    #[must_use]
    pub fn newest(&self) -> Sequence {
        self.next - 1
    }

    fn insert(&mut self, sequence: Sequence, key: ResultKey, bytes: u64) {
        self.bytes += bytes;
        *self.of_operation.entry(key.operation).or_default() += 1;
        self.by_key.insert(key.clone(), sequence);
        self.entries.insert(sequence, Entry { key, bytes });
        self.next = self.next.max(sequence.saturating_add(1));
    }

    fn forget(&mut self, sequence: Sequence) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.bytes -= entry.bytes;
        self.by_key.remove(&entry.key);
        if let Some(count) = self.of_operation.get_mut(&entry.key.operation) {
            *count -= 1;
            if *count == 0 {
                self.of_operation.remove(&entry.key.operation);
            }
        }
        Some(entry)
    }

    fn delete(&mut self, dir: &DataDir, sequence: Sequence) {
        let Some(entry) = self.forget(sequence) else {
            return;
        };
        let file = dir.results().join(name_of(sequence, &entry.key));
        if let Err(cause) = fs::remove_file(&file) {
            warn!(file = %file.display(), %cause, "cannot delete {}", file.display());
        }
    }
}

fn read(dir: &DataDir, sequence: Sequence, key: &ResultKey) -> Result<Vec<u8>, String> {
    let bytes = fs::read(dir.results().join(name_of(sequence, key))).map_err(|e| e.to_string())?;
    match ProbeFrame::from_binary(&bytes) {
        Ok(ProbeFrame::Result(result))
            if result.operation == key.operation && result.code == key.code =>
        {
            Ok(bytes)
        }
        Ok(_) => Err("holds something else than its name says".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn name_of(sequence: Sequence, key: &ResultKey) -> String {
    let ResultKey { operation, code } = key;
    format!("{sequence:0SEQUENCE_DIGITS$}-{operation}-{code}.bson")
}

fn parse_name(name: &str) -> Option<(Sequence, ResultKey)> {
    let mut parts = name.strip_suffix(".bson")?.splitn(3, '-');
    let sequence = parts.next()?;
    if sequence.len() != SEQUENCE_DIGITS {
        return None;
    }
    let sequence = sequence.parse().ok().filter(|&s| s < Sequence::MAX)?;
    let operation = parts.next()?.parse().ok()?;
    let code = parts.next()?.to_owned().try_into().ok()?;
    Some((sequence, ResultKey { operation, code }))
}

#[cfg(test)]
mod tests;

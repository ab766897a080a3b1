//! One record: what it is, and which decoder reads it.

use std::sync::Arc;

use super::budget::Budget;
use super::fault::Fault;
use super::framing::{self, Cut};
use super::limits::Limits;
use super::list::{CycleStart, CycleStop, Directory, List};
use super::ping::{self, Ping};
use super::reader::Reader;
use super::trace::{self, Trace};

/// Records that may be tried although nothing sensible follows them. Every try may
/// cost as much as the rest of the file is long, so the number keeps time linear.
const DOUBTFUL_TRIES: u32 = 16;

/// One record of a warts file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// A list of targets (type 1).
    List(List),
    /// The start of a pass over a list (type 2).
    CycleStart(Arc<CycleStart>),
    /// A pass that began in another file (type 3).
    CycleDefinition(Arc<CycleStart>),
    /// The end of a pass (type 4).
    CycleStop(CycleStop),
    /// A ping measurement (type 7).
    Ping(Box<Ping>),
    /// A trace measurement (type 6).
    Trace(Box<Trace>),
    /// Bytes that could not be decoded.
    Undecoded(Undecoded),
}

/// A stretch of the file that could not be decoded, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecoded {
    /// Type of the record, where its header could be read.
    pub warts_type: Option<u16>,
    /// Where the stretch begins, bytes from the start of the file.
    pub offset: usize,
    /// Why it could not be decoded.
    pub reason: Fault,
    /// The stretch, header included.
    pub bytes: Vec<u8>,
}

pub(super) fn decode_all(input: &[u8], limits: &Limits) -> Vec<Record> {
    let mut file = File {
        directory: Directory::default(),
        budget: Budget::new(limits),
        doubtful_tries: DOUBTFUL_TRIES,
    };
    let mut records = Vec::new();
    let mut offset = 0;
    while let Some(rest) = input.get(offset..).filter(|rest| !rest.is_empty()) {
        if records.len() >= limits.max_records {
            records.push(Record::Undecoded(Undecoded {
                warts_type: None,
                offset,
                reason: Fault::TooManyRecords {
                    limit: limits.max_records,
                },
                bytes: rest.to_vec(),
            }));
            break;
        }
        let (record, used) = file.next(rest, offset);
        records.push(record);
        offset = offset.saturating_add(used);
    }
    records
}

/// What the records of one file share.
struct File<'a> {
    directory: Directory,
    budget: Budget<'a>,
    doubtful_tries: u32,
}

impl File<'_> {
    /// The record at the front of `rest`, and how many bytes it takes.
    fn next(&mut self, rest: &[u8], offset: usize) -> (Record, usize) {
        let raw = |warts_type, bytes: &[u8], reason| {
            let record = Record::Undecoded(Undecoded {
                warts_type,
                offset,
                reason,
                bytes: bytes.to_vec(),
            });
            (record, bytes.len())
        };
        let (kind, bytes, body) = match framing::cut(rest) {
            Cut::Whole { kind, bytes, body } => (kind, bytes, body),
            Cut::Broken { kind, bytes, fault } => return raw(kind, bytes, fault),
        };
        let doubtful = !rest.get(bytes.len()..).is_some_and(framing::follows);
        if doubtful && self.doubtful_tries == 0 {
            return raw(Some(kind), framing::distrust_length(rest), Fault::Doubtful);
        }
        self.doubtful_tries = self.doubtful_tries.saturating_sub(u32::from(doubtful));
        match self.read(kind, body) {
            Ok(record) => (record, bytes.len()),
            Err(fault) if doubtful => raw(Some(kind), framing::distrust_length(rest), fault),
            Err(fault) => raw(Some(kind), bytes, fault),
        }
    }

    fn read(&mut self, kind: u16, body: &[u8]) -> Result<Record, Fault> {
        let mark = self.budget.mark();
        let result = self.read_kind(kind, &mut Reader::new(body));
        if result.is_err() {
            self.budget.restore(mark);
        }
        result
    }

    fn read_kind(&mut self, kind: u16, body: &mut Reader<'_>) -> Result<Record, Fault> {
        let Self {
            directory, budget, ..
        } = self;
        let limits = budget.limits();
        Ok(match kind {
            1 => Record::List(directory.read_list(body, limits)?),
            2 => Record::CycleStart(directory.read_cycle(body, limits)?),
            3 => Record::CycleDefinition(directory.read_cycle(body, limits)?),
            4 => Record::CycleStop(directory.read_cycle_stop(body)?),
            6 => Record::Trace(Box::new(trace::read(body, directory, budget)?)),
            7 => Record::Ping(Box::new(ping::read(body, directory, budget)?)),
            other => return Err(Fault::UnsupportedType(other)),
        })
    }
}

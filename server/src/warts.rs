//! Pladmed's own decoder for warts, the binary result format of scamper.
//!
//! Bytes go in, typed records come out, and those become JSON (what
//! `sc_warts2json` prints) or text (what `sc_analysis_dump` prints for traces).
//! The facts of the format come from scamper's `warts(5)` and from watching the
//! tools of scamper 20211212; nothing here is scamper's code.
//!
//! A record that cannot be decoded costs only itself: it stays in the output as
//! [`Undecoded`], with its raw bytes. The module reads no file, opens no socket,
//! never panics on any input and knows nothing of the rest of Pladmed.
//!
//! Where to read: `framing` cuts the input into records, `record` picks the
//! decoder of one record, `reader`, `params` and `address` are the pieces shared by
//! all of them, `list`, `ping` and `trace` are the record types, `json` and `dump`
//! the two outputs.

mod address;
mod budget;
mod dump;
mod fault;
mod framing;
mod json;
mod limits;
mod list;
mod params;
mod ping;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod time;
mod trace;

pub use address::Address;
pub use fault::Fault;
pub use limits::Limits;
pub use list::{CycleStart, CycleStop, List};
pub use ping::{Ping, PingFlags, PingMethod, PingReply, PingReplyFlags, ReplyTimestamps};
pub use record::{Record, Undecoded};
pub use time::Timestamp;
pub use trace::{
    Doubletree, Hop, HopFlags, IcmpExtension, MplsLabel, Pmtud, PmtudNote, StopReason, Trace,
    TraceFlags, TraceMethod,
};

/// The records of one warts file, in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// Every byte of the input belongs to exactly one of these.
    pub records: Vec<Record>,
}

/// Decodes a whole warts file, or several of them joined byte by byte.
///
/// Never fails: what is damaged, unknown, or above a limit comes back as
/// [`Record::Undecoded`] with its raw bytes. The input must not be compressed.
#[must_use]
pub fn decode(bytes: &[u8], limits: &Limits) -> Decoded {
    Decoded {
        records: record::decode_all(bytes, limits),
    }
}

impl Decoded {
    /// A JSON array: one object per line `sc_warts2json` would print, in the same
    /// order and with the same keys, and one `{"type":"undecoded", …}` object per
    /// record that could not be decoded. Lists and cycle definitions print nothing.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.records.iter().filter_map(Record::to_json).collect()
    }

    /// One line per trace, as `sc_analysis_dump` prints it without options, after a
    /// comment (lines beginning with `#`) that names the fields. All other records
    /// print nothing. The comment says in our words what the tool's says in its own.
    #[must_use]
    pub fn to_dump(&self) -> String {
        dump::dump(&self.records)
    }

    /// How many records are kept raw.
    #[must_use]
    pub fn undecoded(&self) -> usize {
        let raw = |record: &&Record| matches!(record, Record::Undecoded(_));
        self.records.iter().filter(raw).count()
    }
}

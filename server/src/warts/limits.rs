//! How much one decode may produce, whatever the input claims.

/// Upper bounds for one call of [`decode`](super::decode).
///
/// A record beyond a bound is kept raw, never dropped, so raising a bound later
/// loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records per file; the rest of the file becomes one raw entry.
    ///
    /// 10,000: a measurement of a probe has one record per target plus four, and
    /// the smallest record (8 bytes) costs about 2 KiB as JSON, so 20 MiB at most.
    pub max_records: usize,
    /// Replies, hops, option addresses, timestamps and label words of all records
    /// together; a record that would go beyond it is kept raw.
    ///
    /// 20,000: a thousand traces of twenty hops. The largest item is a hop, about
    /// 4 KiB as JSON against 10 bytes in the file, so 80 MiB at the very worst.
    pub max_items: usize,
    /// Distinct addresses in the table of one record.
    ///
    /// 4,096: a trace has 255 hops, and sixteen different answers at every one of
    /// them is far beyond what load balancing does.
    pub max_addresses: usize,
    /// Bytes of one list name, cycle host name or hop name.
    ///
    /// 1,024: a DNS name has 255; a cycle-stop of 17 bytes repeats the list and
    /// host name of its cycle, so long names would multiply.
    pub max_name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_records: 10_000,
            max_items: 20_000,
            max_addresses: 4_096,
            max_name_bytes: 1_024,
        }
    }
}

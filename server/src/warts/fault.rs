//! Why a record is kept raw.

/// Why a record could not be decoded. The message is the `reason` of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No record header where one should begin.
    #[error("no record header here")]
    NoHeader,
    /// The header promises more bytes than there are, and no later header was found.
    #[error("the record says {length} bytes, {left} are left")]
    Truncated {
        /// Body length of the header, bytes.
        length: u32,
        /// Bytes after the header.
        left: usize,
    },
    /// No record follows where its header says, as of many records before it.
    #[error("no record follows this one, and too many before were like it")]
    Doubtful,
    /// A well-formed record of a type this decoder does not read.
    #[error("records of type {0} are not decoded")]
    UnsupportedType(u16),
    /// The body ends in the middle of a value.
    #[error("the body ends inside a value")]
    ShortBody,
    /// Bytes are left over after the last field.
    #[error("{0} bytes are left over after the last field")]
    LeftOver(usize),
    /// A chain of parameter flags longer than any known record has.
    #[error("the chain of parameter flags is too long")]
    LongFlags,
    /// An address of a kind or size that does not exist.
    #[error("unknown address of kind {kind} with {size} bytes")]
    BadAddress {
        /// Address type of the file.
        kind: u8,
        /// Bytes of the address.
        size: u8,
    },
    /// A reference to an address that this record has not defined.
    #[error("reference to address {0}, which the record does not define")]
    UnknownAddress(u32),
    /// Addresses given by an id of an older warts version.
    #[error("addresses by global id, as older scampers wrote, are not decoded")]
    GlobalAddressId,
    /// A reply, hop or target without the address it needs.
    #[error("{0} has no address")]
    MissingAddress(&'static str),
    /// A hop that does not say at which distance it is.
    #[error("a hop has no probe TTL")]
    MissingTtl,
    /// A reference to a list that the file has not defined.
    #[error("reference to list {0}, which the file does not define")]
    UnknownList(u32),
    /// A reference to a cycle that the file has not started.
    #[error("reference to cycle {0}, which the file does not define")]
    UnknownCycle(u32),
    /// A trace attribute that overruns the record.
    #[error("a trace attribute is malformed")]
    BadAttribute,
    /// An IP timestamp option whose two counts contradict each other.
    #[error("a timestamp option has {timestamps} times for {addresses} addresses")]
    BadTimestamps {
        /// Number of timestamps.
        timestamps: u8,
        /// Number of addresses.
        addresses: u8,
    },
    /// A name longer than [`Limits::max_name_bytes`](super::Limits::max_name_bytes).
    #[error("a name is longer than {limit} bytes")]
    LongName {
        /// The limit, bytes.
        limit: usize,
    },
    /// More addresses than [`Limits::max_addresses`](super::Limits::max_addresses).
    #[error("the record defines more than {limit} addresses")]
    TooManyAddresses {
        /// The limit.
        limit: usize,
    },
    /// The file has more than [`Limits::max_items`](super::Limits::max_items).
    #[error("the file has more than {limit} replies, hops and option values")]
    TooManyItems {
        /// The limit.
        limit: usize,
    },
    /// What follows the last record that [`Limits::max_records`](super::Limits::max_records) allows.
    #[error("the file has more than {limit} records")]
    TooManyRecords {
        /// The limit.
        limit: usize,
    },
}

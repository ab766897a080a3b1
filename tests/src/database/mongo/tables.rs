//! Which field of a document is which column.

use bson::{Bson, Document};
use rusqlite::types::Value;

use Kind::{Flag, Id, Text, Time, Whole};

/// What a field must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ObjectId; a column of 24 hexadecimal digits.
    Id,
    /// Text.
    Text,
    /// A whole number. One that only looks whole is none: money is not counted in floating point.
    Whole,
    /// True or false; 1 or 0.
    Flag,
    /// A date; milliseconds since 1970.
    Time,
    /// Anything; JSON text.
    Json,
}

/// A column, and the field that it comes from.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// The field, with those that it lies in, separated by dots.
    path: &'static str,
    kind: Kind,
    /// Whether it may be absent, or null.
    may_be_absent: bool,
}

/// A table, and its collection, which has the same name.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Keys and references only; everything else is for the promises to find.
    pub(super) create: &'static str,
    pub(super) columns: &'static [Column],
}

/// In an order in which nothing refers to what comes later.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "users",
        create: "create table users (id primary key, email, is_superuser, credits, ledger_entries, created_at_ms)",
        columns: &[
            must("id", "_id", Id),
            must("email", "email", Text),
            must("is_superuser", "is_superuser", Flag),
            must("credits", "credits", Whole),
            must("ledger_entries", "ledger_entries", Whole),
            must("created_at_ms", "created_at", Time),
        ],
    },
    Table {
        name: "probes",
        create: "create table probes (id primary key, owner references users (id), name, token_generation, created_at_ms,
            deleted_at_ms, last_seen_ms, agent, agent_version, total_credits, refused_results,
            -- Not kept: MongoDB's store adds it up where it is asked for.
            load)",
        columns: &[
            must("id", "_id", Id),
            must("owner", "owner", Id),
            may("name", "name", Text),
            must("token_generation", "token_generation", Whole),
            must("created_at_ms", "created_at", Time),
            may("deleted_at_ms", "deleted_at", Time),
            may("last_seen_ms", "last_seen", Time),
            may("agent", "agent.name", Text),
            may("agent_version", "agent.version", Text),
            may("total_credits", "agent.total_credits", Whole),
            must("refused_results", "refused_results", Whole),
        ],
    },
    Table {
        name: "operations",
        create: "create table operations (id primary key, owner references users (id), kind, result_format, run_price,
            planned_runs, charged, refunded, last_seq, open_assignments, created_at_ms, expires_at_ms, closes_at_ms,
            stop_time_ms, cancelled_at_ms, ended_at_ms, as_sent)",
        columns: &[
            must("id", "_id", Id),
            must("owner", "owner", Id),
            must("kind", "kind", Text),
            must("result_format", "result_format", Text),
            must("run_price", "run_price", Whole),
            must("planned_runs", "planned_runs", Whole),
            must("charged", "charged", Whole),
            must("refunded", "refunded", Whole),
            must("last_seq", "last_seq", Whole),
            must("open_assignments", "open_assignments", Whole),
            must("created_at_ms", "created_at", Time),
            must("expires_at_ms", "expires_at", Time),
            must("closes_at_ms", "closes_at", Time),
            may("stop_time_ms", "schedule.stop_time", Time),
            may("cancelled_at_ms", "cancelled_at", Time),
            may("ended_at_ms", "ended_at", Time),
            may("as_sent", "as_sent", Kind::Json),
        ],
    },
    Table {
        name: "assignments",
        create: "create table assignments (operation references operations (id), probe references probes (id), state,
            planned_runs, results, run_price, created_at_ms, delivered_at_ms, accepted_at_ms, ended_at_ms, ends_at_ms,
            reason, primary key (operation, probe))",
        columns: &[
            must("operation", "_id.operation", Id),
            must("probe", "_id.probe", Id),
            must("state", "state", Text),
            must("planned_runs", "planned_runs", Whole),
            must("results", "results", Whole),
            must("run_price", "run_price", Whole),
            must("created_at_ms", "created_at", Time),
            may("delivered_at_ms", "delivered_at", Time),
            may("accepted_at_ms", "accepted_at", Time),
            may("ended_at_ms", "ended_at", Time),
            may("ends_at_ms", "ends_at", Time),
            may("reason", "reason", Text),
        ],
    },
    Table {
        name: "results",
        create: "create table results (operation, probe, code, seq, format, undecoded, measured, rewarded, received_at_ms,
            started_at_ms, finished_at_ms, clock_offset_us, clock_error_us,
            foreign key (operation, probe) references assignments (operation, probe))",
        columns: &[
            must("operation", "_id.operation", Id),
            must("probe", "_id.probe", Id),
            must("code", "_id.code", Text),
            must("seq", "seq", Whole),
            must("format", "format", Text),
            must("undecoded", "undecoded", Whole),
            must("measured", "measured", Flag),
            must("rewarded", "rewarded", Flag),
            must("received_at_ms", "received_at", Time),
            must("started_at_ms", "started_at", Time),
            must("finished_at_ms", "finished_at", Time),
            may("clock_offset_us", "clock.offset_us", Whole),
            may("clock_error_us", "clock.error_us", Whole),
        ],
    },
    Table {
        name: "ledger",
        // The documents come in the order of users and numbers, so the rows are numbered in that order too.
        create: "create table ledger (id integer primary key, user references users (id), number, amount, balance, reason,
            operation references operations (id), probe references probes (id), at_ms)",
        columns: &[
            must("user", "_id.user", Id),
            must("number", "_id.number", Whole),
            must("amount", "amount", Whole),
            must("balance", "balance", Whole),
            must("reason", "reason", Text),
            may("operation", "operation", Id),
            may("probe", "probe", Id),
            must("at_ms", "at", Time),
        ],
    },
    Table {
        name: "idempotency_keys",
        create: "create table idempotency_keys (user references users (id), key, fingerprint, subject, created_at_ms,
            primary key (user, key))",
        columns: &[
            must("user", "_id.user", Id),
            must("key", "_id.key", Text),
            must("fingerprint", "fingerprint", Text),
            must("subject", "subject", Kind::Json),
            must("created_at_ms", "created_at", Time),
        ],
    },
];

/// What the promises look things up by: without these, a look at each assignment would be a look at all results.
pub(super) const INDEXES: &str = "create index results_of on results (operation, probe, code);
    create index entries_about on ledger (operation, reason); create index entries_of on ledger (user);
    create index assignments_of on assignments (probe)";

const fn must(name: &'static str, path: &'static str, kind: Kind) -> Column {
    Column {
        name,
        path,
        kind,
        may_be_absent: false,
    }
}

const fn may(name: &'static str, path: &'static str, kind: Kind) -> Column {
    Column {
        name,
        path,
        kind,
        may_be_absent: true,
    }
}

impl Column {
    /// The field of a document; what is wrong with it, when it is not what it must be.
    pub(super) fn read(&self, document: &Document) -> Result<Value, String> {
        let found = at(document, self.path);
        let value = match (self.kind, found) {
            (_, None | Some(Bson::Null)) if self.may_be_absent => Value::Null,
            (Id, Some(Bson::ObjectId(id))) => Value::Text(id.to_hex()),
            (Text | Kind::Json, Some(Bson::String(text))) => Value::Text(text.clone()),
            (Whole, Some(Bson::Int32(number))) => Value::Integer(i64::from(*number)),
            (Whole, Some(Bson::Int64(number))) => Value::Integer(*number),
            (Flag, Some(Bson::Boolean(flag))) => Value::Integer(i64::from(*flag)),
            (Time, Some(Bson::DateTime(time))) => Value::Integer(time.timestamp_millis()),
            (Kind::Json, Some(other)) => {
                Value::Text(serde_json::to_string(other).map_err(|error| error.to_string())?)
            }
            (Id | Text | Whole | Flag | Time | Kind::Json, other) => {
                return Err(format!("{} is {other:?}, not {:?}", self.path, self.kind));
            }
        };
        Ok(value)
    }
}

/// The field at the end of a path.
fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => at(document.get(first)?.as_document()?, rest),
    }
}

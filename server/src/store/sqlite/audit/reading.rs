//! Pages of facts, each by one statement, or by two in one transaction that reads.

use probe_protocol::{OperationId, ProbeId, UserId};
use rusqlite::{Connection, Params, Row, params};

use super::super::{
    assignments,
    codec::{self, maybe_time, parsed, time, word},
    operations, probes, users,
};
use crate::{
    domain::audit::{
        AssignmentFacts, ClockFacts, EntryFacts, OperationFacts, ProbeFacts, ResultFacts, Thing,
        UserFacts,
    },
    store::{Edge, Facts, OperationsFacts, Stored, Unreadable},
};

/// Behind all identifiers, which are hexadecimal digits.
const BEHIND_ALL: &str = "~";

/// The first part of an edge; before all where there is none.
fn id(edge: Option<&Edge>) -> &str {
    edge.map_or("", |edge| &edge.id)
}

fn number(edge: Option<&Edge>) -> i64 {
    edge.map_or(0, |edge| edge.number)
}

/// How a part is read.
struct Shape<T> {
    /// What one of it is called.
    part: &'static str,
    /// The columns that name it.
    id: &'static str,
    number: Option<&'static str>,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
}

/// The rows of a statement. What does not read is named; a file that does not is an error.
fn page<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    shape: &Shape<T>,
    limit: Option<usize>,
) -> Stored<Facts<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let (mut read, mut unreadable, mut end) = (Vec::new(), Vec::new(), None);
    let mut count = 0_usize;
    while let Some(row) = rows.next()? {
        count += 1;
        let id: String = row.get(shape.id)?;
        let number = match shape.number {
            Some(column) => row.get(column)?,
            None => Edge::WHOLE,
        };
        match (shape.read)(row) {
            Ok(facts) => read.push(facts),
            Err(error) => unreadable.push(unread(shape, row, &id, number, &error.to_string())),
        }
        end = Some(Edge { id, number });
    }
    Ok(Facts {
        read,
        unreadable,
        end: end.filter(|_| limit.is_some_and(|limit| count >= limit)),
    })
}

fn unread<T>(shape: &Shape<T>, row: &Row<'_>, id: &str, number: i64, why: &str) -> Unreadable {
    let mut name = format!("{} {id}", shape.part);
    if shape.number.is_some() {
        name = format!("{name} {number}");
    }
    let user = match shape.part {
        "ledger" => parsed(row, "user").ok(),
        "users" => parsed(row, "id").ok(),
        _ => None,
    };
    Unreadable {
        user,
        probe: match shape.part {
            "probes" => parsed(row, "id").ok(),
            "assignments" | "results" => parsed(row, "probe").ok(),
            _ => None,
        },
        operation: match shape.part {
            "operations" => parsed(row, "id").ok(),
            "assignments" | "results" => parsed(row, "operation").ok(),
            _ => None,
        },
        entry: (shape.part == "ledger").then(|| (number, row.get("balance").ok())),
        ..Unreadable::of(name, why)
    }
}

const USERS: &str = "select u.*, l.number as newest, l.balance as leaves from users u
    left join ledger l on l.user = u.id and l.number = (select max(number) from ledger where user = u.id)
    where u.id > ?1 order by u.id limit ?2";

pub(super) fn users(
    connection: &Connection,
    after: Option<&Edge>,
    limit: usize,
) -> Stored<Facts<UserFacts>> {
    let shape = Shape {
        part: "users",
        id: "id",
        number: None,
        read: |row| {
            let user = users::read(row)?;
            let _: String = row.get("password_hash")?;
            let newest: Option<i64> = row.get("newest")?;
            Ok(UserFacts {
                id: user.id,
                credits: user.credits,
                entries: None,
                newest: newest.zip(row.get("leaves")?),
            })
        },
    };
    let parameters = params![id(after), codec::limit(limit)];
    page(connection, USERS, parameters, &shape, Some(limit))
}

const PROBES: &str = "select p.*, (select coalesce(sum(o.run_price), 0)
        from assignments a cross join operations o on o.id = a.operation
        where a.probe = p.id and a.ended_at_ms is null) as weighs
    from probes p where p.id > ?1 order by p.id limit ?2";

pub(super) fn probes(
    connection: &Connection,
    after: Option<&Edge>,
    limit: usize,
) -> Stored<Facts<ProbeFacts>> {
    let shape = Shape {
        part: "probes",
        id: "id",
        number: None,
        read: |row| {
            let probe = probes::read(row)?;
            maybe_time(row, "deleted_at_ms")?;
            Ok(ProbeFacts {
                id: probe.id,
                owner: probe.owner,
                load: Some((probe.load, row.get("weighs")?)),
            })
        },
    };
    let parameters = params![id(after), codec::limit(limit)];
    page(connection, PROBES, parameters, &shape, Some(limit))
}

const OPERATIONS: &str = "select * from operations where id > ?1 order by id limit ?2";
const ASSIGNMENTS: &str = "select * from assignments where operation > ?1 and operation <= ?2
    order by operation, probe";

pub(super) fn operations(
    connection: &Connection,
    after: Option<&Edge>,
    limit: usize,
) -> Stored<OperationsFacts> {
    let shape = Shape {
        part: "operations",
        id: "id",
        number: None,
        read: operation,
    };
    let moment = connection.unchecked_transaction()?;
    let parameters = params![id(after), codec::limit(limit)];
    let operations = page(&moment, OPERATIONS, parameters, &shape, Some(limit))?;
    let last = operations.end.as_ref().map_or(BEHIND_ALL, |end| &end.id);
    let shape = Shape {
        part: "assignments",
        id: "operation",
        number: None,
        read: assignment,
    };
    let parameters = params![id(after), last];
    let assignments = page(&moment, ASSIGNMENTS, parameters, &shape, None)?;
    moment.finish()?;
    Ok((operations, assignments))
}

fn operation(row: &Row<'_>) -> rusqlite::Result<OperationFacts> {
    // All of it, as a hub reads it.
    let whole = operations::read(row)?;
    Ok(OperationFacts {
        id: whole.plan.id,
        owner: whole.plan.owner,
        run_price: whole.plan.run_price.into(),
        charged: whole.charged,
        refunded: whole.refunded,
        last_seq: row.get("last_seq")?,
        open_assignments: row.get("open_assignments")?,
        created_at: whole.plan.created_at,
        expires_at: whole.plan.expires_at,
        closes_at: whole.plan.closes_at,
        is_repeated: maybe_time(row, "stop_time_ms")?.is_some(),
        ended_at: whole.ended_at,
    })
}

fn assignment(row: &Row<'_>) -> rusqlite::Result<AssignmentFacts> {
    let whole = assignments::read(row)?;
    Ok(AssignmentFacts {
        operation: whole.operation,
        probe: whole.probe,
        state: whole.state,
        planned_runs: whole.planned_runs.into(),
        results: whole.results.into(),
        run_price: None,
        ended_at: whole.ended_at,
        ends_at: maybe_time(row, "ends_at_ms")?,
    })
}

const RESULTS: &str =
    "select operation, seq, probe, code, format, undecoded, measured, rewarded, received_at_ms,
        started_at_ms, finished_at_ms, clock_offset_us, clock_error_us
    from results where (operation, seq) > (?1, ?2) and operation <= ?3
    order by operation, seq limit ?4";

pub(super) fn results(
    connection: &Connection,
    after: Option<&Edge>,
    last: Option<&Edge>,
    limit: usize,
) -> Stored<Facts<ResultFacts>> {
    let shape = Shape {
        part: "results",
        id: "operation",
        number: Some("seq"),
        read: result,
    };
    let last = last.map_or(BEHIND_ALL, |last| &last.id);
    let parameters = params![id(after), number(after), last, codec::limit(limit)];
    page(connection, RESULTS, parameters, &shape, Some(limit))
}

/// A result, but for what fills the pages of the file: documents and raw bytes.
fn result(row: &Row<'_>) -> rusqlite::Result<ResultFacts> {
    let _: probe_protocol::ResultCode = word(row, "code")?;
    let _: probe_protocol::ContentFormat = word(row, "format")?;
    let _: u32 = row.get("undecoded")?;
    let _: bool = row.get("measured")?;
    time(row, "finished_at_ms")?;
    let offset_us: Option<i64> = row.get("clock_offset_us")?;
    let error_us: Option<i64> = row.get("clock_error_us")?;
    Ok(ResultFacts {
        operation: parsed(row, "operation")?,
        seq: row.get("seq")?,
        probe: parsed(row, "probe")?,
        rewarded: row.get("rewarded")?,
        started_at: time(row, "started_at_ms")?,
        received_at: time(row, "received_at_ms")?,
        clock: offset_us
            .zip(error_us)
            .map(|(offset_us, error_us)| ClockFacts {
                offset_us,
                error_us,
            }),
    })
}

const ENTRIES: &str =
    "select * from ledger where (user, number) > (?1, ?2) order by user, number limit ?3";

pub(super) fn entries(
    connection: &Connection,
    after: Option<&Edge>,
    limit: usize,
) -> Stored<Facts<EntryFacts>> {
    let shape = Shape {
        part: "ledger",
        id: "user",
        number: Some("number"),
        read: |row| {
            let entry = users::read_entry(row)?;
            Ok(EntryFacts {
                user: parsed(row, "user")?,
                number: entry.id,
                amount: entry.amount,
                balance: entry.balance,
                reason: entry.reason,
                operation: entry.operation,
                probe: entry.probe,
            })
        },
    };
    let parameters = params![id(after), number(after), codec::limit(limit)];
    page(connection, ENTRIES, parameters, &shape, Some(limit))
}

const NO_USERS: &str = "select value as id from json_each(?1)
    where not exists (select 1 from users where id = value)";
const NO_PROBES: &str = "select value as id from json_each(?1)
    where not exists (select 1 from probes where id = value)";
const NO_OPERATIONS: &str = "select value as id from json_each(?1)
    where not exists (select 1 from operations where id = value)";

pub(super) fn absent(connection: &Connection, things: &[Thing]) -> Stored<Vec<Thing>> {
    let (mut users, mut probes, mut operations) = (Vec::new(), Vec::new(), Vec::new());
    for thing in things {
        match thing {
            Thing::User(id) => users.push(id.to_string()),
            Thing::Probe(id) => probes.push(id.to_string()),
            Thing::Operation(id) => operations.push(id.to_string()),
        }
    }
    let mut missing = Vec::new();
    let mut look = |sql: &str, ids: &[String], thing: fn(&Row<'_>) -> rusqlite::Result<Thing>| {
        if !ids.is_empty() {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([serde_json::to_string(ids)?], thing)?;
            missing.extend(found.collect::<Result<Vec<_>, _>>()?);
        }
        Stored::Ok(())
    };
    look(NO_USERS, &users, |row| {
        parsed::<UserId>(row, "id").map(Thing::User)
    })?;
    look(NO_PROBES, &probes, |row| {
        parsed::<ProbeId>(row, "id").map(Thing::Probe)
    })?;
    look(NO_OPERATIONS, &operations, |row| {
        parsed::<OperationId>(row, "id").map(Thing::Operation)
    })?;
    Ok(missing)
}

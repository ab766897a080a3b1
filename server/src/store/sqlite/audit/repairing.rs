//! What has one right answer is worked out from what else is there, and written, in one transaction.

use probe_protocol::{OperationId, ProbeId, UserId};
use rusqlite::{Connection, params};

use super::super::{assignments, balance, codec::ms};
use crate::{
    domain::{audit::Repair, lifecycle},
    store::Stored,
};

pub(super) fn repair(connection: &Connection, repair: Repair) -> Stored<Option<String>> {
    match repair {
        Repair::Results(operation, probe) => results(connection, operation, probe),
        Repair::Ends(operation, probe) => ends(connection, operation, probe),
        Repair::Open(operation) => open(connection, operation),
        Repair::Balance(user) => credits(connection, user),
        Repair::Load(probe) => load(connection, probe),
    }
}

/// Whether all results of an operation are there: as many as the newest number says, and as the operation says.
const ALL_THERE: &str = "select 1 from operations o where o.id = ?1
    and o.last_seq = (select count(*) from results where operation = o.id)
    and o.last_seq = (select coalesce(max(seq), 0) from results where operation = o.id)";
const COUNT: &str = "select count(*) from results where operation = ?1 and probe = ?2";
const RESULTS: &str = "update assignments set results = ?3
    where operation = ?1 and probe = ?2 and results != ?3 and planned_runs >= ?3";

fn results(
    connection: &Connection,
    operation: OperationId,
    probe: ProbeId,
) -> Stored<Option<String>> {
    let (operation, probe) = (operation.to_string(), probe.to_string());
    if !connection.prepare_cached(ALL_THERE)?.exists([&operation])? {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(COUNT)?;
    let count: i64 = statement.query_row([&operation, &probe], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(RESULTS)?;
    let changed = statement.execute(params![operation, probe, count])?;
    Ok((changed > 0).then(|| {
        format!("the assignment of operation {operation} to probe {probe} counts {count} results")
    }))
}

const ENDS: &str = "update assignments set ends_at_ms = ?3
    where operation = ?1 and probe = ?2 and ended_at_ms is null and ends_at_ms != ?3";

fn ends(connection: &Connection, operation: OperationId, probe: ProbeId) -> Stored<Option<String>> {
    let Some(held) = assignments::one(connection, operation, probe)? else {
        return Ok(None);
    };
    let terms = held.terms;
    let at = lifecycle::open_until(held.assignment.state, terms.expires_at, terms.closes_at);
    let mut statement = connection.prepare_cached(ENDS)?;
    let changed = statement.execute(params![operation.to_string(), probe.to_string(), ms(at)])?;
    Ok((changed > 0).then(|| {
        format!("the assignment of operation {operation} to probe {probe} ends by time at {at}")
    }))
}

const THERE: &str = "select count(*) - count(ended_at_ms) as open, max(ended_at_ms) as ended
    from assignments where operation = ?1";
const OPEN: &str = "update operations set open_assignments = ?2,
        ended_at_ms = case when ?2 = 0 then coalesce(ended_at_ms, ?3) end
    where id = ?1 and (open_assignments != ?2 or (?2 = 0) != (ended_at_ms is not null))";

fn open(connection: &Connection, operation: OperationId) -> Stored<Option<String>> {
    let id = operation.to_string();
    let mut statement = connection.prepare_cached(THERE)?;
    let there = statement.query_row([&id], |row| Ok((row.get("open")?, row.get("ended")?)))?;
    let (open, ended): (i64, Option<i64>) = there;
    if open == 0 && ended.is_none() {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(OPEN)?;
    let changed = statement.execute(params![id, open, ended])?;
    Ok((changed > 0).then(|| match open {
        0 => format!("operation {operation} has no open assignment and has ended"),
        open => format!("operation {operation} has {open} open assignments and has not ended"),
    }))
}

const LEDGER: &str = "select number, amount, balance from ledger where user = ?1 order by number";
const SET_CREDITS: &str = "update users set credits = ?2 where id = ?1";

/// A balance, where the ledger is whole: then it is what the entries add up to.
fn credits(connection: &Connection, user: UserId) -> Stored<Option<String>> {
    let mut statement = connection.prepare_cached(LEDGER)?;
    let mut rows = statement.query([user.to_string()])?;
    let (mut entries, mut sum) = (0_i64, 0_i64);
    while let Some(row) = rows.next()? {
        let (number, amount): (i64, i64) = (row.get("number")?, row.get("amount")?);
        let leaves: i64 = row.get("balance")?;
        if number != entries + 1 || sum.checked_add(amount) != Some(leaves) {
            return Ok(None);
        }
        (entries, sum) = (number, leaves);
    }
    let kept = balance::of(connection, user)?;
    if sum < 0 || kept.is_none_or(|kept| kept == sum) {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(SET_CREDITS)?;
    statement.execute(params![user.to_string(), sum])?;
    Ok(Some(format!(
        "the balance of user {user} is {sum}, as its ledger of {entries} entries says"
    )))
}

const WEIGHS: &str =
    "select coalesce(sum(o.run_price), 0) from assignments a cross join operations o on o.id = a.operation
    where a.probe = ?1 and a.ended_at_ms is null";
const LOAD: &str = "update probes set load = ?2 where id = ?1 and load != ?2";

fn load(connection: &Connection, probe: ProbeId) -> Stored<Option<String>> {
    let id = probe.to_string();
    let mut statement = connection.prepare_cached(WEIGHS)?;
    let load: i64 = statement.query_row([&id], |row| row.get(0))?;
    let changed = connection
        .prepare_cached(LOAD)?
        .execute(params![id, load])?;
    Ok((changed > 0).then(|| format!("the load of probe {probe} is {load}")))
}

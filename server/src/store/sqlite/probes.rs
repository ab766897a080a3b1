//! Probes: registration, lists, changes, deletion.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::{ProbeId, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore, assignments,
    codec::{self, as_kept, json, maybe_time, ms, parsed, time, whole},
    keys,
    paging::{self, List},
    settling,
};
use crate::{
    domain::{
        Agent, Capacity, FIRST_GENERATION, Holdings, Limits, Location, Plan, Presence, Probe,
        operation::remaining_runs, probe::ProbeCard,
    },
    store::{
        Change, Created, IdempotencyKey, NewProbe, ProbeStore, Settled, Span, Standing, StoreError,
        Stored, Who,
    },
};

#[async_trait]
impl ProbeStore for SqliteStore {
    async fn create_probe(
        &self,
        probe: NewProbe,
        key: Option<IdempotencyKey>,
    ) -> Stored<Created<Probe>> {
        self.write(move |connection| create(connection, probe, key.as_ref()))
            .await
    }

    async fn probe(&self, id: ProbeId) -> Stored<Option<Probe>> {
        self.read(move |connection| one(connection, id)).await
    }

    async fn seen_probes(
        &self,
        owner: Option<UserId>,
        span: Span<ProbeId>,
        limit: usize,
        who: Who,
    ) -> Stored<Vec<(Probe, Option<Presence>)>> {
        let probes = self
            .read(move |connection| paging::page(connection, &LIST, owner, span, limit, read))
            .await?;
        let ids: Vec<ProbeId> = probes.iter().map(|probe| probe.id).collect();
        Ok(probes.into_iter().zip(who(&ids)).collect())
    }

    async fn probes_by_id(&self, ids: Vec<ProbeId>) -> Stored<Vec<Probe>> {
        self.read(move |connection| by_id(connection, &ids)).await
    }

    async fn standings(&self, ids: Vec<ProbeId>) -> Stored<Vec<Standing>> {
        self.read(move |connection| standings(connection, &ids))
            .await
    }

    async fn change_probe(&self, id: ProbeId, card: ProbeCard) -> Stored<Option<Probe>> {
        self.write(move |connection| change(connection, id, &card))
            .await
    }

    async fn rotate_token(&self, id: ProbeId) -> Stored<Option<Probe>> {
        self.write(move |connection| {
            connection
                .prepare_cached(ROTATE)?
                .execute([id.to_string()])?;
            one(connection, id)
        })
        .await
    }

    async fn delete_probe(&self, id: ProbeId, at: DateTime<Utc>) -> Stored<Option<Vec<Change>>> {
        self.write(move |connection| delete(connection, id, at))
            .await
    }

    async fn settle(
        &self,
        id: ProbeId,
        generation: u32,
        agent: Agent,
        holdings: Holdings,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Stored<Option<Settled>> {
        self.write(move |connection| {
            let Some(session) = settling::number(connection, id, generation, &agent, at)? else {
                return Ok(None);
            };
            settling::settle(connection, id, session, &holdings, at, limit).map(Some)
        })
        .await
    }

    async fn pending(&self, probes: Vec<ProbeId>, limit: usize) -> Stored<Vec<(ProbeId, Plan)>> {
        self.read(move |connection| settling::pending(connection, &probes, limit))
            .await
    }
}

/// The columns of a probe, as they stand in the table.
const COLUMNS: [&str; 16] = [
    "id",
    "owner",
    "name",
    "longitude",
    "latitude",
    "token_generation",
    "created_at_ms",
    "deleted_at_ms",
    "last_seen_ms",
    "agent",
    "agent_version",
    "capabilities",
    "total_credits",
    "load",
    "refused_results",
    "sessions",
];

/// A probe, from any row that begins with its columns.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Probe> {
    debug_assert!(codec::begins_with(row, &COLUMNS));
    let agent = match row.get(9)? {
        None => None,
        Some(name) => Some(Agent {
            name,
            version: row.get(10)?,
            capabilities: json(row, 11)?,
            total_credits: row.get(12)?,
        }),
    };
    Ok(Probe {
        id: parsed(row, 0)?,
        owner: parsed(row, 1)?,
        name: row.get(2)?,
        location: Location {
            longitude: row.get(3)?,
            latitude: row.get(4)?,
        },
        token_generation: row.get(5)?,
        created_at: time(row, 6)?,
        last_seen: maybe_time(row, 8)?,
        agent,
        load: row.get(13)?,
        refused_results: whole(row, 14)?,
        sessions: whole(row, 15)?,
    })
}

const CREATE: &str = "insert into probes (id, owner, name, longitude, latitude, created_at_ms)
    values (?1, ?2, ?3, ?4, ?5, ?6)";

fn create(
    connection: &Connection,
    new: NewProbe,
    key: Option<&IdempotencyKey>,
) -> Stored<Created<Probe>> {
    if let Some(known) = keys::find(connection, key)? {
        return made_before(connection, &known.subject).map(Created::Before);
    }
    let probe = Probe {
        id: ProbeId::new(),
        owner: new.owner,
        name: new.name,
        location: new.location,
        token_generation: FIRST_GENERATION,
        created_at: as_kept(new.created_at),
        last_seen: None,
        agent: None,
        load: 0,
        refused_results: 0,
        sessions: 0,
    };
    let id = probe.id.to_string();
    connection.prepare_cached(CREATE)?.execute(params![
        id,
        probe.owner.to_string(),
        probe.name,
        probe.location.longitude,
        probe.location.latitude,
        ms(probe.created_at),
    ])?;
    keys::keep(connection, key, &id, None, probe.created_at)?;
    Ok(Created::New(probe))
}

const MADE_BEFORE: &str = "select * from probes where id = ?1";

/// What a repeated registration made, even where it was deleted since: the request was carried out.
fn made_before(connection: &Connection, id: &str) -> Stored<Probe> {
    let mut statement = connection.prepare_cached(MADE_BEFORE)?;
    statement
        .query_row([id], read)
        .optional()?
        .ok_or_else(|| StoreError::Corrupt(format!("an idempotency key names no probe: {id}")))
}

const ONE: &str = "select * from probes where id = ?1 and deleted_at_ms is null";

/// A probe that was not deleted.
pub(super) fn one(connection: &Connection, id: ProbeId) -> Stored<Option<Probe>> {
    let mut statement = connection.prepare_cached(ONE)?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

const LIST: List = List {
    table: "probes",
    condition: "deleted_at_ms is null",
};

const BY_ID: &str = "select p.* from json_each(?1) asked cross join probes p on p.id = asked.value
    where p.deleted_at_ms is null";

/// These probes; unknown and deleted ones are left out.
fn by_id(connection: &Connection, ids: &[ProbeId]) -> Stored<Vec<Probe>> {
    let mut statement = connection.prepare_cached(BY_ID)?;
    let found = statement.query_map([serde_json::to_string(ids)?], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

const CAPACITIES: &str = "select p.id, p.capabilities, p.total_credits, p.load
    from json_each(?1) asked cross join probes p on p.id = asked.value where p.deleted_at_ms is null";

/// What these probes can take; unknown and deleted ones are left out.
pub(super) fn capacities(connection: &Connection, ids: &[ProbeId]) -> Stored<Vec<Capacity>> {
    let mut statement = connection.prepare_cached(CAPACITIES)?;
    let found = statement.query_map([serde_json::to_string(ids)?], |row| {
        let limits = match row.get(2)? {
            None => None,
            Some(total_credits) => Some(Limits {
                capabilities: json(row, 1)?,
                total_credits,
            }),
        };
        Ok(Capacity {
            probe: parsed(row, 0)?,
            limits,
            load: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

const STANDINGS: &str = "select id, token_generation, sessions from probes
    where id in (select value from json_each(?1)) and deleted_at_ms is null";

fn standings(connection: &Connection, ids: &[ProbeId]) -> Stored<Vec<Standing>> {
    let mut statement = connection.prepare_cached(STANDINGS)?;
    let found = statement.query_map([serde_json::to_string(ids)?], |row| {
        Ok(Standing {
            probe: parsed(row, "id")?,
            token_generation: row.get("token_generation")?,
            sessions: whole(row, "sessions")?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

const CHANGE: &str =
    "update probes set name = coalesce(?2, name), longitude = coalesce(?3, longitude),
    latitude = coalesce(?4, latitude) where id = ?1 and deleted_at_ms is null";

fn change(connection: &Connection, id: ProbeId, card: &ProbeCard) -> Stored<Option<Probe>> {
    connection.prepare_cached(CHANGE)?.execute(params![
        id.to_string(),
        card.name,
        card.location.map(|location| location.longitude),
        card.location.map(|location| location.latitude),
    ])?;
    one(connection, id)
}

const ROTATE: &str = "update probes set token_generation = token_generation + 1
    where id = ?1 and deleted_at_ms is null";

const DELETE: &str = "update probes set deleted_at_ms = ?2 where id = ?1 and deleted_at_ms is null";

fn delete(connection: &Connection, id: ProbeId, at: DateTime<Utc>) -> Stored<Option<Vec<Change>>> {
    let mut statement = connection.prepare_cached(DELETE)?;
    if statement.execute(params![id.to_string(), ms(at)])? == 0 {
        return Ok(None);
    }
    let mut changes = Vec::new();
    for mut held in assignments::open_of_probe(connection, id)? {
        let schedule = assignments::schedule(connection, held.assignment.operation)?;
        let ahead = schedule.map(|schedule| remaining_runs(Some(&schedule), at));
        changes.extend(assignments::cancel(connection, &mut held, ahead, at)?);
    }
    Ok(Some(changes))
}

//! Probes of the old database. Their tokens stay valid: those of the old system count as the first generation.

use std::collections::HashSet;

use bson::raw::{RawBsonRef, RawDocument};
use probe_protocol::{ProbeId, UserId};

use super::{
    notes::{Notes, Sort},
    raw::{self, Members, number},
};
use crate::domain::{FIRST_GENERATION, Location, Probe};

/// Where probes stand of which nobody knows the place.
const NOWHERE: Location = Location {
    longitude: 0.0,
    latitude: 0.0,
};

/// Converts a probe of one of these users; `None` where it cannot be taken.
pub(super) fn convert(
    document: &RawDocument,
    users: &HashSet<UserId>,
    notes: &mut Notes<'_>,
) -> Option<Probe> {
    let mut left = |line: String| {
        notes.add(Sort::NotTaken, || line);
        None
    };
    let Ok(members) = Members::of(document) else {
        return left("a probe is damaged and not taken".to_owned());
    };
    let Some(object_id) = members.id("_id") else {
        return left("a probe has no ObjectId and is not taken".to_owned());
    };
    let id = ProbeId::from(object_id);
    let owner = members.id("owner").map(UserId::from);
    let Some(owner) = owner.filter(|owner| users.contains(owner)) else {
        return left(format!(
            "probe {id}: its owner is not there; it is not taken"
        ));
    };
    Some(Probe {
        id,
        owner,
        name: None,
        location: location(id, &members, notes),
        token_generation: FIRST_GENERATION,
        created_at: raw::made_at(object_id),
        last_seen: None,
        agent: None,
        // Counted when all operations are there.
        load: 0,
        refused_results: 0,
        sessions: 0,
    })
}

/// Its place. Nobody ever checked it.
fn location(id: ProbeId, members: &Members<'_>, notes: &mut Notes<'_>) -> Location {
    let coordinates = || {
        let location = Members::of(members.get("location")?.as_document()?).ok()?;
        let mut coordinates = location.list("coordinates")?.into_iter();
        let mut next = || coordinates.next()?.ok();
        Some([next()?, next()?])
    };
    let Some([longitude, latitude]) = coordinates() else {
        notes.add(Sort::Place, || moved(id, "has no place", NOWHERE));
        return NOWHERE;
    };
    let (Some(east), Some(north)) = (degrees(longitude, 180.0), degrees(latitude, 90.0)) else {
        notes.add(Sort::Place, || {
            moved(id, "its place is not on the globe", NOWHERE)
        });
        return NOWHERE;
    };
    let location = Location {
        longitude: east,
        latitude: north,
    };
    let is_number = |value| number(value).is_some();
    if !is_number(longitude) || !is_number(latitude) {
        notes.add(Sort::Place, || {
            moved(id, "its place has true or false for a number", location)
        });
    }
    location
}

fn moved(id: ProbeId, why: &str, location: Location) -> String {
    let Location {
        longitude,
        latitude,
    } = location;
    format!(
        "probe {id}: {why}; it stands at longitude {longitude}, latitude {latitude} now; PATCH /api/v1/probes/{id} puts it \
         right"
    )
}

/// Degrees from `-most` to `most`; what is no number is not among them.
fn degrees(value: RawBsonRef<'_>, most: f64) -> Option<f64> {
    let degrees = match value {
        RawBsonRef::Boolean(it) => f64::from(u8::from(it)),
        other => number(other)?,
    };
    (-most..=most).contains(&degrees).then_some(degrees)
}

#[cfg(test)]
mod tests;

//! A fleet to simulate: one user with plenty of credits and as many probes as are asked for, beside a superuser. Nothing
//! has happened yet.

use chrono::{DateTime, SubsecRound as _, Utc};
use probe_protocol::{ProbeId, UserId};

use super::{SeedError, World};
use crate::{
    domain::{FIRST_GENERATION, Location, Probe},
    store::{NewUser, Record, Store},
};

/// Who there is: the first is a superuser, the second hosts the probes and pays.
const PEOPLE: [(&str, i64); 2] = [
    ("admin@example.org", 0),
    // A year of traceroutes each second on 10,000 probes costs less.
    ("fleet@example.org", 100_000_000_000_000),
];
/// Probes written in one transaction: thousands take seconds, and other writers need not wait for long.
const AT_ONCE: usize = 1000;
/// Degrees from one probe to the next, east: the golden angle, by which they never line up.
const EAST: f64 = 137.508;
/// Degrees from one probe to the next, north.
const NORTH: f64 = 7.31;
/// Between these latitudes, degrees, there are people.
const LATITUDES: (f64, f64) = (-55.0, 65.0);

/// Puts a fleet of so many probes into an empty store. Everybody has the password that was hashed.
///
/// # Errors
/// [`SeedError`]; then a part is there.
pub(crate) async fn fleet(
    store: &dyn Store,
    password_hash: &str,
    probes: usize,
    now: DateTime<Utc>,
) -> Result<World, SeedError> {
    let now = now.trunc_subsecs(0);
    let mut owner = None;
    for (number, (email, credits)) in PEOPLE.into_iter().enumerate() {
        let user = NewUser {
            email: email.to_owned(),
            password_hash: password_hash.to_owned(),
            is_superuser: number == 0,
            created_at: now,
        };
        let id = store.create_user(user).await?.id;
        if credits > 0 {
            store.grant(id, credits, now, None).await?;
            owner = Some((id, email));
        }
    }
    let (owner, email) = owner.ok_or_else(|| super::unfit("nobody pays"))?;
    let probes: Vec<Probe> = (0..probes).map(|n| probe(n, owner, now)).collect();
    for some in probes.chunks(AT_ONCE) {
        let records = some.iter().map(|probe| Record::Probe {
            probe: probe.clone(),
            deleted_at: None,
        });
        store.fill(records.collect()).await?;
    }
    Ok(World {
        people: PEOPLE.iter().map(|(email, _)| *email).collect(),
        probes: probes.into_iter().map(|probe| (probe, email)).collect(),
    })
}

/// The probe with that number, as it is registered.
fn probe(number: usize, owner: UserId, now: DateTime<Utc>) -> Probe {
    let (south, north) = LATITUDES;
    let step = number as f64;
    Probe {
        id: ProbeId::new(),
        owner,
        name: Some(format!("simulated {}", number + 1)),
        location: Location {
            longitude: (step * EAST).rem_euclid(360.0) - 180.0,
            latitude: (step * NORTH).rem_euclid(north - south) + south,
        },
        token_generation: FIRST_GENERATION,
        created_at: now,
        last_seen: None,
        agent: None,
        load: 0,
        refused_results: 0,
        sessions: 0,
    }
}

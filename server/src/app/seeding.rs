//! `pladmed seed`: a small world in an empty store, and what one needs to walk through it.

use std::fmt;

use chrono::{TimeDelta, Utc};
use probe_protocol::ProbeId;

use super::{
    AppError, demand_expendable, secret,
    stores::{self, Use},
};
use crate::{
    config::Config,
    passwords::Passwords,
    seed as story,
    store::{Part, Store},
    tokens::{ProbeClaims, Tokens},
};

/// Who can log in, and the probes with their tokens; shown as lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    people: Vec<&'static str>,
    password: String,
    probes: Vec<SeededProbe>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeededProbe {
    id: ProbeId,
    name: String,
    owner: &'static str,
    token: String,
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Log in with the password {} as", self.password)?;
        for (number, email) in self.people.iter().enumerate() {
            let what = if number == 0 { "  a superuser" } else { "" };
            writeln!(f, "  {email}{what}")?;
        }
        write!(f, "\nProbes, each with its token:")?;
        for SeededProbe {
            id,
            name,
            owner,
            token,
        } in &self.probes
        {
            write!(f, "\n  {id}  {name}, of {owner}\n    {token}")?;
        }
        Ok(())
    }
}

/// Fills the store of `config`, which must be empty.
///
/// # Errors
/// [`AppError::Input`] unless the environment is development or test and the store is empty; others when it failed. Then a
/// part may be there.
pub async fn seed(config: &Config) -> Result<Seeded, AppError> {
    demand_expendable(config, "seed")?;
    let store = stores::open(config, Use::Seed).await?;
    let seeded = fill(config, &*store).await;
    store.close().await;
    seeded
}

async fn fill(config: &Config, store: &dyn Store) -> Result<Seeded, AppError> {
    for part in Part::ALL {
        if !store.records(part, None, 1, 0).await?.is_empty() {
            return Err(AppError::Input(format!(
                "the database holds {} already; seed a new or empty one",
                part.as_str()
            )));
        }
    }
    store.stamp(&config.environment.to_string()).await?;
    let key = secret::key(config)?;
    let password = password();
    let hash = Passwords::new().hash(password.clone()).await;
    let hash = hash.map_err(|error| AppError::Store(error.to_string()))?;
    let grace = TimeDelta::from_std(config.stop_grace)
        .map_err(|error| AppError::Input(format!("STOP_GRACE_SECONDS: {error}")))?;
    let world = story::fill(store, &hash, grace, Utc::now()).await;
    let world = world.map_err(|error| AppError::Store(error.to_string()))?;
    let tokens = Tokens::new(&key, config.user_token_life, config.legacy_user_tokens);
    let mut probes = Vec::new();
    for (probe, owner) in world.probes {
        let claims = ProbeClaims {
            identifier: probe.id,
            generation: probe.token_generation,
        };
        let token = tokens.for_probe(claims);
        probes.push(SeededProbe {
            id: probe.id,
            name: probe.name.unwrap_or_default(),
            owner,
            token: token.map_err(|error| AppError::Store(error.to_string()))?,
        });
    }
    Ok(Seeded {
        people: world.people,
        password,
        probes,
    })
}

/// One that nobody can guess, though the database is one to play with: a hub on it may listen on all addresses.
fn password() -> String {
    let bytes: [u8; 8] = rand::random();
    let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Seed-1-{random}")
}

//! `pladmed seed`: a small world or a fleet to simulate in an empty store, and what one needs to go on with it.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chrono::{TimeDelta, Utc};
use probe_protocol::ProbeId;

use super::{
    AppError, demand_expendable, secret,
    stores::{self, Use},
};
use crate::{
    config::Config,
    domain::Probe,
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
        log_in(f, &self.password, &self.people)?;
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

/// Who can log in, and where the tokens of the fleet are; shown as lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededFleet {
    people: Vec<&'static str>,
    password: String,
    probes: usize,
    tokens: PathBuf,
}

impl fmt::Display for SeededFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        log_in(f, &self.password, &self.people)?;
        let owner = self.people.last().copied().unwrap_or_default();
        write!(
            f,
            "\n{} probes of {owner}; their tokens are in {}, one on each line",
            self.probes,
            self.tokens.display()
        )
    }
}

/// Whom one can log in as.
fn log_in(f: &mut fmt::Formatter<'_>, password: &str, people: &[&str]) -> fmt::Result {
    writeln!(f, "Log in with the password {password} as")?;
    for (number, email) in people.iter().enumerate() {
        let what = if number == 0 { "  a superuser" } else { "" };
        writeln!(f, "  {email}{what}")?;
    }
    Ok(())
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

/// Puts a fleet of so many probes into the store of `config`, which must be empty, and their tokens into a file, which must
/// not be there.
///
/// # Errors
/// As [`seed`]; [`AppError::Input`] also where the file cannot be made.
pub async fn seed_fleet(
    config: &Config,
    probes: usize,
    tokens: &Path,
) -> Result<SeededFleet, AppError> {
    demand_expendable(config, "seed")?;
    let wrong =
        |error: io::Error| AppError::Input(format!("cannot write {}: {error}", tokens.display()));
    // Before anything is done. Whoever can read it can be any of the probes.
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600);
    let file = file.open(tokens).map_err(wrong)?;
    let store = match stores::open(config, Use::Seed).await {
        Ok(store) => store,
        Err(error) => {
            // It is empty: the next try must find its place free.
            let _ = std::fs::remove_file(tokens);
            return Err(error);
        }
    };
    let seeded = fill_fleet(config, &*store, probes).await;
    store.close().await;
    match seeded {
        Ok((mut fleet, lines)) => {
            let mut file = BufWriter::new(file);
            let written = lines.iter().try_for_each(|line| writeln!(file, "{line}"));
            written.and_then(|()| file.flush()).map_err(wrong)?;
            tokens.clone_into(&mut fleet.tokens);
            Ok(fleet)
        }
        Err(error) => {
            let _ = std::fs::remove_file(tokens);
            Err(error)
        }
    }
}

async fn fill(config: &Config, store: &dyn Store) -> Result<Seeded, AppError> {
    let (password, hash) = prepare(config, store).await?;
    let grace = TimeDelta::from_std(config.stop_grace)
        .map_err(|error| AppError::Input(format!("STOP_GRACE_SECONDS: {error}")))?;
    let world = story::fill(store, &hash, grace, Utc::now()).await;
    let world = world.map_err(|error| AppError::Store(error.to_string()))?;
    let signed = tokens(config, &world)?;
    let probes = world.probes.into_iter().zip(signed);
    let probes = probes.map(|((probe, owner), token)| SeededProbe {
        id: probe.id,
        name: probe.name.unwrap_or_default(),
        owner,
        token,
    });
    Ok(Seeded {
        people: world.people,
        password,
        probes: probes.collect(),
    })
}

async fn fill_fleet(
    config: &Config,
    store: &dyn Store,
    probes: usize,
) -> Result<(SeededFleet, Vec<String>), AppError> {
    let (password, hash) = prepare(config, store).await?;
    let world = story::fleet(store, &hash, probes, Utc::now()).await;
    let world = world.map_err(|error| AppError::Store(error.to_string()))?;
    let signed = tokens(config, &world)?;
    let fleet = SeededFleet {
        people: world.people,
        password,
        probes: signed.len(),
        tokens: PathBuf::new(),
    };
    Ok((fleet, signed))
}

/// Makes sure that the store is empty and stamps it; the password for everybody, and its hash.
async fn prepare(config: &Config, store: &dyn Store) -> Result<(String, String), AppError> {
    for part in Part::ALL {
        if !store.records(part, None, 1, 0).await?.is_empty() {
            return Err(AppError::Input(format!(
                "the database holds {} already; seed a new or empty one",
                part.as_str()
            )));
        }
    }
    store.stamp(&config.environment.to_string()).await?;
    let password = password();
    let hash = Passwords::new().hash(password.clone()).await;
    let hash = hash.map_err(|error| AppError::Store(error.to_string()))?;
    Ok((password, hash))
}

/// The tokens of the probes, in their order.
fn tokens(config: &Config, world: &story::World) -> Result<Vec<String>, AppError> {
    let key = secret::key(config)?;
    let tokens = Tokens::new(&key, config.user_token_life, config.legacy_user_tokens);
    let sign = |(probe, _): &(Probe, &str)| {
        let claims = ProbeClaims {
            identifier: probe.id,
            generation: probe.token_generation,
        };
        tokens.for_probe(claims)
    };
    let signed: Result<Vec<String>, _> = world.probes.iter().map(sign).collect();
    signed.map_err(|error| AppError::Store(error.to_string()))
}

/// One that nobody can guess, though the database is one to play with: a hub on it may listen on all addresses.
fn password() -> String {
    let bytes: [u8; 8] = rand::random();
    let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Seed-1-{random}")
}

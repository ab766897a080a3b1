//! How a command line names a store: `sqlite:PATH`, or a connection string of MongoDB.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::stores::DATABASE_FILE;
use crate::config::{MongoServer, MongoSettings};

/// What a file of the embedded store ends in; a path that does not exist and ends in something else is a folder.
const FILE_ENDING: &str = "sqlite";
/// Beginnings of a connection string.
const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

/// A store that a command is to work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file of the embedded store.
    File(PathBuf),
    /// A database of MongoDB.
    Mongo {
        /// How it is reached.
        settings: MongoSettings,
        /// Hosts and database, without anything secret.
        name: String,
    },
}

impl Place {
    /// Reads what stands on the command line.
    ///
    /// # Errors
    /// What is wrong with it. Never repeats a connection string, as it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return file(path).map(Self::File);
        }
        for scheme in SCHEMES {
            if let Some(rest) = text.strip_prefix(scheme) {
                let name = format!("{scheme}{}", bare(rest)?);
                let settings = MongoSettings {
                    server: MongoServer::Uri(text.to_owned()),
                    database: None,
                };
                return Ok(Self::Mongo { settings, name });
            }
        }
        Err(
            "must be sqlite:PATH or a connection string of MongoDB, mongodb://HOST/DATABASE"
                .to_owned(),
        )
    }

    /// What it is called: the same at every start, and without anything secret.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => {
                let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                format!("sqlite:{}", path.display())
            }
            Self::Mongo { name, .. } => name.clone(),
        }
    }

    /// Whether both are one store, as far as can be seen from outside.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(two)) => match (number(one), number(two)) {
                (Some(one), Some(two)) => one == two,
                _ => one == two,
            },
            (Self::Mongo { name: one, .. }, Self::Mongo { name: two, .. }) => one == two,
            _ => false,
        }
    }
}

/// What the file system knows a file by, whatever its names are.
fn number(path: &Path) -> Option<(u64, u64)> {
    let known = fs::metadata(path).ok()?;
    Some((known.dev(), known.ino()))
}

/// The file that a path means: itself, or the one in a data folder.
fn file(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err(format!(
            "must name a data folder or the file {DATABASE_FILE} in it, as sqlite:/var/lib/pladmed"
        ));
    }
    let path = PathBuf::from(path);
    let is_file = path.is_file()
        || !path.is_dir() && path.extension().is_some_and(|ending| ending == FILE_ENDING);
    Ok(if is_file {
        path
    } else {
        path.join(DATABASE_FILE)
    })
}

/// Hosts and database of a connection string without its scheme. Who wrote a password with signs that must be escaped
/// gets an error: it might be taken for a host, and shown.
fn bare(rest: &str) -> Result<String, String> {
    let behind_login = rest.rsplit_once('@').map_or(rest, |(_, behind)| behind);
    let place = behind_login.split('?').next().unwrap_or_default();
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    if database.is_empty() {
        return Err(
            "must name a database behind the hosts, as in mongodb://HOST/DATABASE".to_owned(),
        );
    }
    let mut hosts: Vec<String> = hosts.split(',').map(str::to_lowercase).collect();
    let word = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        !text.is_empty() && text.chars().all(fits)
    };
    if !hosts.iter().all(|host| is_host(host)) || !word(database) {
        return Err(
            "is no connection string that can be read; in names and passwords, signs like : / ? # @ are written as %3A \
             %2F %3F %23 %40"
                .to_owned(),
        );
    }
    // However they are listed, it is the same replica set.
    hosts.sort();
    Ok(format!("{}/{database}", hosts.join(",")))
}

/// A name or address, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let inner = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let name_fits = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            !name.is_empty() && name.chars().all(fits)
        }
    };
    name_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;

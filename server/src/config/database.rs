//! Settings of the store.

use std::fmt;

use super::reader::Reader;

/// Where truth is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// In a file under `data_dir`.
    Sqlite,
    /// In MongoDB.
    Mongo(MongoSettings),
}

/// How MongoDB is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoSettings {
    /// The server.
    pub server: MongoServer,
    /// The database in it; `None` is the one that the connection string names, else [`MongoSettings::DATABASE`].
    pub database: Option<String>,
}

impl MongoSettings {
    /// The database that is used where none is named.
    pub const DATABASE: &str = "pladmed";
}

/// Which server.
#[derive(Clone, PartialEq, Eq)]
pub enum MongoServer {
    /// The one of a connection string, which may hold a password.
    Uri(String),
    /// Some hosts of a replica set.
    Hosts {
        /// Names or addresses, each with a port.
        hosts: Vec<(String, u16)>,
        /// Who we are, in the database `admin`; `None` is nobody.
        login: Option<(String, Password)>,
    },
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl fmt::Debug for MongoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(_) => f.write_str("Uri(…)"),
            Self::Hosts { hosts, .. } => write!(f, "Hosts({hosts:?})"),
        }
    }
}

/// Beginnings of a connection string (MongoDB's specification of connection strings).
const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

impl Reader {
    /// Where truth is kept.
    pub(super) fn database(&mut self) -> Option<Database> {
        let is_mongo = self.word("DATABASE", &[("sqlite", false), ("mongo", true)])?;
        if !is_mongo {
            return Some(Database::Sqlite);
        }
        let server = self.mongo_server()?;
        Some(Database::Mongo(MongoSettings {
            server,
            database: self.given("MONGO_DATABASE"),
        }))
    }

    fn mongo_server(&mut self) -> Option<MongoServer> {
        let (uri, hosts) = (self.given("MONGO_URI"), self.given("MONGO_HOST"));
        match (uri, hosts) {
            (Some(_), Some(_)) => {
                self.problem("MONGO_URI: takes the place of MONGO_HOST; set one of them");
                None
            }
            (Some(uri), None) => {
                let fits = SCHEMES.iter().any(|scheme| uri.starts_with(scheme));
                if !fits {
                    // The text may hold a password.
                    self.problem("MONGO_URI: must begin with mongodb:// or mongodb+srv://");
                }
                fits.then_some(MongoServer::Uri(uri))
            }
            (None, Some(hosts)) => self.mongo_hosts(&hosts),
            (None, None) => {
                self.problem("MONGO_HOST: must be set with DATABASE=mongo, or MONGO_URI");
                None
            }
        }
    }

    fn mongo_hosts(&mut self, hosts: &str) -> Option<MongoServer> {
        let usual: u16 = self.parsed("MONGO_PORT", "a port number")?;
        let hosts = hosts.split(',').map(str::trim);
        let hosts: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            self.problem("MONGO_HOST: names no host");
        }
        let mut read = Vec::new();
        for host in hosts {
            match host.rsplit_once(':') {
                None => read.push((host.to_owned(), usual)),
                Some((name, port)) => match port.parse() {
                    Ok(port) => read.push((name.to_owned(), port)),
                    Err(_) => self.problem(&format!("MONGO_HOST: {host:?} has no port number")),
                },
            }
        }
        let password = self.given("MONGO_PASSWORD");
        let login = match (self.given("MONGO_USERNAME"), password) {
            (Some(name), password) => Some((name, Password(password.unwrap_or_default()))),
            (None, None) => None,
            (None, Some(_)) => {
                self.problem("MONGO_USERNAME: must be set with MONGO_PASSWORD");
                None
            }
        };
        Some(MongoServer::Hosts { hosts: read, login })
    }
}

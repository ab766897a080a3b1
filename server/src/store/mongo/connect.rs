//! Reaching MongoDB: the client's options, and finding out in words what is wrong when it cannot be used.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::{
    Client, Database,
    options::{
        Acknowledgment, ClientOptions, Credential, ReadConcern, ReadPreference, SelectionCriteria,
        ServerAddress, WriteConcern,
    },
};
use tokio::time::{Instant, sleep, timeout};

use super::error::words;
use crate::store::OtherEnvironment;

/// Connections of one hub: a transaction holds one for some milliseconds; more would only wait inside of MongoDB.
const CONNECTIONS: u32 = 32;
/// Longest a connection may take to open, and a server to be found.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often a server is asked how it is: a lost primary is noticed after this at the latest. Commands that fail notice at
/// once.
const ASKED_EVERY: Duration = Duration::from_secs(2);
/// Longest a start waits for a primary: containers that start together need some seconds.
const START_WAITS: Duration = Duration::from_secs(30);
/// Pause between two looks during a start.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What hubs are called in MongoDB's logs, and where they look for each other's.
pub(super) const NAME: &str = "pladmed";

/// Where a store is.
#[derive(Clone)]
pub(crate) struct Place {
    /// Hosts, credentials and options.
    pub(crate) server: Server,
    /// The database; `None` is the one that the connection string names, else `usual`.
    pub(crate) database: Option<String>,
    /// The database where none is named.
    pub(crate) usual: &'static str,
}

/// How a server is reached.
#[derive(Clone)]
pub(crate) enum Server {
    /// By a connection string.
    Uri(String),
    /// By some of its hosts; the login is of the database `admin`.
    Hosts(Vec<(String, u16)>, Option<(String, String)>),
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MongoOpenError {
    /// The settings cannot be read.
    #[error("MongoDB's connection settings cannot be read: {}", words(.0))]
    Settings(mongodb::error::Error),
    /// It is no member of a replica set.
    #[error(
        "MongoDB at {0} is a standalone server, which has no transactions; make it a replica set of one: start it with \
         --replSet rs0 (replication.replSetName: rs0 in mongod.conf), then run rs.initiate() once in its shell"
    )]
    Standalone(String),
    /// Its replica set was never initiated.
    #[error(
        "MongoDB at {0} was started as a member of a replica set that was never initiated; run rs.initiate() once in its \
         shell"
    )]
    NotInitiated(String),
    /// A router of a sharded cluster.
    #[error("MongoDB at {0} is a router of a sharded cluster; give a replica set")]
    Sharded(String),
    /// Nobody can be written to.
    #[error("MongoDB has no primary within {START_WAITS:?}: {0}")]
    Away(String),
    /// A login failed.
    #[error("MongoDB does not let us in: {0}")]
    Login(String),
    /// A database of the replaced system.
    #[error(
        "the database {0} is one of the system that this one replaces; give another name in MONGO_DATABASE and move it with \
         `pladmed import`"
    )]
    Old(String),
    /// A database of something else.
    #[error("the database {0} holds other collections and is not a store of this program")]
    Foreign(String),
    /// Written by a later version of this program.
    #[error(
        "the database {name} was written by a newer version of this program (schema {found}, known up to {known}); \
         update it"
    )]
    Newer {
        /// The database.
        name: String,
        /// Its schema.
        found: i32,
        /// The newest this program knows.
        known: i32,
    },
    /// Written by an earlier version of this program, and not to be changed.
    #[error(
        "the database {name} was written by an older version of this program (schema {found}); bring it up to date \
         with `pladmed migrate`, or start a hub of this version on it once"
    )]
    Older {
        /// The database.
        name: String,
        /// Its schema.
        found: i32,
    },
    /// It belongs to another environment.
    #[error(transparent)]
    Environment(#[from] OtherEnvironment),
    /// There is none.
    #[error("the database {0} is not there, or is not a store of this program")]
    None(String),
    /// The server says no.
    #[error("MongoDB: {}", words(.0))]
    Driver(#[from] mongodb::error::Error),
}

/// What every write waits for: a majority of the members has it in its journal.
pub(super) fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// Connects and waits for a primary of a replica set.
pub(super) async fn connect(place: &Place) -> Result<(Client, Database), MongoOpenError> {
    let options = options(&place.server)
        .await
        .map_err(MongoOpenError::Settings)?;
    let name = place
        .database
        .clone()
        .or_else(|| options.default_database.clone())
        .unwrap_or_else(|| place.usual.to_owned());
    let hosts = options.hosts.clone();
    let client = Client::with_options(options.clone()).map_err(MongoOpenError::Settings)?;
    let deadline = Instant::now() + START_WAITS;
    let mut told = false;
    loop {
        let database = client.database(&name);
        let hello = timeout(START_WAITS, async {
            database.run_command(doc! { "hello": 1 }).await
        });
        let error = match hello.await {
            Ok(Ok(hello)) if hello.contains_key("setName") => return Ok((client, database)),
            Ok(Ok(hello)) => return Err(not_a_set(&hosts, &hello)),
            Ok(Err(error)) => error,
            Err(_) => return Err(MongoOpenError::Away("it does not answer".to_owned())),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::info!(hosts = %shown(&hosts), "waiting for MongoDB");
        }
        if let Some(why) = diagnose(&options, &error).await {
            return Err(why);
        }
        if Instant::now() >= deadline {
            return Err(MongoOpenError::Away(words(&error)));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn options(server: &Server) -> mongodb::error::Result<ClientOptions> {
    let mut options = match server {
        Server::Uri(uri) => ClientOptions::parse(uri).await?,
        Server::Hosts(hosts, login) => {
            let hosts = hosts.iter().map(|(host, port)| ServerAddress::Tcp {
                host: host.clone(),
                port: Some(*port),
            });
            let credential = login.as_ref().map(|(name, password)| {
                Credential::builder()
                    .username(name.clone())
                    .password(password.clone())
                    .source("admin".to_owned())
                    .build()
            });
            let mut options = ClientOptions::builder()
                .hosts(hosts.collect::<Vec<_>>())
                .build();
            options.credential = credential;
            options
        }
    };
    options.max_pool_size.get_or_insert(CONNECTIONS);
    options.connect_timeout.get_or_insert(CONNECT_WITHIN);
    options
        .server_selection_timeout
        .get_or_insert(CONNECT_WITHIN);
    options.heartbeat_freq.get_or_insert(ASKED_EVERY);
    // These are promises, not options.
    options.app_name = Some(NAME.to_owned());
    options.write_concern = Some(durable());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    Ok(options)
}

fn shown(hosts: &[ServerAddress]) -> String {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    hosts.join(", ")
}

/// A server that answers and is no member of a replica set.
fn not_a_set(hosts: &[ServerAddress], hello: &Document) -> MongoOpenError {
    let hosts = shown(hosts);
    if hello.get_bool("isreplicaset").unwrap_or(false) {
        MongoOpenError::NotInitiated(hosts)
    } else if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        MongoOpenError::Sharded(hosts)
    } else {
        MongoOpenError::Standalone(hosts)
    }
}

/// Why there is no primary, where waiting does not help: asks each host by itself.
async fn diagnose(
    options: &ClientOptions,
    error: &mongodb::error::Error,
) -> Option<MongoOpenError> {
    if matches!(
        *error.kind,
        mongodb::error::ErrorKind::Authentication { .. }
    ) {
        return Some(MongoOpenError::Login(words(error)));
    }
    for host in &options.hosts {
        let mut options = options.clone();
        options.hosts = vec![host.clone()];
        options.direct_connection = Some(true);
        options.repl_set_name = None;
        options.credential = None;
        options.selection_criteria = None;
        options.server_selection_timeout = Some(ASKED_EVERY);
        let Ok(client) = Client::with_options(options) else {
            continue;
        };
        let any = SelectionCriteria::ReadPreference(ReadPreference::Nearest { options: None });
        let admin = client.database("admin");
        let hello = admin
            .run_command(doc! { "hello": 1 })
            .selection_criteria(any);
        if let Ok(Ok(hello)) = timeout(CONNECT_WITHIN, async { hello.await }).await
            && !hello.contains_key("setName")
        {
            return Some(not_a_set(std::slice::from_ref(host), &hello));
        }
    }
    None
}

//! A server that holds the old database. It is asked for its collections, counts and documents and for nothing else, so
//! a user who may only read does.

use std::time::Duration;

use bson::{doc, raw::RawDocumentBuf};
use mongodb::{
    Client, Cursor, Database,
    error::{Error, ErrorKind},
    options::{ClientOptions, ConnectionString, HostInfo, ServerAddress},
};
use tokio::time::timeout;

use super::{Collection, OURS, SourceError, has_nothing, is_ours, schema};
use crate::config::{MongoServer, MongoSettings};

/// What connection strings begin with.
const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];
/// Longest until a server is found and lets us in, unless the connection string says otherwise: whoever waits for it sits
/// at a terminal.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// Longest until an answer, however slow its disk is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// Stands in what the driver says of a server that it finds and does not understand.
const SPEAKS_ANOTHER: &str = "wire version";
/// The port where none is named.
const USUAL_PORT: u16 = 27017;

/// Whether this is a connection string.
pub(super) fn is_uri(name: &str) -> bool {
    SCHEMES.iter().any(|scheme| name.starts_with(scheme))
}

/// A database on a server.
#[derive(Debug)]
pub(crate) struct Server {
    database: Database,
    hosts: Vec<String>,
    place: String,
}

impl Server {
    /// Connects and looks what is there.
    pub(super) async fn connect(uri: &str) -> Result<Self, SourceError> {
        let secrets = secrets(uri);
        let wrong = |error: &Error| {
            let why = format!("the connection string: {}", error.kind);
            SourceError::Wrong(without(&secrets, why))
        };
        let parsed = ClientOptions::parse(uri).into_future();
        let options = within("the connection string", parsed).await?;
        let mut options = options.map_err(|error| wrong(&error))?;
        options.app_name.get_or_insert("pladmed import".to_owned());
        options.server_selection_timeout.get_or_insert(FOUND_WITHIN);
        options.connect_timeout.get_or_insert(FOUND_WITHIN);
        let hosts: Vec<String> = options.hosts.iter().map(host).collect();
        let name = options
            .default_database
            .clone()
            .unwrap_or_else(|| MongoSettings::DATABASE.to_owned());
        let place = format!("mongodb://{}/{name}", hosts.join(","));
        let client = Client::with_options(options).map_err(|error| wrong(&error))?;
        let server = Self {
            database: client.database(&name),
            hosts,
            place,
        };
        server.look().await?;
        Ok(server)
    }

    async fn look(&self) -> Result<(), SourceError> {
        let names = self.database.list_collection_names();
        let names = self.answer(names).await?;
        let has = |name: &str| names.iter().any(|it| it == name);
        if has(OURS.0) {
            let meta = self.database.collection::<RawDocumentBuf>(OURS.0);
            let found = meta.find_one(schema());
            if self.answer(found).await?.is_some() {
                return Err(is_ours(&self.place));
            }
        }
        if !Collection::ALL.iter().any(|it| has(it.as_str())) {
            return Err(has_nothing(&self.place, ""));
        }
        Ok(())
    }

    /// What the server answers to a question.
    async fn answer<T>(
        &self,
        question: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<T, SourceError> {
        let answer = within(&self.place, question.into_future()).await?;
        answer.map_err(|error| self.explained(&error))
    }

    fn explained(&self, error: &Error) -> SourceError {
        let place = &self.place;
        match &*error.kind {
            ErrorKind::IncompatibleServer { message, .. } => self.is_too_old(message),
            ErrorKind::ServerSelection { message, .. } if message.contains(SPEAKS_ANOTHER) => {
                self.is_too_old(message)
            }
            ErrorKind::Authentication { message, .. } => SourceError::Failed(format!(
                "{place}: {message} (a user that the database admin knows needs authSource=admin in the connection string)"
            )),
            ErrorKind::ServerSelection { message, .. } => SourceError::Failed(format!(
                "{place}: does not answer, or cannot be reached from here: {message}"
            )),
            kind => SourceError::Failed(format!("{place}: {kind}")),
        }
    }

    fn is_too_old(&self, why: &str) -> SourceError {
        let place = &self.place;
        SourceError::Wrong(format!(
            "{place}: {why} An older server is read by way of mongodump: copy the folder that it writes here, and import that"
        ))
    }

    /// Hosts and database.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether these settings name the same database on one of the same hosts.
    pub(super) fn is_in(&self, settings: &MongoSettings) -> bool {
        let (hosts, named) = match &settings.server {
            MongoServer::Hosts { hosts, .. } => {
                let hosts = hosts.iter().map(|(name, port)| known_as(name, *port));
                (hosts.collect(), None)
            }
            MongoServer::Uri(uri) => match ConnectionString::parse(uri) {
                Ok(parsed) => (hosts_of(&parsed.host_info), parsed.default_database),
                // Whoever opens the store says what is wrong.
                Err(_) => (Vec::new(), None),
            },
        };
        let database = settings.database.as_deref().or(named.as_deref());
        database.unwrap_or(MongoSettings::DATABASE) == self.database.name()
            && hosts.iter().any(|host| self.hosts.contains(host))
    }

    /// How many documents a collection has, by the server's own guess.
    pub(super) async fn count(&self, collection: Collection) -> Result<u64, SourceError> {
        let documents = self.collection(collection);
        self.answer(documents.estimated_document_count()).await
    }

    /// The documents of a collection in the order of their ids.
    pub(super) async fn documents(&self, collection: Collection) -> Result<Answers, SourceError> {
        let documents = self.collection(collection);
        let cursor = self
            .answer(documents.find(doc! {}).sort(doc! { "_id": 1 }))
            .await?;
        Ok(Answers {
            cursor,
            place: self.place.clone(),
        })
    }

    fn collection(&self, collection: Collection) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(collection.as_str())
    }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> Result<T, SourceError> {
    let limit = ANSWERS_WITHIN.as_secs();
    let late = |_| SourceError::Failed(format!("{what}: no answer within {limit} seconds"));
    timeout(ANSWERS_WITHIN, work).await.map_err(late)
}

fn host(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Tcp { host, port } => known_as(host, port.unwrap_or(USUAL_PORT)),
        other => other.to_string(),
    }
}

fn hosts_of(info: &HostInfo) -> Vec<String> {
    match info {
        HostInfo::HostIdentifiers(addresses) => addresses.iter().map(host).collect(),
        // Its hosts are known to the name service alone.
        _ => Vec::new(),
    }
}

/// A host as it is compared: this machine has many names.
fn known_as(name: &str, port: u16) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "localhost" | "::1" | "[::1]" => format!("127.0.0.1:{port}"),
        _ => format!("{name}:{port}"),
    }
}

/// What must not be shown of a connection string: all before the host, and the password alone.
fn secrets(uri: &str) -> Vec<String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let Some((login, _)) = rest.rsplit_once('@') else {
        return Vec::new();
    };
    let password = login.split_once(':').map(|(_, password)| password);
    let texts = [Some(login), password].into_iter().flatten();
    texts
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

fn without(secrets: &[String], text: String) -> String {
    secrets
        .iter()
        .fold(text, |text, secret| text.replace(secret.as_str(), "…"))
}

/// Documents as the server sends them.
pub(crate) struct Answers {
    cursor: Cursor<RawDocumentBuf>,
    place: String,
}

impl Answers {
    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<RawDocumentBuf>, SourceError> {
        let advanced = within(&self.place, self.cursor.advance()).await?;
        let failed = |error: Error| SourceError::Failed(format!("{}: {}", self.place, error.kind));
        let there_is_one = advanced.map_err(failed)?;
        Ok(there_is_one.then(|| self.cursor.current().to_owned()))
    }
}

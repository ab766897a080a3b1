//! What the tests of a database's life share: a place for one in either store, and commands that work on it.

use std::path::{Path, PathBuf};

use bson::{Document, doc};
use mongodb::Database;
use services::mongod;
use tempfile::TempDir;
use tests::{Hub, database};
use tokio::process::Command;

use crate::copying::bench::{pladmed, run, sqlite};

/// A key that staging and production take.
pub(super) const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// Where a database is, or will be.
pub(super) enum Home {
    /// In a data folder.
    Folder(TempDir),
    /// In MongoDB; the data folder is for the key alone.
    Mongo(TempDir, Database, String),
}

/// Trials that get a new [`Home`] in either store.
macro_rules! in_both {
    ($($test:ident),+ $(,)?) => {
        vec![$(
            tests::Case::new(concat!(module_path!(), "::", stringify!($test), "::sqlite"))
                .run(|| async { $test(super::bench::Home::folder()).await }),
            tests::Case::new(concat!(module_path!(), "::", stringify!($test), "::mongo"))
                .unless(services::mongod::missing())
                .run(|| async { $test(super::bench::Home::mongo().await).await })
        ),+]
    };
}
pub(super) use in_both;

impl Home {
    pub(super) fn folder() -> Self {
        Self::Folder(tempfile::tempdir().expect("a folder"))
    }

    pub(super) async fn mongo() -> Self {
        let server = mongod::shared().await;
        let client = server.client().await;
        let database = client.database(&server.fresh_database());
        Self::Mongo(
            tempfile::tempdir().expect("a folder"),
            database,
            server.uri(),
        )
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        match self {
            Self::Folder(folder) | Self::Mongo(folder, ..) => folder.path().join("data"),
        }
    }

    /// The settings of whoever works on it.
    pub(super) fn settings(&self, environment: &str) -> Vec<(String, String)> {
        let mut all = vec![
            ("ENVIRONMENT", environment.to_owned()),
            ("SECRET_KEY", KEY.to_owned()),
            ("DATA_DIR", self.data_dir().display().to_string()),
        ];
        match self {
            Self::Folder(_) => all.push(("DATABASE", "sqlite".to_owned())),
            Self::Mongo(_, database, uri) => all.extend([
                ("DATABASE", "mongo".to_owned()),
                ("MONGO_URI", uri.clone()),
                ("MONGO_DATABASE", database.name().to_owned()),
            ]),
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        all.into_iter().map(owned).collect()
    }

    /// A hub on it.
    pub(super) async fn hub(&self, environment: &str) -> Hub {
        let settings = self.settings(environment);
        Hub::without_superuser(&borrowed(&settings)).await
    }

    /// A hub that must not start on it: its exit code and what it said.
    pub(super) async fn hub_refused(&self, environment: &str) -> (i32, String) {
        let mut settings = self.settings(environment);
        // What it would change, if it had any say.
        settings.push(("RESULT_TTL_DAYS".to_owned(), "1".to_owned()));
        Hub::refused(&borrowed(&settings)).await
    }

    /// A command that works on it.
    pub(super) fn command(&self, environment: &str, arguments: &[&str]) -> Command {
        let mut command = pladmed(arguments);
        command.envs(self.settings(environment));
        command
    }

    /// How it is written on the command line.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Folder(_) => sqlite(&self.data_dir()),
            Self::Mongo(_, database, uri) => {
                uri.replacen("/?", &format!("/{}?", database.name()), 1)
            }
        }
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(_) => self.file().display().to_string(),
            Self::Mongo(_, database, _) => database.name().to_owned(),
        }
    }

    /// The file of the embedded store.
    pub(super) fn file(&self) -> PathBuf {
        self.data_dir().join(database::FILE)
    }

    pub(super) async fn snapshot(&self) -> database::Snapshot {
        match self {
            Self::Folder(_) => database::snapshot(&self.data_dir()),
            Self::Mongo(_, database, _) => database::mongo::snapshot(database).await,
        }
    }

    /// The environment that it belongs to.
    pub(super) async fn stamp(&self) -> Option<String> {
        match self {
            Self::Folder(_) => {
                let name = database::open(&self.data_dir()).query_row(
                    "select name from environment",
                    [],
                    |row| row.get(0),
                );
                name.ok()
            }
            Self::Mongo(_, database, _) => {
                let found = meta(database).find_one(doc! { "_id": "schema" }).await;
                let found = found.expect("an answer").expect("the stamp");
                found.get_str("environment").ok().map(str::to_owned)
            }
        }
    }

    /// Makes it belong nowhere, as what an earlier version left behind.
    pub(super) async fn forget_stamp(&self) {
        match self {
            Self::Folder(_) => {
                database::change(&self.data_dir(), "delete from environment", []);
            }
            Self::Mongo(_, database, _) => {
                let unset = doc! { "$unset": { "environment": "" } };
                change_meta(database, unset).await;
            }
        }
    }

    /// Gives it a schema that does not exist yet.
    pub(super) async fn be_newer(&self) {
        match self {
            Self::Folder(_) => set_version(&self.data_dir(), 99),
            Self::Mongo(_, database, _) => {
                let change = doc! { "$set": { "version": 99 } };
                change_meta(database, change).await;
            }
        }
    }
}

fn meta(database: &Database) -> mongodb::Collection<Document> {
    database.collection("meta")
}

async fn change_meta(database: &Database, change: Document) {
    let meta = meta(database);
    let done = meta.update_one(doc! { "_id": "schema" }, change).await;
    assert_eq!(done.expect("a change").modified_count, 1);
}

pub(super) fn set_version(data_dir: &Path, version: i64) {
    database::change(data_dir, &format!("pragma user_version = {version}"), []);
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Runs a command that must do what it is asked: what it wrote on standard output and standard error.
pub(super) async fn done(command: Command) -> (String, String) {
    let output = run(command).await;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    (out, err)
}

//! A real hub: the `pladmed` process on a loopback port, with a data folder of its own, or on MongoDB.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use rand::RngExt as _;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command, time::sleep};

use crate::{
    api::Api,
    database,
    process::{Process, program},
    user::TestUser,
    wait::within,
};

/// The superuser of every test hub.
pub const ADMIN: &str = "admin@example.org";
/// The password of every test user.
pub const PASSWORD: &str = "Correct-horse-1";

/// Ports for hubs. They lie below those that the kernel gives to outgoing connections: a hub that restarts on its port
/// must find it free, and a probe that dials a hub that is away must not reach itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Ports tried before giving up.
const PORT_ATTEMPTS: usize = 20;
/// Longest a start may take, on a machine that is busy.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest a stop may take: the hub's own limit and some more.
const STOPPED_WITHIN: Duration = Duration::from_secs(25);
/// So much a minute that no ordinary test of a hub with limits meets them: all tests come from one address.
const MANY: &str = "100000";
/// How often the log is looked at during a start.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A hub. Killed when dropped.
#[derive(Debug)]
pub struct Hub {
    process: Process,
    port: u16,
    settings: Vec<(String, String)>,
    api: Api,
    // Last, so that the process is gone when the folder is removed.
    folder: TempDir,
}

impl Hub {
    /// A hub with a superuser and nothing else.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A hub on the MongoDB of this URI, in a database of its own, with settings beside the usual ones.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn on_mongo(uri: &str, settings: &[(&str, &str)]) -> Self {
        let name = services::mongod::fresh_database();
        let mut all = vec![
            ("DATABASE", "mongo"),
            ("MONGO_URI", uri),
            ("MONGO_DATABASE", &name),
        ];
        all.extend(settings);
        Self::start_with(&all).await
    }

    /// A hub with settings beside the usual ones.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let chosen = std::env::var("TEST_DATABASE").is_ok_and(|chosen| chosen == "mongo");
        if chosen && !settings.iter().any(|(name, _)| *name == "DATABASE") {
            let uri = services::mongod::shared().await.uri();
            return Box::pin(Self::on_mongo(&uri, settings)).await;
        }
        let (folder, settings) = (new_folder(), owned(settings));
        create_superuser(&folder, &settings, ADMIN, PASSWORD).await;
        Self::on(folder, settings).await
    }

    async fn on(folder: TempDir, settings: Vec<(String, String)>) -> Self {
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let mut process = spawn(&folder, port, &settings);
            if ready(&mut process, 0).await {
                let api = Api::new(&format!("http://127.0.0.1:{port}"));
                return Self {
                    process,
                    port,
                    settings,
                    api,
                    folder,
                };
            }
            let log = process.log();
            assert!(
                log.contains("cannot listen"),
                "the hub did not start:\n{log}"
            );
        }
        panic!("no port is free");
    }

    /// Another hub on the same database of MongoDB, with the same settings and the same key for tokens, on a port and with
    /// a folder of its own.
    ///
    /// # Panics
    /// When it does not become ready, or this one is not on MongoDB.
    pub async fn beside(&self) -> Self {
        assert_eq!(self.setting("DATABASE"), Some("mongo"));
        let mut settings = self.settings.clone();
        if self.setting("SECRET_KEY").is_none() {
            let key = self.data_dir().join("secret_key");
            let key = std::fs::read_to_string(key).expect("the hub's key");
            settings.push(("SECRET_KEY".to_owned(), key.trim().to_owned()));
        }
        Self::on(new_folder(), settings).await
    }

    /// A hub with nobody in its store but those who are there already.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn without_superuser(settings: &[(&str, &str)]) -> Self {
        Self::on(new_folder(), owned(settings)).await
    }

    /// Starts a hub that must not become ready; its exit code and what it logged.
    ///
    /// # Panics
    /// When it does, or takes too long to end.
    pub async fn refused(settings: &[(&str, &str)]) -> (i32, String) {
        let folder = new_folder();
        let mut process = spawn(&folder, free_port(), &owned(settings));
        assert!(!ready(&mut process, 0).await, "{}", process.log());
        (process.wait(STOPPED_WITHIN).await, process.log())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its URL, without a final slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Speaks to it as nobody in particular.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its database, where that is in MongoDB, by a client for the runtime that asks.
    ///
    /// # Panics
    /// When it is not told by a URI and a name, as [`Self::on_mongo`] does.
    pub async fn mongo(&self) -> Option<mongodb::Database> {
        if self.setting("DATABASE") != Some("mongo") {
            return None;
        }
        let uri = self.setting("MONGO_URI").expect("a hub on a URI");
        let name = self.setting("MONGO_DATABASE").expect("the database's name");
        let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
        Some(client.database(name))
    }

    /// What its store holds now, also while it runs.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn snapshot(&self) -> database::Snapshot {
        match self.mongo().await {
            Some(database) => database::mongo::snapshot(&database).await,
            None => database::snapshot(&self.data_dir()),
        }
    }

    /// Holds its store to every promise, also while it runs.
    ///
    /// # Panics
    /// With what it breaks.
    pub async fn check(&self) {
        self.snapshot().await.check();
    }

    /// One number from its store, by a query for SQLite.
    ///
    /// # Panics
    /// When there is none.
    pub async fn number(&self, query: &str) -> i64 {
        self.snapshot().await.number(query)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        // As in an environment, the last one counts.
        let mut settings = self.settings.iter().rev();
        settings
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Where its file lies, and its secret.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.folder)
    }

    /// `pladmed` with these arguments, on its store and with its settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.folder);
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        command.envs(settings).args(arguments).kill_on_drop(true);
        command
    }

    /// The process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// kill -9; returns when it is gone.
    pub async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// SIGTERM; its exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.process.terminate(STOPPED_WITHIN).await
    }

    /// Starts it again after its end, on the same data and port.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn restart(&mut self) {
        let log_so_far = self.start_again();
        self.until_ready(log_so_far).await;
    }

    /// Starts it again after its end, without waiting; how long its log was before.
    pub fn start_again(&mut self) -> usize {
        let log_so_far = self.process.log().len();
        self.process = spawn(&self.folder, self.port, &self.settings);
        log_so_far
    }

    /// Waits until it says that it is ready, after so much of its log.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn until_ready(&mut self, log_so_far: usize) {
        let is_ready = ready(&mut self.process, log_so_far).await;
        assert!(
            is_ready,
            "the hub did not start again:\n{}",
            &self.process.log()[log_so_far..]
        );
    }

    /// Changes a setting for the next start; an empty one is as if it were not there.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The superuser, logged in.
    pub async fn admin(&self) -> TestUser {
        TestUser::log_in(&self.api, ADMIN, PASSWORD).await
    }

    /// A new user with a balance, logged in.
    pub async fn user(&self, name: &str, credits: i64) -> TestUser {
        let user = TestUser::register(&self.api, &format!("{name}@example.org"), PASSWORD).await;
        if credits > 0 {
            self.admin().await.grant(&user, credits).await;
        }
        user
    }
}

fn new_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("pladmed-hub-")
        .tempdir()
        .expect("a folder")
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn free_port() -> u16 {
    rand::rng().random_range(PORTS)
}

fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(program("pladmed"));
    command
        .env_clear()
        .env("DATA_DIR", data_dir(folder))
        .env("ENVIRONMENT", "test")
        .env("HOST", "127.0.0.1");
    command
}

fn spawn(folder: &TempDir, port: u16, settings: &[(String, String)]) -> Process {
    let mut command = command(folder);
    command
        .env("PORT", port.to_string())
        .env("LOGINS_PER_MINUTE", MANY)
        .env("OPERATIONS_PER_MINUTE", MANY)
        .env("MAX_CONNECTIONS_PER_ADDRESS", "0")
        .env("LOG_LEVEL", "info,pladmed=debug");
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    Process::start("pladmed", command, folder.path().join("hub.log"))
}

/// Whether the hub says that it is ready in what it logs after `skip` bytes; false when it ends instead.
async fn ready(process: &mut Process, skip: usize) -> bool {
    within(READY_WITHIN, "a ready hub", async {
        loop {
            if process
                .log()
                .get(skip..)
                .is_some_and(|log| log.contains("the hub is ready"))
            {
                return true;
            }
            if process.ended().is_some() {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
    })
    .await
}

async fn create_superuser(
    folder: &TempDir,
    settings: &[(String, String)],
    email: &str,
    password: &str,
) {
    let mut command = command(folder);
    let of_the_store = settings
        .iter()
        .filter(|(name, _)| name == "DATABASE" || name.starts_with("MONGO_"));
    command.envs(of_the_store.map(|(name, value)| (name, value)));
    command.args(["superuser", "create", email, "--password-stdin"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("pladmed starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin
        .write_all(format!("{password}\n").as_bytes())
        .await
        .expect("it reads");
    drop(stdin);
    let output = within(READY_WITHIN, "a superuser", child.wait_with_output())
        .await
        .expect("its output");
    assert!(
        output.status.success(),
        "no superuser: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

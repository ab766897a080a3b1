//! MongoDB.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use bson::{doc, oid::ObjectId};
use mongodb::Client;
use tokio::sync::OnceCell;

mod node;
mod program;
mod replica_set;
mod talk;
#[cfg(test)]
mod tests;

pub use program::missing;
pub use replica_set::ReplicaSet;
use talk::{Login, direct, tell, until_writable};

use crate::process::{HOST, Process};

/// The secret that the members of a set with users share. A set of one shares it with nobody.
const KEY: &str = "Zm9yIHRlc3RzIG9ubHk=";

static SHARED: OnceCell<Mongod> = OnceCell::const_new();

/// One server for the whole test process, started by who asks first; each test takes a database of its own from
/// [`Mongod::fresh_database`]. It ends with the process.
pub async fn shared() -> &'static Mongod {
    SHARED.get_or_init(Mongod::single).await
}

/// A name that no other test uses for a database.
#[must_use]
pub fn fresh_database() -> String {
    format!("test_{}", ObjectId::new())
}

/// How a server shall be.
#[derive(Debug, Default)]
pub struct Builder {
    standalone: bool,
    login: Option<Login>,
    args: Vec<String>,
}

impl Builder {
    /// Asks for a name and a password; this user may do everything.
    #[must_use]
    pub fn auth(mut self, user: &str, password: &str) -> Self {
        self.login = Some(Login {
            user: user.to_owned(),
            password: password.to_owned(),
        });
        self
    }

    /// Not a replica set: no transactions, no change streams.
    #[must_use]
    pub fn standalone(mut self) -> Self {
        self.standalone = true;
        self
    }

    /// More arguments for the program.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Starts it; returns when it takes writes.
    ///
    /// # Panics
    /// When it does not get that far.
    pub async fn start(self) -> Mongod {
        let Self {
            standalone,
            login,
            mut args,
        } = self;
        let set = (!standalone).then(|| format!("tests-{}", ObjectId::new()));
        if let Some(name) = &set {
            args.extend(["--replSet".to_owned(), name.clone()]);
        }
        let (asks, in_set) = (login.is_some(), set.is_some());
        let node = node::start(move |folder| {
            if asks {
                args.push("--auth".to_owned());
                if in_set {
                    args.extend(["--keyFile".to_owned(), key_file(folder)]);
                }
            }
            args
        })
        .await;
        let server = Mongod { node, set, login };
        server.set_up().await;
        server
    }
}

/// A MongoDB server: a replica set of one, unless it was asked for otherwise. Killed when dropped.
#[derive(Debug)]
pub struct Mongod {
    node: Process,
    set: Option<String>,
    login: Option<Login>,
}

impl Mongod {
    /// A replica set of one, without users.
    ///
    /// # Panics
    /// When it does not take writes in time.
    pub async fn single() -> Self {
        Self::with().start().await
    }

    /// One that is otherwise.
    #[must_use]
    pub fn with() -> Builder {
        Builder::default()
    }

    /// Where clients find it, with name and password if it asks for them; the same after a restart. There is no database
    /// in it.
    #[must_use]
    pub fn uri(&self) -> String {
        talk::uri(&[&self.node], self.login.as_ref(), self.set.as_deref())
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &'static str {
        HOST
    }

    /// Its port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.node.port()
    }

    /// The number of its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.node.pid()
    }

    /// A client, for the runtime that asks: the driver's tasks end with that.
    pub async fn client(&self) -> Client {
        talk::client(&self.uri()).await
    }

    /// A name that no other test uses for a database.
    #[must_use]
    pub fn fresh_database(&self) -> String {
        fresh_database()
    }

    /// kill -9; returns when it is gone.
    pub async fn kill9(&mut self) {
        self.node.kill9().await;
    }

    /// Starts it again on the same data and port, after kill -9 if it still runs; returns when it takes writes.
    ///
    /// # Panics
    /// When it does not get that far.
    pub async fn restart(&mut self) {
        self.node.restart().await;
        until_writable(&direct(&self.node, None).await).await;
    }

    /// SIGSTOP: connections stay open and nobody answers. Returns when it stands still.
    pub async fn freeze(&mut self) {
        self.node.freeze().await;
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.node.thaw();
    }

    /// Makes it a set of one and creates its user. Both may be done from this machine as long as there is no user.
    async fn set_up(&self) {
        let client = direct(&self.node, None).await;
        if let Some(name) = &self.set {
            let member = doc! { "_id": 0, "host": self.node.address() };
            let config = doc! { "_id": name, "members": [member] };
            tell(&client, doc! { "replSetInitiate": config }).await;
        }
        until_writable(&client).await;
        if let Some(Login { user, password }) = &self.login {
            let create = doc! { "createUser": user, "pwd": password, "roles": ["root"] };
            tell(&client, create).await;
        }
    }
}

/// Writes the secret where only we read it, which mongod insists on.
fn key_file(folder: &Path) -> String {
    let path = folder.join("key");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(KEY.as_bytes()))
        .expect("the key file");
    path.to_str().expect("a path of plain text").to_owned()
}

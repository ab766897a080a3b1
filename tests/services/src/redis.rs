//! Redis.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ::redis::{Client, TlsCertificates};
use tokio::sync::OnceCell;

mod certificates;
mod cluster;
mod node;
mod program;
mod sentinel;
mod talk;
#[cfg(test)]
mod tests;

pub use certificates::tls_missing;
pub use cluster::Cluster;
use node::{Login, PLAIN, TLS};
pub use program::missing;
pub use sentinel::{MASTER_NAME, Sentinel};
use talk::{tell, until_answers};

use crate::{
    process::{Kind, Process},
    uri::escaped,
};

static SHARED: OnceCell<Redis> = OnceCell::const_new();

/// One server for the whole test process, started by who asks first. Tests that use it share its channels and keys, so
/// they need names of their own. It ends with the process.
pub async fn shared() -> &'static Redis {
    SHARED.get_or_init(Redis::start).await
}

/// How a server shall be.
#[derive(Debug, Default)]
pub struct Builder {
    login: Option<Login>,
    tls: bool,
}

impl Builder {
    /// Asks everybody for this password, and for no name.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.login = Some(Login {
            user: None,
            password: password.to_owned(),
        });
        self
    }

    /// Asks for a name, without spaces, and a password; this user may do everything, and who has no name nothing.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.login = Some(Login {
            user: Some(name.to_owned()),
            password: password.to_owned(),
        });
        self
    }

    /// Speaks only TLS, with a certificate for 127.0.0.1 and localhost from a CA of its own, see [`Redis::ca`]. Tests ask
    /// [`tls_missing`] first.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts one server; returns when it answers.
    ///
    /// # Panics
    /// When it does not get that far.
    pub async fn start(self) -> Redis {
        if self.tls {
            self.start_as(&TLS, certificates::make).await
        } else {
            self.start_as(&PLAIN, |_| String::new()).await
        }
    }

    /// Starts a cluster of so many masters, 3 or more, that own all keys; returns when each takes writes to its keys.
    ///
    /// # Panics
    /// When they do not get that far, or were to speak TLS.
    pub async fn start_cluster(self, size: usize) -> Cluster {
        assert!(!self.tls, "clusters without TLS only");
        Cluster::of(self, size).await
    }

    /// Starts a master, a replica and a sentinel; returns when the sentinel knows both and the replica follows. The
    /// sentinel itself asks for no password.
    ///
    /// # Panics
    /// When they do not get that far, or were to speak TLS.
    pub async fn start_sentinel(self) -> Sentinel {
        assert!(!self.tls, "sentinels without TLS only");
        Sentinel::of(self).await
    }

    async fn start_as(&self, kind: &'static Kind, settings: impl FnOnce(&Path) -> String) -> Redis {
        let server = Redis {
            process: node::start(kind, self.login.as_ref(), settings).await,
            login: self.login.clone(),
            tls: self.tls,
        };
        until_answers(&server.client()).await;
        server
    }
}

/// A Redis server on loopback that keeps nothing on disk. Killed when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    login: Option<Login>,
    tls: bool,
}

impl Redis {
    /// One without users.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn start() -> Self {
        Self::with().start().await
    }

    /// One that is otherwise.
    #[must_use]
    pub fn with() -> Builder {
        Builder::default()
    }

    /// Where clients find it, with name and password if it asks for them; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        url(scheme, &self.process.address(), self.login.as_ref())
    }

    /// The certificate of the CA that clients must trust, if it speaks TLS. A file in PEM, the same after a restart.
    #[must_use]
    pub fn ca(&self) -> Option<PathBuf> {
        self.tls.then(|| certificates::ca(self.process.folder()))
    }

    /// Its port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// The number of its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// A client of it, that trusts its CA.
    ///
    /// # Panics
    /// When the CA's file is gone.
    #[must_use]
    pub fn client(&self) -> Client {
        let Some(ca) = self.ca() else {
            return Client::open(self.url()).expect("a URL");
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(fs::read(ca).expect("the CA's certificate")),
        };
        Client::build_with_tls(self.url(), certificates).expect("a client")
    }

    /// kill -9; returns when it is gone.
    pub async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// Starts it again on the same port, empty, after kill -9 if it still runs; returns when it answers.
    ///
    /// # Panics
    /// When it does not get that far.
    pub async fn restart(&mut self) {
        self.process.restart().await;
        until_answers(&self.client()).await;
    }

    /// SIGSTOP: connections stay open and nobody answers. Returns when it stands still.
    pub async fn freeze(&mut self) {
        self.process.freeze().await;
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.process.thaw();
    }

    /// Removes all keys.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn flush(&self) {
        tell(&self.client(), &["FLUSHALL"]).await;
    }

    /// Closes the connections of all clients, also of those that subscribed.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn kill_clients(&self) {
        kill_clients(&self.client()).await;
    }
}

/// Closes the connections of all clients of the server.
async fn kill_clients(client: &Client) {
    for kind in ["normal", "pubsub"] {
        tell(client, &["CLIENT", "KILL", "TYPE", kind]).await;
    }
}

/// The URL of a server.
fn url(scheme: &str, address: &str, login: Option<&Login>) -> String {
    let login = login.map_or_else(String::new, |Login { user, password }| {
        let user = user.as_deref().unwrap_or_default();
        format!("{}:{}@", escaped(user), escaped(password))
    });
    format!("{scheme}://{login}{address}/")
}

//! A master, a replica, and a sentinel that makes the replica the master when that is gone.

use std::{collections::HashMap, time::Duration};

use super::{
    Builder, Redis,
    node::{Login, PLAIN, SENTINEL, quoted, settings_file},
    talk::{READY_WITHIN, ask, command, tell, until_answers},
};
use crate::{
    process::{HOST, Process},
    wait::until,
};

/// The name under which the sentinel knows the master.
pub const MASTER_NAME: &str = "pladmed";
/// Sentinels that must find the master gone: there is one.
const QUORUM: usize = 1;
/// Time without an answer after which the master is gone, ms: short, as tests wait for it, and longer than a server on a busy
/// machine stands still.
const DOWN_AFTER_MILLISECONDS: u32 = 3000;
/// Longest one attempt at a new master may take, ms; the next one may begin after twice that.
const FAILOVER_TIMEOUT_MILLISECONDS: u32 = 5000;
/// What makes the sentinel look at servers once in a second instead of in ten, and tell them about itself twice as often:
/// else who comes back is made a replica only after 20 s. It forgets that when it is restarted.
const LOOK_OFTEN: [&str; 6] = [
    "SENTINEL",
    "DEBUG",
    "INFO-PERIOD",
    "1000",
    "PUBLISH-PERIOD",
    "500",
];
/// Longest until a server that was away follows, also for a sentinel that looks seldom.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Two servers and one sentinel. Their processes are killed when it is dropped.
#[derive(Debug)]
pub struct Sentinel {
    sentinel: Redis,
    servers: Vec<Redis>,
}

impl Sentinel {
    /// Servers without users; returns when the sentinel knows both and the replica follows.
    ///
    /// # Panics
    /// When they do not get that far.
    pub async fn start() -> Self {
        Redis::with().start_sentinel().await
    }

    /// See [`Builder::start_sentinel`].
    pub(super) async fn of(builder: Builder) -> Self {
        let login = builder.login.clone();
        let also = login.as_ref().map_or_else(String::new, follows_as);
        let master = builder.start_as(&PLAIN, |_| also.clone()).await;
        let replica = format!("{also}replicaof {HOST} {}\n", master.port());
        let replica = builder.start_as(&PLAIN, |_| replica).await;
        let servers = vec![master, replica];
        // Before there is a sentinel: it asks the master for its replicas only once in 10 s.
        until_follows(&servers[1]).await;

        let settings = monitor(servers[0].port(), login.as_ref());
        let process = Process::start(&SENTINEL, |folder| {
            vec![settings_file(folder, &settings), "--sentinel".to_owned()]
        })
        .await;
        let sentinel = Redis {
            process,
            login: None,
            tls: false,
        };
        until_answers(&sentinel.client()).await;
        tell(&sentinel.client(), &LOOK_OFTEN).await;
        let set = Self { sentinel, servers };
        set.wait_until_whole().await;
        set
    }

    /// The sentinel, which asks for no password. It has no keys to flush.
    #[must_use]
    pub fn sentinel(&self) -> &Redis {
        &self.sentinel
    }

    /// The sentinel, to kill, freeze and restart it.
    #[must_use]
    pub fn sentinel_mut(&mut self) -> &mut Redis {
        &mut self.sentinel
    }

    /// The master and the replica, as they were at the start.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The servers, to kill, freeze and restart them. See [`Self::wait_until_whole`].
    #[must_use]
    pub fn servers_mut(&mut self) -> &mut [Redis] {
        &mut self.servers
    }

    /// Waits until the sentinel names a server that runs as the master and says so itself; its place in the list.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn master(&self) -> usize {
        until(READY_WITHIN, "a master", || self.named()).await
    }

    /// kill -9 of the master; its place in the list. See [`Self::new_master`].
    ///
    /// # Panics
    /// When there is none.
    pub async fn kill_master(&mut self) -> usize {
        let place = self.master().await;
        self.servers[place].kill9().await;
        place
    }

    /// Waits until another one than `gone` is the master; its place in the list.
    ///
    /// # Panics
    /// When that is not in time.
    pub async fn new_master(&self, gone: usize) -> usize {
        until(READY_WITHIN, "another master", || async {
            self.named().await.filter(|named| *named != gone)
        })
        .await
    }

    /// Waits until the sentinel knows a master and a replica that follows it, after one was away or at the start.
    ///
    /// # Panics
    /// When they do not get that far in time.
    pub async fn wait_until_whole(&self) {
        let replicas = command(&["SENTINEL", "REPLICAS", MASTER_NAME]);
        let client = self.sentinel.client();
        until(WHOLE_WITHIN, "a replica that follows", || async {
            let master = self.named().await?;
            let known: Vec<HashMap<String, String>> = ask(&client, &replicas).await.ok()?;
            let of = self.servers[master].port().to_string();
            known
                .iter()
                .any(|replica| {
                    replica["flags"] == "slave"
                        && replica["master-link-status"] == "ok"
                        && replica["master-port"] == of
                })
                .then_some(())
        })
        .await;
    }

    /// The server that the sentinel names, if it says that it is the master.
    async fn named(&self) -> Option<usize> {
        let question = command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME]);
        let (_, port): (String, u16) = ask(&self.sentinel.client(), &question).await.ok()?;
        let place = self
            .servers
            .iter()
            .position(|server| server.port() == port)?;
        let info = replication(&self.servers[place]).await?;
        info.lines()
            .any(|line| line == "role:master")
            .then_some(place)
    }
}

/// What the server says about who follows whom.
async fn replication(server: &Redis) -> Option<String> {
    let question = command(&["INFO", "replication"]);
    ask(&server.client(), &question).await.ok()
}

/// Waits until the replica has all that its master has.
async fn until_follows(replica: &Redis) {
    until(READY_WITHIN, "a replica that follows", || async {
        let info = replication(replica).await?;
        info.lines()
            .any(|line| line == "master_link_status:up")
            .then_some(())
    })
    .await;
}

/// Settings with which a server logs in at its master. The master has them too, as it may follow some day.
fn follows_as(login: &Login) -> String {
    let user = login
        .user
        .as_ref()
        .map_or_else(String::new, |user| format!("masteruser {user}\n"));
    format!("{user}masterauth {}\n", quoted(&login.password))
}

/// The sentinel's settings.
fn monitor(port: u16, login: Option<&Login>) -> String {
    let mut settings = format!(
        "sentinel monitor {MASTER_NAME} {HOST} {port} {QUORUM}\n\
         sentinel down-after-milliseconds {MASTER_NAME} {DOWN_AFTER_MILLISECONDS}\n\
         sentinel failover-timeout {MASTER_NAME} {FAILOVER_TIMEOUT_MILLISECONDS}\n"
    );
    if let Some(Login { user, password }) = login {
        if let Some(user) = user {
            settings += &format!("sentinel auth-user {MASTER_NAME} {user}\n");
        }
        settings += &format!("sentinel auth-pass {MASTER_NAME} {}\n", quoted(password));
    }
    settings
}

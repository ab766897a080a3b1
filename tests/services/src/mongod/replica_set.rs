//! Several servers that elect a primary.

use std::time::Duration;

use bson::{Document, doc, oid::ObjectId};
use mongodb::Client;
use tokio::task::JoinSet;

use super::{
    node,
    talk::{self, WRITABLE_WITHIN, ask, direct, tell},
};
use crate::{process::Process, wait::until};

/// Time without a word from the primary after which the others elect: short, as tests wait for it, yet longer than what a
/// busy machine takes to answer.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How often members look at each other.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// Longest until a member that was away has what it missed.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// How long a primary that stepped down does not come back, s.
const STEPPED_DOWN_SECONDS: i32 = 10;
/// Longest a primary that steps down waits for another that has everything, s.
const CATCH_UP_SECONDS: i32 = 5;

/// A replica set. Its processes are killed when it is dropped.
#[derive(Debug)]
pub struct ReplicaSet {
    name: String,
    nodes: Vec<Process>,
}

impl ReplicaSet {
    /// So many servers; returns when one is primary and the others follow it.
    ///
    /// # Panics
    /// When they do not get that far.
    pub async fn start(size: usize) -> Self {
        let name = format!("tests-{}", ObjectId::new());
        let mut starting = JoinSet::new();
        for _ in 0..size {
            let name = name.clone();
            starting.spawn(node::start(|_| vec!["--replSet".to_owned(), name]));
        }
        let nodes = starting.join_all().await;
        let set = Self { name, nodes };
        tell(&direct(&set.nodes[0], None).await, set.config()).await;
        set.wait_until_whole().await;
        set
    }

    /// Where clients find it, also after any of its servers went and came back.
    #[must_use]
    pub fn uri(&self) -> String {
        let nodes: Vec<&Process> = self.nodes.iter().collect();
        talk::uri(&nodes, None, Some(&self.name))
    }

    /// A client, for the runtime that asks.
    pub async fn client(&self) -> Client {
        talk::client(&self.uri()).await
    }

    /// A name that no other test uses for a database.
    #[must_use]
    pub fn fresh_database(&self) -> String {
        super::fresh_database()
    }

    /// Waits for a primary that takes writes and that most of the members follow; its place in the list. After a primary
    /// was killed, frozen or told to step down, this is the next one.
    ///
    /// # Panics
    /// When none is elected in time.
    pub async fn primary(&self) -> usize {
        let mut clients = Vec::new();
        for node in &self.nodes {
            clients.push(direct(node, None).await);
        }
        until(WRITABLE_WITHIN, "a primary", || async {
            // At the same time, as those that stand still take long not to answer.
            let mut asking = JoinSet::new();
            for (place, client) in clients.iter().enumerate() {
                let client = client.clone();
                asking.spawn(async move { (place, ask(&client, doc! { "hello": 1 }).await) });
            }
            let answers = asking.join_all().await;
            self.agreed(&answers)
        })
        .await
    }

    /// kill -9 of one; returns when it is gone.
    pub async fn kill9(&mut self, place: usize) {
        self.nodes[place].kill9().await;
    }

    /// Starts one again, on the same data and port; returns when it listens. See [`Self::wait_until_whole`].
    pub async fn restart(&mut self, place: usize) {
        self.nodes[place].restart().await;
    }

    /// SIGSTOP to one: its connections stay open and nobody answers.
    pub async fn freeze(&mut self, place: usize) {
        self.nodes[place].freeze().await;
    }

    /// SIGCONT to one.
    pub fn thaw(&mut self, place: usize) {
        self.nodes[place].thaw();
    }

    /// Makes the primary step down; returns the one that was elected after it.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub async fn step_down(&mut self) -> usize {
        let before = self.primary().await;
        let client = direct(&self.nodes[before], None).await;
        let command = doc! {
            "replSetStepDown": STEPPED_DOWN_SECONDS,
            "secondaryCatchUpPeriodSecs": CATCH_UP_SECONDS,
        };
        tell(&client, command).await;
        until(WRITABLE_WITHIN, "another primary", || async {
            Some(self.primary().await).filter(|now| *now != before)
        })
        .await
    }

    /// Waits until there is a primary and all others follow it, with everything that they missed.
    ///
    /// # Panics
    /// When they do not get that far in time.
    pub async fn wait_until_whole(&self) {
        until(WHOLE_WITHIN, "a replica set without gaps", || async {
            let primary = direct(&self.nodes[self.primary().await], None).await;
            let status = ask(&primary, doc! { "replSetGetStatus": 1 }).await?;
            let members = status.get_array("members").ok()?;
            let follow = members
                .iter()
                .filter_map(|member| member.as_document()?.get_str("stateStr").ok())
                .filter(|state| matches!(*state, "PRIMARY" | "SECONDARY"))
                .count();
            (follow == self.nodes.len()).then_some(())
        })
        .await;
    }

    /// The primary, if the same one is named by most and says so itself.
    fn agreed(&self, answers: &[(usize, Option<Document>)]) -> Option<usize> {
        answers.iter().find_map(|(place, answer)| {
            answer
                .as_ref()?
                .get_bool("isWritablePrimary")
                .ok()
                .filter(|writable| *writable)?;
            let address = self.nodes[*place].address();
            let followers = answers
                .iter()
                .filter_map(|(_, answer)| answer.as_ref()?.get_str("primary").ok())
                .filter(|named| *named == address)
                .count();
            (followers * 2 > self.nodes.len()).then_some(*place)
        })
    }

    fn config(&self) -> Document {
        let members: Vec<Document> = (0..)
            .zip(&self.nodes)
            .map(|(place, node): (i32, _)| doc! { "_id": place, "host": node.address() })
            .collect();
        doc! { "replSetInitiate": {
            "_id": &self.name,
            "members": members,
            "settings": {
                "electionTimeoutMillis": millis(ELECTION_TIMEOUT),
                "heartbeatIntervalMillis": millis(HEARTBEAT_INTERVAL),
            },
        } }
    }
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).expect("a short time")
}

//! Several servers that divide the keys among themselves.

use super::{
    Builder, Redis,
    node::CLUSTER,
    talk::{READY_WITHIN, ask, command, tell},
};
use crate::{process::HOST, wait::until};

/// Parts that the keys are divided into, by Redis.
const SLOTS: usize = 16_384;
/// Settings of every server: how long it may be away until the others say so, ms. Short, as tests wait for it, yet
/// longer than what a busy machine takes to answer.
pub(super) const SETTINGS: &str = "\
cluster-enabled yes
cluster-node-timeout 2000
";

/// A cluster of masters without replicas: when one is away, all refuse keys until it is back. Its processes are killed
/// when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// So many masters, 3 or more, without users; returns when each takes writes to its keys.
    ///
    /// # Panics
    /// When they do not get that far.
    pub async fn start(size: usize) -> Self {
        Redis::with().start_cluster(size).await
    }

    /// See [`Builder::start_cluster`].
    pub(super) async fn of(builder: Builder, size: usize) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..size {
            nodes.push(builder.start_as(&CLUSTER, |_| SETTINGS.to_owned()).await);
        }
        let cluster = Self { nodes };
        cluster.set_up().await;
        cluster.wait_until_whole().await;
        cluster
    }

    /// Where clients find each of them, the same after a restart.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The servers, in the order of the keys that they own.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The servers, to kill, freeze and restart them. See [`Self::wait_until_whole`].
    #[must_use]
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Removes all keys.
    ///
    /// # Panics
    /// When one of the servers does not answer.
    pub async fn flush(&self) {
        for node in &self.nodes {
            node.flush().await;
        }
    }

    /// Closes the connections of all clients, also of those that subscribed.
    ///
    /// # Panics
    /// When one of the servers does not answer.
    pub async fn kill_clients(&self) {
        for node in &self.nodes {
            node.kill_clients().await;
        }
    }

    /// Waits until all know each other, say that all is well, and take writes.
    ///
    /// # Panics
    /// When they do not get that far in time.
    pub async fn wait_until_whole(&self) {
        for place in 0..self.nodes.len() {
            until(READY_WITHIN, "a cluster without gaps", || async {
                self.is_whole_for(place).await.then_some(())
            })
            .await;
        }
    }

    /// Gives each its part of the keys, and has them meet.
    async fn set_up(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            let [first, last] = self.slots(place).map(|slot| slot.to_string());
            let client = node.client();
            tell(&client, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            // Else they find out by and by that all have the same, and quarrel.
            let epoch = (place + 1).to_string();
            tell(&client, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
        }
        let first = self.nodes[0].client();
        for node in &self.nodes[1..] {
            let ports = node.process.ports();
            let [port, bus] = [ports[0], ports[1]].map(|port| port.to_string());
            tell(&first, &["CLUSTER", "MEET", HOST, &port, &bus]).await;
        }
    }

    /// The first and the last part of the keys that this one owns.
    fn slots(&self, place: usize) -> [usize; 2] {
        let size = self.nodes.len();
        [place * SLOTS / size, (place + 1) * SLOTS / size - 1]
    }

    async fn is_whole_for(&self, place: usize) -> bool {
        let client = self.nodes[place].client();
        let Ok(info) = ask::<String>(&client, &command(&["CLUSTER", "INFO"])).await else {
            return false;
        };
        let knows = format!("cluster_known_nodes:{}", self.nodes.len());
        let owned = format!("cluster_slots_ok:{SLOTS}");
        ["cluster_state:ok", &knows, &owned]
            .iter()
            .all(|line| info.lines().any(|said| said == *line))
            && self.takes_a_write(place).await
    }

    /// Whether it writes a key of its own, which is removed again.
    async fn takes_a_write(&self, place: usize) -> bool {
        let client = self.nodes[place].client();
        let [first, last] = self.slots(place);
        for number in 0..SLOTS {
            let key = format!("test-{number}");
            let slot = ask::<usize>(&client, &command(&["CLUSTER", "KEYSLOT", &key])).await;
            match slot {
                Ok(slot) if (first..=last).contains(&slot) => {
                    let set = ask::<()>(&client, &command(&["SET", &key, "1"])).await;
                    let removed = ask::<()>(&client, &command(&["DEL", &key])).await;
                    return set.and(removed).is_ok();
                }
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }
}

//! A small network of namespaces: a prober, three routers, a target.
//!
//! `a` and `s` are probers; each has its own chain of routers `1`, `2`, `3` to a
//! target. In the chain of `s` the first two routers answer nothing. The last link
//! has a smaller MTU. Router 3 also has routes that end badly:
//! 10.0.99.0/24 is dropped, .98 unreachable, .97 prohibited, .96 goes back.

use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use super::run::output;

/// Made when the first case asks, removed when the last one is dropped.
#[derive(Default)]
pub(super) struct SharedNetwork(OnceLock<Result<Network, String>>);

impl SharedNetwork {
    pub(super) fn get(&self) -> Result<&Network, String> {
        self.0
            .get_or_init(Network::new)
            .as_ref()
            .map_err(String::clone)
    }
}

pub(super) struct Network {
    /// Unique on this machine as long as the process lives.
    prefix: String,
}

pub(super) fn is_root() -> Result<(), String> {
    let owner = std::fs::metadata("/proc/self").map(|metadata| metadata.uid());
    match owner {
        Ok(0) => Ok(()),
        _ => Err("raw sockets need root".to_owned()),
    }
}

/// Whether this process may make namespaces, found out by making one.
pub(super) fn available() -> Result<(), String> {
    is_root()?;
    let name = format!("wt{}x", std::process::id());
    let made = output("ip", &["netns", "add", &name])
        .and_then(|_| output("ip", &["-n", &name, "link", "set", "lo", "up"]));
    // Left over only where adding failed, and then there is nothing to delete.
    let _ = output("ip", &["netns", "del", &name]);
    made.map(|_| ())
        .map_err(|_| "no network namespaces here".to_owned())
}

impl Network {
    fn new() -> Result<Self, String> {
        let prefix = format!("wt{}", std::process::id());
        // Built first and kept on failure too, so that dropping it cleans up.
        let network = Self { prefix };
        network.chain("a")?;
        network.chain("s")?;
        for router in ["s1", "s2"] {
            network.ip(router, "rule add iif lo to 10.0.1.0/24 blackhole")?;
        }
        Ok(network)
    }

    pub(super) fn name(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    fn ip(&self, node: &str, command: &str) -> Result<(), String> {
        let name = self.name(node);
        let words = ["-n", &name].into_iter().chain(command.split(' '));
        output("ip", &words.collect::<Vec<_>>()).map(|_| ())
    }

    fn chain(&self, prober: &str) -> Result<(), String> {
        let nodes: Vec<String> = ["", "1", "2", "3", "4"]
            .map(|n| format!("{prober}{n}"))
            .into();
        for node in &nodes {
            self.node(node)?;
        }
        for (link, pair) in (1..).zip(nodes.windows(2)) {
            self.link(link, &pair[0], &pair[1])?;
        }
        let [first, one, two, three, _] = &nodes[..] else {
            return Err("a chain has five nodes".to_owned());
        };
        self.ip(first, "route add default via 10.0.1.2")?;
        self.ip(first, "-6 route add default via fd00:1::2")?;
        self.ip(one, "route add 10.0.0.0/16 via 10.0.2.2")?;
        self.ip(one, "-6 route add fd00::/16 via fd00:2::2")?;
        self.ip(two, "route add 10.0.0.0/16 via 10.0.3.2")?;
        self.ip(two, "-6 route add fd00::/16 via fd00:3::2")?;
        self.ip(two, "route add 10.0.1.0/24 via 10.0.2.1")?;
        self.ip(two, "-6 route add fd00:1::/64 via fd00:2::1")?;
        self.ip(three, "link set d4 mtu 1300")?;
        self.ip(three, "route add blackhole 10.0.99.0/24")?;
        self.ip(three, "route add unreachable 10.0.98.0/24")?;
        self.ip(three, "route add prohibit 10.0.97.0/24")?;
        self.ip(three, "route add 10.0.96.0/24 via 10.0.3.1")
    }

    fn node(&self, node: &str) -> Result<(), String> {
        let name = self.name(node);
        output("ip", &["netns", "add", &name])?;
        self.ip(node, "link set lo up")?;
        let settings = [
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.icmp.ratelimit=0",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ];
        let enter = ["netns", "exec", &name, "sysctl", "-qw"];
        output("ip", &[&enter[..], &settings].concat()).map(|_| ())
    }

    /// Link number `link` from `near` to `far`; the default route points back.
    fn link(&self, link: u8, near: &str, far: &str) -> Result<(), String> {
        let peer = self.name(far);
        self.ip(
            near,
            &format!("link add d{link} type veth peer name u{link} netns {peer}"),
        )?;
        for (node, side, host) in [(near, "d", 1), (far, "u", 2)] {
            let device = format!("{side}{link}");
            self.ip(
                node,
                &format!("addr add 10.0.{link}.{host}/24 dev {device}"),
            )?;
            self.ip(
                node,
                &format!("-6 addr add fd00:{link}::{host}/64 dev {device} nodad"),
            )?;
            self.ip(node, &format!("link set {device} up"))?;
        }
        // The routers replace their default by what they forward; the others keep it.
        self.ip(far, &format!("route add default via 10.0.{link}.1"))?;
        self.ip(far, &format!("-6 route add default via fd00:{link}::1"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for prober in ["a", "s"] {
            for node in ["", "1", "2", "3", "4"] {
                let name = self.name(&format!("{prober}{node}"));
                // Not there if making the network failed half way.
                let _ = output("ip", &["netns", "del", &name]);
            }
        }
    }
}

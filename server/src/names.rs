//! Names of targets become addresses, for agents that cannot be trusted with names.
//!
//! Asks one name server, or the system's, after the system's hosts file. Holds every address to the target policy: a
//! name may lead anywhere. The addresses go into the order that such an agent gets; nothing else is kept here but the
//! answers, for as long as they are good.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name as DnsName, RecordType},
    system_conf::read_system_conf,
};
use probe_protocol::{Name, Target, TargetPolicy};
use tokio::{
    sync::{OnceCell, Semaphore},
    time::{Instant, timeout_at},
};

/// Longest that all names of an operation may take together: meanwhile the next operations for the same agent wait.
const WITHIN: Duration = Duration::from_secs(15);
/// Patience with the name server for one question, and how often it is asked again: 12 seconds in all, so that one
/// lost packet or two cost no name.
const TRY: Duration = Duration::from_secs(4);
const RETRIES: usize = 2;
/// Names of one operation that are looked up at the same time.
const AT_ONCE: usize = 16;
/// Names that the whole hub looks up at the same time, each on two sockets. More wait, as long as their operation may.
const AT_ONCE_IN_ALL: usize = 256;
/// Answers to keep, of some hundred bytes each.
const ANSWERS_KEPT: u64 = 4096;
/// Longest that an answer is kept, whatever its owner says: a name that moved away or was mended is found again.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// The same for names without an address.
const MISSES_KEPT_FOR: Duration = Duration::from_secs(60);
/// Whom to ask where the system names nobody (resolv.conf(5)).
const OWN_MACHINE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
/// Names that an error lists, of at most 254 characters each.
const NAMES_TOLD: usize = 3;

/// Resolves names. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    resolver: TokioResolver,
    places: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<Name, Arc<Lookup>>>>,
    policy: TargetPolicy,
}

/// A lookup that all who want the same name at the same time share: an operation goes to many agents.
type Lookup = OnceCell<Result<IpAddr, Miss>>;

/// One's share in a lookup. The last one forgets it.
struct Share<'a> {
    names: &'a Names,
    name: &'a Name,
    lookup: Arc<Lookup>,
}

/// The name server cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the name server: {0}")]
pub(crate) struct NamesError(NetError);

/// Why a name has no address that can be used. Where IPv4 and IPv6 differ, the later one here counts: as long as
/// something was not answered, it might be the address that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
enum Miss {
    #[error("no address found")]
    NoAddress,
    #[error("resolves only to addresses that may not be measured")]
    NotAllowed,
    #[error("no answer from the name server")]
    NoAnswer,
}

impl Names {
    /// Asks `server`, or the system's as they are configured now.
    ///
    /// # Errors
    /// [`NamesError`], in practice none: that a server does not answer is known only when it is asked.
    pub(crate) fn new(
        server: Option<SocketAddr>,
        policy: TargetPolicy,
    ) -> Result<Self, NamesError> {
        let mut options = ResolverOpts::default();
        options.timeout = TRY;
        options.attempts = RETRIES;
        options.use_hosts_file = ResolveHosts::Always;
        options.cache_size = ANSWERS_KEPT;
        options.positive_max_ttl = Some(KEPT_FOR);
        options.negative_max_ttl = Some(MISSES_KEPT_FOR);
        let config = server.map_or_else(system, one);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(NamesError)?;
        Ok(Self {
            resolver,
            places: Arc::new(Semaphore::new(AT_ONCE_IN_ALL)),
            under_way: Arc::default(),
            policy,
        })
    }

    /// One address for each target, in their order. Addresses stay as they are; names become their first IPv4 address
    /// that may be measured, else their first such IPv6 address.
    ///
    /// # Errors
    /// For people: some of the names for which there is none, and why. Takes [`WITHIN`] at most.
    pub(crate) async fn addresses(&self, targets: &[Target]) -> Result<Vec<Target>, String> {
        self.addresses_by(targets, Instant::now() + WITHIN).await
    }

    async fn addresses_by(
        &self,
        targets: &[Target],
        deadline: Instant,
    ) -> Result<Vec<Target>, String> {
        let lookups = targets
            .iter()
            .cloned()
            .map(|target| self.address(target, deadline));
        let mut lookups = stream::iter(lookups).buffered(AT_ONCE);
        let (mut found, mut missed) = (Vec::with_capacity(targets.len()), Vec::new());
        while let Some(address) = lookups.next().await {
            match address {
                Ok(address) => found.push(Target::Address(address)),
                Err(miss) => missed.push(miss),
            }
        }
        if missed.is_empty() {
            Ok(found)
        } else {
            Err(tell(&missed))
        }
    }

    async fn address(&self, target: Target, deadline: Instant) -> Result<IpAddr, (Name, Miss)> {
        let name = match target {
            Target::Address(address) => return Ok(address),
            Target::Name(name) => name,
        };
        // Those whose turn comes too late are not asked for any more.
        if Instant::now() >= deadline {
            return Err((name, Miss::NoAnswer));
        }
        let share = self.share(&name);
        let looked_up = share.lookup.get_or_init(|| self.look_up(&name));
        let address = timeout_at(deadline, looked_up).await;
        let address = address.map_or(Err(Miss::NoAnswer), |found| *found);
        drop(share);
        address.map_err(|miss| (name, miss))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Name, Arc<Lookup>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The lookup of this name that is under way, or a new one.
    fn share<'a>(&'a self, name: &'a Name) -> Share<'a> {
        let lookup = self.under_way().entry(name.clone()).or_default().clone();
        Share {
            names: self,
            name,
            lookup,
        }
    }

    async fn look_up(&self, name: &Name) -> Result<IpAddr, Miss> {
        let _place = self.places.acquire().await;
        let mut question = DnsName::from_ascii(name.as_str()).map_err(|_| Miss::NoAddress)?;
        question.set_fqdn(true); // no search list
        // IPv4 is awaited first, even if IPv6 is answered earlier.
        let mut answers = stream::iter([RecordType::A, RecordType::AAAA])
            .map(|record_type| self.resolver.lookup(question.clone(), record_type))
            .buffered(2);
        let mut miss = Miss::NoAddress;
        while let Some(answer) = answers.next().await {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if error.is_no_records_found() => continue,
                Err(error) => {
                    tracing::debug!(%name, %error, "the name server gave no answer");
                    miss = Miss::NoAnswer;
                    continue;
                }
            };
            for address in answer.answers().iter().filter_map(|r| r.data.ip_addr()) {
                if self.policy.allows(address) {
                    return Ok(address.to_canonical());
                }
                miss = miss.max(Miss::NotAllowed);
            }
        }
        Err(miss)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut under_way = self.names.under_way();
        // This one and the table's.
        if Arc::strong_count(&self.lookup) <= 2 {
            under_way.remove(self.name);
        }
    }
}

/// The name servers of this machine.
fn system() -> ResolverConfig {
    match read_system_conf() {
        Ok((config, _)) => config,
        Err(error) => {
            tracing::warn!(%error, "the system names no name server; this machine is asked");
            one(OWN_MACHINE)
        }
    }
}

/// This name server and no other.
fn one(server: SocketAddr) -> ResolverConfig {
    let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, both.into());
    ResolverConfig::from_name_servers(vec![server])
}

/// The first few, and how many more there are.
fn tell(missed: &[(Name, Miss)]) -> String {
    let told: Vec<String> = missed
        .iter()
        .take(NAMES_TOLD)
        .map(|(name, miss)| format!("{name}: {miss}"))
        .collect();
    let told = told.join("; ");
    match missed.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

#[cfg(test)]
mod tests;

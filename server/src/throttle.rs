//! How often someone may try to log in or register: so many attempts a minute from one address, and so many on one
//! account, whoever makes them. Who is calling and what becomes of a refusal is up to the edge.
//!
//! Addresses and accounts are not kept but hashed into a fixed number of counters, so memory is bounded whatever is
//! sent, nothing has to be cleaned up, and there is no table that an attacker could fill to shut newcomers out. Two
//! that fall on the same counter share it; which ones do cannot be found out.
//!
//! Hubs that share a platform count together where they can ([`SharedCounters`]), else each for itself.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::SecretKey;

/// Counters for addresses, and as many for accounts. To exhaust all of them an attacker needs so many times the quota
/// every minute; a thousand clients at the same time share a counter with another one in 1.5 % of cases. About 2 MiB each.
const COUNTERS: u64 = 65_536;
/// Leading bits of an IPv6 address that stand for one client: whoever has one address has a whole /64 (RFC 4291,
/// section 2.5.4).
const IPV6_CLIENT: u32 = 64;

/// Counters that several hubs share.
#[async_trait]
pub(crate) trait SharedCounters: Send + Sync {
    /// One attempt on a counter that lets so many a minute in; how long to wait where it does not, `None` when nobody
    /// can say.
    async fn attempt(&self, counter: &str, per_minute: NonZeroU32) -> Option<Result<(), Duration>>;
}

/// Counts attempts. A cheap handle.
#[derive(Clone)]
pub(crate) struct Throttle<C: Clock = DefaultClock>(Arc<Counts<C>>);

struct Counts<C: Clock> {
    key: SecretKey,
    per_minute: NonZeroU32,
    shared: Option<Arc<dyn SharedCounters>>,
    clock: C,
    addresses: Counters<C>,
    accounts: Counters<C>,
}

/// One counter for each number below [`COUNTERS`] that was needed so far.
type Counters<C> =
    RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {retry_after_s} seconds")]
pub(crate) struct TooMany {
    /// Seconds after which the next one is taken, at least 1.
    pub(crate) retry_after_s: u64,
}

impl Throttle {
    /// So many attempts a minute, which may also come all at once. Hubs that share counters have the same key.
    pub(crate) fn new(
        per_minute: NonZeroU32,
        key: SecretKey,
        shared: Option<Arc<dyn SharedCounters>>,
    ) -> Self {
        Self::with_clock(per_minute, key, shared, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(
        per_minute: NonZeroU32,
        key: SecretKey,
        shared: Option<Arc<dyn SharedCounters>>,
        clock: C,
    ) -> Self {
        let quota = Quota::per_minute(per_minute);
        Self(Arc::new(Counts {
            key,
            per_minute,
            shared,
            addresses: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            accounts: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            clock,
        }))
    }

    /// One attempt from this address.
    ///
    /// # Errors
    /// [`TooMany`] when it has to wait.
    #[expect(
        clippy::wrong_self_convention,
        reason = "an attempt from an address, no conversion"
    )]
    pub(crate) async fn from_address(&self, address: IpAddr) -> Result<(), TooMany> {
        let client = client(address).to_string();
        self.count(&self.0.addresses, "address", &client).await
    }

    /// One attempt to log in to this account, whether or not there is one.
    ///
    /// # Errors
    /// [`TooMany`] when it has to wait.
    pub(crate) async fn on_account(&self, email: &str) -> Result<(), TooMany> {
        self.count(&self.0.accounts, "account", email).await
    }

    async fn count(&self, counters: &Counters<C>, kind: &str, who: &str) -> Result<(), TooMany> {
        let counter = self.counter(kind, who);
        if let Some(shared) = &self.0.shared {
            let name = format!("{kind}:{counter}");
            if let Some(counted) = shared.attempt(&name, self.0.per_minute).await {
                return counted.map_err(TooMany::after);
            }
        }
        counters
            .check_key(&counter)
            .map_err(|not_until| TooMany::after(not_until.wait_time_from(self.0.clock.now())))
    }

    /// The number of the counter, the same on all hubs with that key and no use to anybody else.
    fn counter(&self, kind: &str, who: &str) -> u64 {
        // HMAC takes keys of any length.
        let Ok(mut digest) = Hmac::<Sha256>::new_from_slice(self.0.key.0.as_bytes()) else {
            return 0;
        };
        digest.update(format!("throttle {kind} ").as_bytes());
        digest.update(who.as_bytes());
        let digest = digest.finalize().into_bytes();
        let number = digest
            .iter()
            .take(8)
            .fold(0, |all, &byte| (all << 8) | u64::from(byte));
        number % COUNTERS
    }
}

impl TooMany {
    /// Rounded up: who comes back after these seconds is let in.
    fn after(wait: Duration) -> Self {
        let retry_after_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            retry_after_s: retry_after_s.max(1),
        }
    }
}

/// The address that stands for a client.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << (Ipv6Addr::BITS - IPV6_CLIENT));
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn throttle(per_minute: u32) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let per_minute = NonZeroU32::new(per_minute).unwrap();
        let key = SecretKey("a key of tests".to_owned());
        (
            Throttle::with_clock(per_minute, key, None, clock.clone()),
            clock,
        )
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_minutes_worth_may_come_at_once_and_then_one_by_one() {
        let (throttle, clock) = throttle(20);
        let caller = address("192.0.2.7");
        for _ in 0..20 {
            throttle.from_address(caller).await.unwrap();
        }
        let refused = throttle.from_address(caller).await.unwrap_err();
        assert_eq!(refused, TooMany { retry_after_s: 3 });
        clock.advance(Duration::from_millis(2_500));
        let refused = throttle.from_address(caller).await.unwrap_err();
        assert_eq!(refused, TooMany { retry_after_s: 1 });
        clock.advance(Duration::from_secs(refused.retry_after_s));
        throttle.from_address(caller).await.unwrap();
        throttle.from_address(caller).await.unwrap_err();
        clock.advance(Duration::from_secs(60));
        for _ in 0..20 {
            throttle.from_address(caller).await.unwrap();
        }
        throttle.from_address(caller).await.unwrap_err();
    }

    #[tokio::test]
    async fn attempts_that_are_refused_do_not_count() {
        let (throttle, clock) = throttle(1);
        let caller = address("192.0.2.7");
        throttle.from_address(caller).await.unwrap();
        for _ in 0..1000 {
            throttle.from_address(caller).await.unwrap_err();
        }
        clock.advance(Duration::from_secs(60));
        throttle.from_address(caller).await.unwrap();
    }

    #[tokio::test]
    async fn a_clients_other_addresses_are_the_same_client() {
        for (one, other) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
            ("192.0.2.7", "::ffff:192.0.2.7"),
        ] {
            assert_eq!(client(address(one)), client(address(other)), "{one}");
        }
        for (one, other) in [
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
            ("192.0.2.7", "192.0.2.8"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.8"),
        ] {
            assert_ne!(client(address(one)), client(address(other)), "{one}");
        }
        let (throttle, _) = throttle(1);
        throttle
            .from_address(address("2001:db8:1:2::1"))
            .await
            .unwrap();
        throttle
            .from_address(address("2001:db8:1:2::2"))
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn addresses_and_accounts_have_counters_of_their_own() {
        let (throttle, _) = throttle(1);
        throttle.from_address(address("192.0.2.7")).await.unwrap();
        throttle.on_account("192.0.2.7").await.unwrap();
        throttle.on_account("192.0.2.7").await.unwrap_err();
        // Upper and lower case are two accounts.
        let others = ["a", "A"]
            .into_iter()
            .flat_map(|letter| (0..10).map(move |n| format!("{letter}{n}@example.com")));
        for email in others {
            throttle.on_account(&email).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_attack_fills_no_memory_and_locks_hardly_anyone_out() {
        let (throttle, _) = throttle(3);
        for n in 0..100_000_u32 {
            let _ = throttle.from_address(IpAddr::V4(n.into())).await;
            let _ = throttle.on_account(&n.to_string()).await;
        }
        let most = usize::try_from(COUNTERS).unwrap();
        assert!(throttle.0.addresses.len() <= most);
        assert!(throttle.0.accounts.len() <= most);
        let newcomers = stream::iter((0..1000_u32).map(|n| IpAddr::V4((0xc000_0000 + n).into())));
        let welcome = newcomers.filter(|newcomer| {
            let (throttle, newcomer) = (throttle.clone(), *newcomer);
            async move { throttle.from_address(newcomer).await.is_ok() }
        });
        assert!(welcome.count().await > 500);
    }

    #[test]
    fn hubs_with_one_key_count_on_the_same_counters() {
        let (one, _) = throttle(1);
        let (same, _) = throttle(1);
        assert_eq!(one.counter("account", "a"), same.counter("account", "a"));
        let clock = FakeRelativeClock::default();
        let key = SecretKey("another".to_owned());
        let other = Throttle::with_clock(NonZeroU32::MIN, key, None, clock);
        let names = (0..10).map(|n| n.to_string());
        let alike = names.filter(|n| one.counter("account", n) == other.counter("account", n));
        assert!(alike.count() < 3);
    }
}

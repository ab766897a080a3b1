//! How often someone may try something: so many logins and registrations a minute from one address, so many logins on one
//! account, whoever makes them, and so many operations and probes for one user. Who is calling and what becomes of a
//! refusal is up to the edge.
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
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use probe_protocol::UserId;
use sha2::Sha256;

use crate::config::SecretKey;

/// Counters for addresses, as many for accounts and as many for users. To exhaust all of them an attacker needs so many times the quota
/// every minute; a thousand clients at the same time share a counter with another one in 1.5 % of cases. About 2 MiB each.
const COUNTERS: u64 = 65_536;
/// Leading bits of an IPv6 address that stand for one client: whoever has one address has a whole /64 (RFC 4291,
/// section 2.5.4).
const IPV6_CLIENT: u32 = 64;

/// A minute, s.
pub(crate) const MINUTE_S: u64 = 60;

/// Counters that several hubs share.
#[async_trait]
pub(crate) trait SharedCounters: Send + Sync {
    /// One attempt on a counter that lets so many a minute in: how many more it would let in at once, or how long to wait
    /// where it does not; `None` when nobody can say.
    async fn attempt(&self, counter: &str, per_minute: NonZeroU32)
    -> Option<Result<u32, Duration>>;
}

/// How many attempts a minute are let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// Logins and registrations from one address, and logins on one account.
    pub(crate) logins: NonZeroU32,
    /// Operations and probes that one user creates.
    pub(crate) creations: NonZeroU32,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Logins and registrations from one address.
    Address,
    /// Logins on one account.
    Account,
    /// What one user creates.
    User,
}

impl Kind {
    /// One word; the name of the counters, and of the limit where a client is told of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::User => "user",
        }
    }
}

/// An attempt that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// What was counted.
    pub(crate) kind: Kind,
    /// So many attempts a minute are let in.
    pub(crate) per_minute: NonZeroU32,
    /// So many more would be let in at once; `None` where this one was refused.
    pub(crate) remaining: Option<u32>,
    /// Seconds until all of them would be let in at once; where this one was refused, until one is.
    pub(crate) reset_s: u64,
}

/// Counts attempts. A cheap handle.
#[derive(Clone)]
pub(crate) struct Throttle<C: Clock = DefaultClock>(Arc<Counts<C>>);

struct Counts<C: Clock> {
    key: SecretKey,
    shared: Option<Arc<dyn SharedCounters>>,
    clock: C,
    addresses: Counters<C>,
    accounts: Counters<C>,
    users: Counters<C>,
}

/// One counter for each number below [`COUNTERS`] that was needed so far.
struct Counters<C: Clock> {
    kind: Kind,
    per_minute: NonZeroU32,
    own: RateLimiter<u64, DashMapStateStore<u64>, C, StateInformationMiddleware>,
}

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
        rates: Rates,
        key: SecretKey,
        shared: Option<Arc<dyn SharedCounters>>,
    ) -> Self {
        Self::with_clock(rates, key, shared, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(
        rates: Rates,
        key: SecretKey,
        shared: Option<Arc<dyn SharedCounters>>,
        clock: &C,
    ) -> Self {
        let counters = |kind, per_minute| {
            let quota = Quota::per_minute(per_minute);
            let own = RateLimiter::dashmap_with_clock(quota, clock.clone());
            let own = own.with_middleware();
            Counters {
                kind,
                per_minute,
                own,
            }
        };
        Self(Arc::new(Counts {
            key,
            shared,
            addresses: counters(Kind::Address, rates.logins),
            accounts: counters(Kind::Account, rates.logins),
            users: counters(Kind::User, rates.creations),
            clock: clock.clone(),
        }))
    }

    /// One attempt to log in or register from this address.
    #[expect(
        clippy::wrong_self_convention,
        reason = "an attempt from an address, no conversion"
    )]
    pub(crate) async fn from_address(&self, address: IpAddr) -> Counted {
        let client = one_client(address).to_string();
        self.count(&self.0.addresses, &client).await
    }

    /// One attempt to log in to this account, whether or not there is one.
    pub(crate) async fn on_account(&self, email: &str) -> Counted {
        self.count(&self.0.accounts, email).await
    }

    /// One attempt to create something by this user.
    pub(crate) async fn by_user(&self, user: UserId) -> Counted {
        self.count(&self.0.users, &user.to_string()).await
    }

    async fn count(&self, counters: &Counters<C>, who: &str) -> Counted {
        let counter = self.counter(counters.kind.word(), who);
        if let Some(shared) = &self.0.shared {
            let name = format!("{}:{counter}", counters.kind.word());
            if let Some(counted) = shared.attempt(&name, counters.per_minute).await {
                return counters.counted(counted);
            }
        }
        let own = counters.own.check_key(&counter);
        counters.counted(match own {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(not_until) => Err(not_until.wait_time_from(self.0.clock.now())),
        })
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

impl<C: Clock> Counters<C> {
    /// What came of an attempt: how many more are let in, or how long to wait.
    fn counted(&self, outcome: Result<u32, Duration>) -> Counted {
        let (remaining, reset_s) = match outcome {
            Ok(remaining) => {
                let used = self.per_minute.get().saturating_sub(remaining);
                // One comes back every so many seconds.
                let whole = u64::from(used) * MINUTE_S;
                let reset_s = whole.div_ceil(u64::from(self.per_minute.get()));
                (Some(remaining), reset_s)
            }
            // Rounded up: who comes back after these seconds is let in.
            Err(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                (None, seconds.max(1))
            }
        };
        Counted {
            kind: self.kind,
            per_minute: self.per_minute,
            remaining,
            reset_s,
        }
    }
}

impl Counted {
    /// Whether it is let in.
    ///
    /// # Errors
    /// [`TooMany`] when it has to wait.
    pub(crate) fn let_in(self) -> Result<(), TooMany> {
        let retry_after_s = self.reset_s;
        self.remaining.map(drop).ok_or(TooMany { retry_after_s })
    }
}

/// The address that stands for a client: of IPv6, its network.
pub(crate) fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << (Ipv6Addr::BITS - IPV6_CLIENT));
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;

//! How many connections one client may have: places by address, given back when a connection ends.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;

use crate::throttle::one_client;

/// Places of all clients. A cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: Option<NonZeroUsize>,
    /// Who speaks for many others.
    excepted: Vec<IpNet>,
    /// Places taken; who has none is not in it, so that there are never more entries than connections.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// `None` where nobody counts.
    client: Option<IpAddr>,
}

impl Places {
    /// At most so many for each address, but for those.
    pub(super) fn new(most: Option<NonZeroUsize>, excepted: Vec<IpNet>) -> Self {
        Self(Arc::new(Shared {
            most,
            excepted,
            taken: Mutex::default(),
        }))
    }

    /// A place for this peer, if it has one left.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let is_excepted = self.0.excepted.iter().any(|net| net.contains(&peer));
        let client = match self.0.most {
            Some(most) if !is_excepted => {
                let client = one_client(peer);
                let mut taken = self.taken();
                let count = taken.entry(client).or_default();
                // Whoever is here has one at least, so nothing empty stays behind.
                if *count >= most.get() {
                    return None;
                }
                *count += 1;
                Some(client)
            }
            _ => None,
        };
        let places = self.clone();
        Some(Place { places, client })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing panics while it holds the lock.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize, excepted: &[&str]) -> Places {
        let excepted = excepted.iter().map(|net| net.parse().unwrap()).collect();
        Places::new(NonZeroUsize::new(most), excepted)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let places = places(2, &[]);
        let one = places.take(address("192.0.2.1")).unwrap();
        let _two = places.take(address("::ffff:192.0.2.1")).unwrap();
        assert!(places.take(address("192.0.2.1")).is_none());
        let other = places.take(address("192.0.2.2")).unwrap();
        drop(one);
        let _again = places.take(address("192.0.2.1")).unwrap();
        assert!(places.take(address("192.0.2.1")).is_none());
        drop(other);
        assert_eq!(places.taken().len(), 1, "nobody is remembered");
    }

    #[test]
    fn a_network_is_one_client() {
        let places = places(1, &[]);
        let _one = places.take(address("2001:db8:0:1::1")).unwrap();
        assert!(places.take(address("2001:db8:0:1::2")).is_none());
        assert!(places.take(address("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn proxies_have_as_many_as_they_need() {
        let places = places(1, &["10.0.0.0/8"]);
        let many: Vec<Place> = (0..5)
            .filter_map(|_| places.take(address("::ffff:10.1.2.3")))
            .collect();
        assert_eq!(many.len(), 5);
        assert!(places.taken().is_empty());
    }

    #[test]
    fn without_a_limit_nobody_counts() {
        let places = places(0, &[]);
        let all: Vec<Place> = (0..100)
            .filter_map(|_| places.take(address("192.0.2.1")))
            .collect();
        assert_eq!(all.len(), 100);
        assert!(places.taken().is_empty());
    }
}

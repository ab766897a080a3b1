//! Real servers that tests start, on loopback and in folders of their own.
//!
//! - [`Mongod`] is one MongoDB server, [`ReplicaSet`] several that elect a primary, [`mongod::shared`] one for a whole
//!   test process; [`mongod::missing`] tells why none can run here
//! - [`Redis`] is one Redis server, [`redis::Cluster`] several that divide the keys, [`redis::Sentinel`] a master with a
//!   replica that takes its place, [`redis::shared`] one server for a whole test process; [`redis::missing`] tells why none
//!   can run here
//! - [`Certificates`] are what servers that speak TLS need
//!
//! A server ends with the value that stands for it, and also when the test process dies in whatever way; its folder
//! goes too. Everything that is waited for has a deadline. Helpers panic with what they wanted and what they got.

pub mod certificates;
mod child;
mod home;
pub mod mongod;
#[cfg(test)]
mod outliving;
mod process;
mod program;
pub mod redis;
mod uri;
mod wait;

pub use self::redis::Redis;
pub use certificates::Certificates;
pub use mongod::{Mongod, ReplicaSet};
pub use uri::escaped;

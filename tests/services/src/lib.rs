//! Real servers that tests start, on loopback and in folders of their own.
//!
//! - [`Mongod`] is one MongoDB server, [`ReplicaSet`] several that elect a primary, [`mongod::shared`] one for a whole
//!   test process; [`mongod::missing`] tells why none can run here
//!
//! A server ends with the value that stands for it, and also when the test process dies in whatever way; its folder
//! goes too. Everything that is waited for has a deadline. Helpers panic with what they wanted and what they got.

mod child;
mod home;
pub mod mongod;
mod wait;

pub use mongod::{Mongod, ReplicaSet};

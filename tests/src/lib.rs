//! The harness: real processes, real sockets, loopback only.
//!
//! - [`Hub`] is a `pladmed` process on a data folder of its own, [`Agent`] a `pladmed-probe` process
//! - [`Api`] and [`TestUser`] speak HTTP as users do, [`EventStream`] reads server-sent events
//! - [`FakeProbe`] speaks the probe protocol step by step, [`Courier`] delivers results whatever happens to the hub
//! - [`DnsServer`] answers a few names under `example.`
//! - [`database`] reads the hub's file and says which promises it breaks
//! - [`trial`] runs async tests under a deadline; [`wait`] waits for conditions, never for a time
//!
//! Everything that is waited for has a deadline. Helpers panic with what they wanted and what they got.

pub mod agent;
pub mod api;
pub mod courier;
pub mod database;
pub mod dns;
pub mod events;
pub mod fleet;
pub mod hub;
pub mod orders;
pub mod probe;
pub mod process;
pub mod random;
pub mod trial;
pub mod user;
pub mod wait;

pub use agent::Agent;
pub use api::{Answer, Api};
pub use courier::Courier;
pub use dns::DnsServer;
pub use events::{Event, EventStream};
pub use fleet::Fleet;
pub use hub::Hub;
pub use probe::{Ack, FakeProbe, Heard, ProbeSocket};
pub use trial::{Case, Trial};
pub use user::{TestProbe, TestUser};
pub use wait::eventually;

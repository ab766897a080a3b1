//! The harness: real processes, real sockets, loopback only.
//!
//! - [`Hub`] is a `pladmed` process on a data folder of its own or on MongoDB, [`Agent`] a `pladmed-probe` process,
//!   [`Platform`] several hubs on one MongoDB and one Redis, which the crate `services` starts
//! - [`Api`] and [`TestUser`] speak HTTP as users do, [`EventStream`] reads server-sent events
//! - [`OldApi`] speaks HTTP as the frontend of the replaced system does
//! - [`FakeProbe`] speaks the probe protocol step by step, [`Courier`] delivers results whatever happens to the hub
//! - [`OldProbe`] speaks as the agents of the replaced system do, [`OldAgent`] is one that rests on their real library
//! - [`Simulated`] is a `pladmed-probe simulate` process: many probes at once
//! - [`DnsServer`] answers a few names under `example.`
//! - [`database`] reads the hub's store and says which promises it breaks
//! - [`trial`] runs async tests under a deadline; [`wait`] waits for conditions, never for a time
//!
//! Everything that is waited for has a deadline. Helpers panic with what they wanted and what they got.

pub mod agent;
pub mod api;
pub mod browser;
mod connection;
pub mod courier;
pub mod database;
pub mod dns;
pub mod events;
pub mod fleet;
pub mod hub;
pub mod old_agent;
pub mod old_api;
pub mod old_probe;
pub mod orders;
pub mod platform;
pub mod probe;
pub mod process;
pub mod random;
pub mod simulated;
pub mod trial;
pub mod trust;
pub mod user;
pub mod wait;
pub mod work;

pub use agent::Agent;
pub use api::{Answer, Api};
pub use courier::Courier;
pub use dns::DnsServer;
pub use events::{Event, EventStream};
pub use fleet::Fleet;
pub use hub::Hub;
pub use old_agent::OldAgent;
pub use old_api::OldApi;
pub use old_probe::{Handed, Knock, OldHeard, OldProbe, OldResult, OldSocket};
pub use platform::Platform;
pub use probe::{Ack, FakeProbe, Heard, ProbeSocket};
pub use simulated::Simulated;
pub use trial::{Case, Trial};
pub use trust::Trust;
pub use user::{TestProbe, TestUser};
pub use wait::eventually;
pub use work::at_work;

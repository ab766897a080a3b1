//! What a Pladmed hub and its probes say to each other: identifiers, what a probe can be asked to do,
//! the frames of protocol version 1 and the close codes.
//!
//! Pure data: no sockets, no clock, no threads. The hub (`server`) and the agent (`probe`) share these types
//! and nothing else. `docs/protocol.md` tells the same in prose.
//!
//! A session: the probe opens a websocket at [`PATH`] with subprotocol [`SUBPROTOCOL`], sends
//! [`ProbeFrame::Hello`], the hub answers [`HubFrame::Welcome`] and offers what is pending with
//! [`HubFrame::Assign`]; results go up as [`ProbeFrame::Result`] and are kept by the probe until
//! [`HubFrame::Stored`] or [`HubFrame::Rejected`].

pub mod close;
pub mod cron;
pub mod frame;
pub mod hello;
pub mod id;
pub mod old;
#[cfg(feature = "openapi")]
mod openapi;
pub mod policy;
pub mod spec;
pub mod target;
mod whole;

pub use close::{Close, Return};
pub use cron::Cron;
pub use frame::{Assign, FrameError, HubFrame, Payload, ProbeFrame, Rejection, RunResult};
pub use hello::{Hello, Limits, Welcome};
pub use id::{OperationId, ProbeId, ResultCode, UserId};
pub use policy::TargetPolicy;
pub use spec::{ContentFormat, Kind, Measurement, ResultFormat, Schedule};
pub use target::{Name, Target, reverse_name};
pub use whole::Whole;

/// Path of the websocket on the hub.
pub const PATH: &str = "/probe/v1";

/// Websocket subprotocol that both ends name; another one is refused at the upgrade.
pub const SUBPROTOCOL: &str = "pladmed.v1";

/// Longest frame either end sends or takes, bytes. A traceroute of a hundred targets with ten attempts a hop
/// stays below it; a frame above it ends the session with websocket code 1009.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

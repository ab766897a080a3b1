//! The Pladmed probe agent: holds a session with a hub, runs what it is assigned, and keeps every result on disk until
//! the hub has it.
//!
//! ```text
//! down: link → session → desk → shelf (assignment on disk) → scheduler → runner
//! up:   runner → scheduler → shelf (result on disk) → session's feeder → hub → stored → shelf (deleted)
//! ```
//!
//! - [`config`]: what it is told at start; [`check`]: what the machine can measure with
//! - [`agent`]: puts the parts together
//! - [`link`] dials and comes back ([`backoff`]); [`session`] is one websocket; [`desk`] is what the hub's words do
//! - [`scheduler`] decides when a run happens ([`plan`], [`clock`]); [`packing`] makes its frame
//! - [`runner`]: measuring, by scamper, dig or the built-in stand-ins
//! - [`simulate`]: many probes in one process, to try a hub with; they keep nothing on disk
//! - [`shelf`]: the thread that alone touches [`data_dir`], with [`assignments`] and [`spool`]

pub mod agent;
pub mod assignments;
pub mod backoff;
pub mod check;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod desk;
pub mod link;
pub mod packing;
pub mod plan;
pub mod runner;
pub mod scheduler;
pub mod session;
pub mod shelf;
pub mod simulate;
pub mod spool;

#[cfg(test)]
mod fixture;

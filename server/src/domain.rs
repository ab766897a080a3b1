//! The rules: who may do what, what an operation plans and costs, which probes can run it, which results count.
//!
//! Pure: no runtime, no clock, no sockets, no store; whoever calls passes the time in. What a rule refuses is a
//! value ([`Invalid`], [`Refusal`], `Rejection`) that the edges translate.

pub(crate) mod admission;
pub(crate) mod assignment;
pub(crate) mod audit;
pub(crate) mod credits;
pub(crate) mod fields;
pub(crate) mod lifecycle;
pub(crate) mod operation;
pub(crate) mod order;
pub(crate) mod probe;
pub(crate) mod selection;
pub(crate) mod user;

#[cfg(test)]
mod tests;

pub(crate) use assignment::{Assignment, AssignmentState};
pub(crate) use fields::{FieldError, Invalid};
pub(crate) use lifecycle::Holdings;
pub(crate) use operation::{Operation, Plan};
pub(crate) use order::{Offline, Order};
pub(crate) use probe::{Agent, FIRST_GENERATION, Location, Presence, Probe};
pub(crate) use selection::{Candidate, Capacity, LeftOut, Limits, Refusal};
pub(crate) use user::User;

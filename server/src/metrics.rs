//! What Prometheus is told of this hub: one function for each thing that is counted or measured, so that whoever counts
//! writes one line.
//!
//! [`table`] lists all of them, [`exposition`] keeps the numbers and writes them down for `http`. A leaf that imports
//! nothing of the hub. Labels are words of small sets and templates of routes: never an identifier, an address or what a
//! client wrote, for each value of a label costs memory here and in Prometheus for ever.

use std::time::Duration;

use ::metrics::{counter, gauge, histogram};
use chrono::{DateTime, Utc};
use probe_protocol::{Close, Rejection, close};

mod exposition;
mod table;

pub(crate) use exposition::{install, text, upkeep};

/// Agents of this system, as a label.
pub(crate) const V1: &str = "v1";
/// Agents of the replaced system, as a label.
pub(crate) const OLD: &str = "old";
/// The word for [`close::TOO_LONG`].
const TOO_LONG: &str = "too_long";
/// Stands for a session that the hub did not end.
const BY_PROBE: (&str, &str) = ("none", "by_probe");

/// An open session; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenSession(&'static str);

impl OpenSession {
    /// A session with an agent of this kind has begun.
    pub(crate) fn of(kind: &'static str) -> Self {
        counter!(table::SESSIONS_OPENED, "kind" => kind).increment(1);
        gauge!(table::SESSIONS, "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        gauge!(table::SESSIONS, "kind" => self.0).decrement(1.0);
    }
}

/// Someone wanted a session and got none.
pub(crate) fn hello_failed(kind: &'static str, reason: &'static str) {
    counter!(table::HELLO_FAILURES, "kind" => kind, "reason" => reason).increment(1);
}

/// The hub ended a session.
pub(crate) fn session_closed(kind: &'static str, close: Close) {
    closed(kind, close.code().to_string(), close.word(), 1);
}

/// A session ended because a frame was too long.
pub(crate) fn session_said_too_much(kind: &'static str) {
    closed(kind, close::TOO_LONG.to_string(), TOO_LONG, 1);
}

/// The probe ended a session, or its connection broke.
pub(crate) fn session_left(kind: &'static str) {
    closed(kind, BY_PROBE.0.to_owned(), BY_PROBE.1, 1);
}

fn closed(kind: &'static str, code: String, reason: &'static str, times: u64) {
    counter!(table::SESSION_CLOSES, "kind" => kind, "code" => code, "reason" => reason)
        .increment(times);
}

/// Frames that wait in the outboxes of all sessions, and in the fullest one.
pub(crate) fn outboxes(waiting: usize, fullest: usize) {
    gauge!(table::OUTBOX_FRAMES).set(float(waiting));
    gauge!(table::OUTBOX_FULLEST).set(float(fullest));
}

/// An operation was handed to a socket, so long after it was created.
pub(crate) fn dispatched(kind: &'static str, created_at: DateTime<Utc>) {
    // Another hub may have created it, whose clock is ahead.
    let took = (Utc::now() - created_at).to_std().unwrap_or_default();
    histogram!(table::DISPATCH, "kind" => kind).record(took);
}

/// Reports were made durable in one transaction.
pub(crate) fn committed(reports: usize, took: Duration) {
    histogram!(table::BATCH_REPORTS).record(float(reports));
    histogram!(table::COMMIT).record(took);
}

/// A result was stored.
pub(crate) fn result_stored() {
    results("stored", 1);
}

/// A result had been stored before.
pub(crate) fn result_repeated() {
    results("duplicate", 1);
}

/// What was meant to be a result cannot be used.
pub(crate) fn result_unusable() {
    results("unusable", 1);
}

/// A result was refused.
pub(crate) fn result_rejected(reason: Rejection) {
    results("rejected", 1);
    rejections(reason, 1);
}

fn results(outcome: &'static str, times: u64) {
    counter!(table::RESULTS, "outcome" => outcome).increment(times);
}

fn rejections(reason: Rejection, times: u64) {
    let reason = match reason {
        Rejection::UnknownOperation => "unknown_operation",
        Rejection::NotAssigned => "not_assigned",
        Rejection::Cancelled => "cancelled",
        Rejection::OverPlan => "over_plan",
        Rejection::AfterStop => "after_stop",
        Rejection::Other => "other",
    };
    counter!(table::RESULTS_REJECTED, "reason" => reason).increment(times);
}

/// Whether the hub takes work.
pub(crate) fn ready(is_ready: bool) {
    gauge!(table::READY).set(f64::from(u8::from(is_ready)));
}

/// The store was asked whether it is there, and took so long to answer; `None` where it did not.
pub(crate) fn store_asked(took: Option<Duration>) {
    gauge!(table::STORE_UP).set(f64::from(u8::from(took.is_some())));
    match took {
        Some(took) => histogram!(table::STORE_PING).record(took),
        None => store_failed("ping"),
    }
}

/// The store did not take reports.
pub(crate) fn store_refused_reports() {
    store_failed("ingest");
}

fn store_failed(work: &'static str) {
    counter!(table::STORE_FAILURES, "work" => work).increment(1);
}

/// Whether this hub hears what it says over the bus.
pub(crate) fn bus_up(is_up: bool) {
    gauge!(table::BUS_UP).set(f64::from(u8::from(is_up)));
}

/// The hub heard its own words so long after it had said them.
pub(crate) fn bus_came_round(took: Duration) {
    histogram!(table::BUS_ROUND_TRIP).record(took);
}

/// So many messages for other hubs did not find room.
pub(crate) fn bus_lost(messages: u64) {
    counter!(table::BUS_LOST).increment(messages);
}

/// Everything was looked at, by this hub or another one: when, and what each rule found. Before the first time, all is 0.
pub(crate) fn diagnosed(
    at: Option<DateTime<Utc>>,
    findings: impl IntoIterator<Item = (&'static str, u64)>,
) {
    gauge!(table::DIAGNOSED).set(at.map_or(0.0, unix));
    for (rule, count) in findings {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        gauge!(table::FINDINGS, "rule" => rule).set(float(count));
    }
}

/// A request was answered. `route` is the template that its path matched.
pub(crate) fn answered(method: &'static str, route: &str, status: u16, took: Duration) {
    let labels = [("method", method.to_owned()), ("route", route.to_owned())];
    histogram!(table::HTTP_DURATION, &labels).record(took);
    let [method, route] = labels;
    counter!(
        table::HTTP_REQUESTS,
        &[method, route, ("status", status.to_string())]
    )
    .increment(1);
}

/// Shows what has not happened yet as 0, as far as its labels are known: who looks for what grows must see where it began.
fn begin() {
    gauge!(table::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(table::STARTED).set(unix(Utc::now()));
    for kind in [V1, OLD] {
        counter!(table::SESSIONS_OPENED, "kind" => kind).increment(0);
        gauge!(table::SESSIONS, "kind" => kind).set(0.0);
        for reason in table::HELLO_REASONS {
            counter!(table::HELLO_FAILURES, "kind" => kind, "reason" => *reason).increment(0);
        }
        for close in Close::ALL {
            closed(kind, close.code().to_string(), close.word(), 0);
        }
        closed(kind, close::TOO_LONG.to_string(), TOO_LONG, 0);
        closed(kind, BY_PROBE.0.to_owned(), BY_PROBE.1, 0);
        let _ = histogram!(table::DISPATCH, "kind" => kind);
    }
    for outcome in ["stored", "duplicate", "rejected", "unusable"] {
        results(outcome, 0);
    }
    for reason in [
        Rejection::UnknownOperation,
        Rejection::NotAssigned,
        Rejection::Cancelled,
        Rejection::OverPlan,
        Rejection::AfterStop,
    ] {
        rejections(reason, 0);
    }
    for work in ["ping", "ingest"] {
        counter!(table::STORE_FAILURES, "work" => work).increment(0);
    }
    counter!(table::BUS_LOST).increment(0);
    for name in [
        table::BATCH_REPORTS,
        table::COMMIT,
        table::STORE_PING,
        table::BUS_ROUND_TRIP,
    ] {
        let _ = histogram!(name);
    }
    outboxes(0, 0);
    ready(false);
}

/// A time as Prometheus has it: seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
fn unix(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// A count as Prometheus has it.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

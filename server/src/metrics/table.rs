//! All metrics: names, kinds, and what they mean. Names end in their unit, counters in `_total`, as Prometheus wants it;
//! `docs/operating.md` has the same list, and a test holds both to what a hub shows.

/// What kind of number it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted in these buckets.
    Histogram(&'static [f64]),
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

pub(super) const BUILD: &str = "pladmed_build_info";
pub(super) const STARTED: &str = "process_start_time_seconds";
pub(super) const READY: &str = "pladmed_ready";
pub(super) const SESSIONS: &str = "pladmed_sessions";
pub(super) const SESSIONS_OPENED: &str = "pladmed_sessions_opened_total";
pub(super) const HELLO_FAILURES: &str = "pladmed_hello_failures_total";
pub(super) const SESSION_CLOSES: &str = "pladmed_session_closes_total";
pub(super) const OUTBOX_FRAMES: &str = "pladmed_outbox_frames";
pub(super) const OUTBOX_FULLEST: &str = "pladmed_outbox_fullest_frames";
pub(super) const DISPATCH: &str = "pladmed_dispatch_duration_seconds";
pub(super) const BATCH_REPORTS: &str = "pladmed_ingest_batch_reports";
pub(super) const COMMIT: &str = "pladmed_ingest_commit_duration_seconds";
pub(super) const RESULTS: &str = "pladmed_results_total";
pub(super) const RESULTS_REJECTED: &str = "pladmed_results_rejected_total";
pub(super) const STORE_UP: &str = "pladmed_store_up";
pub(super) const STORE_PING: &str = "pladmed_store_ping_duration_seconds";
pub(super) const STORE_FAILURES: &str = "pladmed_store_failures_total";
pub(super) const BUS_UP: &str = "pladmed_bus_up";
pub(super) const BUS_ROUND_TRIP: &str = "pladmed_bus_round_trip_duration_seconds";
pub(super) const BUS_LOST: &str = "pladmed_bus_lost_messages_total";
pub(super) const DIAGNOSED: &str = "pladmed_diagnosis_timestamp_seconds";
pub(super) const FINDINGS: &str = "pladmed_diagnosis_findings";
pub(super) const HTTP_REQUESTS: &str = "pladmed_http_requests_total";
pub(super) const HTTP_DURATION: &str = "pladmed_http_request_duration_seconds";

/// Why someone gets no session: codes of refused requests, words of closes, and `went_away`.
pub(super) const HELLO_REASONS: &[&str] = &[
    "unauthorized",
    "invalid_input",
    "busy",
    "unavailable",
    "hello_timeout",
    "protocol_error",
    "went_away",
    "revoked",
    "restart",
];

/// From what an answer out of memory takes to a request's own limit of 30 s.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// Up to the most that one transaction takes.
const REPORTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// All of them.
pub(super) const METRICS: &[Metric] = &[
    gauge(BUILD, "Always 1; says which version runs."),
    gauge(STARTED, "When the hub started, in Unix time."),
    gauge(
        READY,
        "Whether the hub takes work: its store answers and it is not stopping.",
    ),
    gauge(SESSIONS, "Sessions of probes that are open."),
    counter(SESSIONS_OPENED, "Sessions of probes that began."),
    counter(
        HELLO_FAILURES,
        "Attempts of probes to get a session that failed.",
    ),
    counter(
        SESSION_CLOSES,
        "Sessions of probes that ended, by websocket close code.",
    ),
    gauge(
        OUTBOX_FRAMES,
        "Frames that wait to be sent, of all sessions.",
    ),
    gauge(
        OUTBOX_FULLEST,
        "Frames that wait to be sent in the session that has most of them.",
    ),
    seconds(
        DISPATCH,
        "Time from the creation of an operation to its frame on the socket of a probe that was connected then.",
    ),
    Metric {
        name: BATCH_REPORTS,
        kind: Kind::Histogram(REPORTS),
        help: "Reports of probes that were stored in one transaction.",
    },
    seconds(COMMIT, "Time that such a transaction took."),
    counter(RESULTS, "Results that probes sent, by what became of them."),
    counter(RESULTS_REJECTED, "Results that were rejected, by reason."),
    gauge(
        STORE_UP,
        "Whether the store answered when it was last asked.",
    ),
    seconds(STORE_PING, "Time that the store took to answer."),
    counter(
        STORE_FAILURES,
        "Times that the store did not answer or did not take reports.",
    ),
    gauge(
        BUS_UP,
        "Whether the hub hears its own words through Redis; 1 for a hub without Redis.",
    ),
    seconds(
        BUS_ROUND_TRIP,
        "Time that words of the hub took to come back through Redis.",
    ),
    counter(
        BUS_LOST,
        "Messages to other hubs that were dropped because Redis was too slow.",
    ),
    gauge(
        DIAGNOSED,
        "When a hub looked at everything in the database last, in Unix time; 0 before the first time.",
    ),
    gauge(FINDINGS, "What was not as it must be then, by rule."),
    counter(HTTP_REQUESTS, "Requests that were answered."),
    seconds(
        HTTP_DURATION,
        "Time from a request's head to the beginning of its answer.",
    ),
];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        help,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        help,
    }
}

const fn seconds(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram(SECONDS),
        help,
    }
}

//! What a person wants to know of a run: lines while it goes on, and a table at its end.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{
    faults::Broken,
    journal::{Tally, of},
    latency::Latencies,
    orders::Placed,
    verdict::{Promise, Verdict},
};

/// Most breaches of one promise that are shown.
const SHOWN: usize = 10;

/// One line of what goes on.
pub(crate) fn progress(at: Duration, tally: &Tally, broken: &Broken, operations: &str) {
    let faults: Vec<String> = broken
        .open()
        .now
        .iter()
        .map(|fault| format!("{fault:?}"))
        .collect();
    eprintln!(
        "{:>5.0}s  {:>4} connected  {:>6} given  {:>6} results sent  {:>6} answered  {operations}  {}",
        at.as_secs_f64(),
        of(&tally.connected),
        of(&tally.given),
        of(&tally.sent),
        of(&tally.answered),
        if faults.is_empty() {
            "-".to_owned()
        } else {
            faults.join(", ")
        },
    );
}

/// Everything at the end.
#[derive(Debug)]
pub(crate) struct Summary {
    lines: String,
}

impl Summary {
    /// Begins with a title.
    pub(crate) fn new(title: &str) -> Self {
        Self {
            lines: format!("\n=== {title}\n"),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        writeln!(self.lines, "  {name:<52} {value}").expect("memory");
    }

    /// Adds what was broken.
    pub(crate) fn faults(&mut self, broken: &Broken) {
        let record = broken.open();
        let mut kinds: BTreeMap<&str, (usize, Duration)> = BTreeMap::new();
        for (_, fault, took) in &record.done {
            let kind = kinds.entry(fault.name()).or_default();
            kind.0 += 1;
            kind.1 += *took;
        }
        for (name, (count, took)) in kinds {
            self.row(name, format!("{count:>3}, {took:.1?} in all with repair"));
        }
        self.row("starts of hubs that failed meanwhile", record.failed_starts);
        let slowest = record.slowest_stop;
        self.row(
            "slowest end after SIGTERM meanwhile",
            format!("{slowest:.1?}"),
        );
        self.row(
            "unclean ends after SIGTERM meanwhile",
            format!("{:?}", record.unclean),
        );
    }

    /// Adds what was done.
    pub(crate) fn work(&mut self, tally: &Tally, placed: &[Placed], verdict: &Verdict) {
        let cancelled = placed
            .iter()
            .flat_map(|one| &one.receipts.bought)
            .filter(|one| one.1);
        self.row("operations created", placed.len());
        self.row("  of these cancelled", cancelled.count());
        self.row(
            "answers to come back later",
            placed.iter().map(|one| one.receipts.later).sum::<usize>(),
        );
        let slowest = placed
            .iter()
            .map(|one| one.receipts.slowest)
            .max()
            .unwrap_or_default();
        self.row("slowest answer", format!("{slowest:.1?}"));
        self.row(
            "streams of watchers",
            placed.iter().map(|one| one.streams).sum::<usize>(),
        );
        let figures = &verdict.figures;
        self.row("assignments", figures.assignments);
        self.row("  finished", figures.finished);
        self.row("  refused", figures.refused);
        self.row("  cancelled", figures.cancelled);
        self.row("  expired", figures.expired);
        self.row("results stored", figures.results);
        self.row("result frames sent", of(&tally.sent));
        self.row("sessions", of(&tally.sessions));
        for (why, count) in tally.ends() {
            self.row(&format!("  {why}"), count);
        }
        self.row("offers of what a probe had already", of(&tally.repeated));
        self.row(
            "offers of what a probe had done and forgotten",
            figures.begun_again,
        );
        self.row(
            "sessions lost to an attempt that was given up",
            figures.overtaken,
        );
    }

    /// Adds how long news took.
    pub(crate) fn latencies(&mut self, latencies: &Latencies) {
        for samples in latencies.presence.iter().chain([&latencies.dispatch]) {
            self.row(samples.what, samples);
        }
        self.row(
            "dispatch: POST to the last of all probes",
            format!("{:.1?}", latencies.everywhere),
        );
    }

    /// Adds the promises; whether all of them were kept.
    pub(crate) fn promises(&mut self, promises: &[Promise]) -> bool {
        for promise in promises {
            self.row(promise.name, promise.broken.len());
            for line in promise.broken.iter().take(SHOWN) {
                writeln!(self.lines, "      {line}").expect("memory");
            }
        }
        promises.iter().all(|promise| promise.broken.is_empty())
    }

    /// Adds when what was broken; for runs that failed.
    pub(crate) fn timeline(&mut self, broken: &Broken) {
        let mut done = broken.open().done.clone();
        done.sort_unstable_by_key(|(at, ..)| *at);
        for (at, fault, took) in done {
            self.row(
                &format!("at {at:.1?}, for {took:.1?}"),
                format!("{fault:?}"),
            );
        }
    }

    /// Shows it.
    pub(crate) fn show(&self) {
        eprintln!("{}", self.lines);
    }
}

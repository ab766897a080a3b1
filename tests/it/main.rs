//! Quick tests through a real hub: one module a subject. They run at the same time, each with a hub of its own.

use std::process::ExitCode;

mod accounts;
mod bench;
mod bodies;
mod browser;
mod copying;
mod delivery;
mod demo;
mod diagnostics;
mod docker;
mod docs;
mod edge;
mod errors;
mod forgetting;
mod harness;
mod holes;
mod importing;
mod layers;
mod life;
mod logs;
mod main_job;
mod metrics;
mod mongo;
mod old_http;
mod old_probes;
mod operations;
mod platform;
mod probes;
mod results;
mod schemathesis;
mod sessions;
mod sharing;
mod shutdown;
mod simulation;
mod streams;
mod warts;

/// Tests at the same time; they mostly wait.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let trials = [
        accounts::trials(),
        bench::trials(),
        sharing::trials(),
        bodies::trials(),
        browser::trials(),
        copying::trials(),
        delivery::trials(),
        demo::trials(),
        diagnostics::trials(),
        docker::trials(),
        docs::trials(),
        edge::trials(),
        errors::trials(),
        forgetting::trials(),
        harness::trials(),
        holes::trials(),
        importing::trials(),
        layers::trials(),
        life::trials(),
        logs::trials(),
        main_job::trials(),
        metrics::trials(),
        mongo::trials(),
        old_http::trials(),
        old_probes::trials(),
        shutdown::trials(),
        simulation::trials(),
        streams::trials(),
        sessions::trials(),
        operations::trials(),
        platform::trials(),
        probes::trials(),
        results::trials(),
        schemathesis::trials(),
        warts::trials(),
    ];
    tests::trial::main(trials.into_iter().flatten().collect(), AT_ONCE)
}

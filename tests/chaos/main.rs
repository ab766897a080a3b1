//! Heavy tests, one at a time: kill -9, cut streams, abuse, races. Random ones print a seed that repeats them.

use std::process::ExitCode;

mod abuse;
mod agent_killed;
mod customer;
mod hub_killed;
mod load;
mod mongo;
mod platform;
mod spending;
mod streams;
mod watcher;

fn main() -> ExitCode {
    let trials = [
        abuse::trials(),
        agent_killed::trials(),
        hub_killed::trials(),
        mongo::trials(),
        platform::trials(),
        spending::trials(),
        streams::trials(),
    ];
    tests::trial::main(trials.into_iter().flatten().collect(), 1)
}

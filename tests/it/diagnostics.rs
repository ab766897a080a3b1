//! Everything that a store holds is looked at, and what is wrong is found: by the command, by hubs on their schedule, at the
//! route for superusers.

use tests::Trial;

pub(crate) mod bench;
mod busy;
mod clocks;
mod damages;
mod found;
mod repairing;
mod scheduled;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        busy::trials(),
        clocks::trials(),
        found::trials(),
        repairing::trials(),
        scheduled::trials(),
    ];
    trials.into_iter().flatten().collect()
}

//! `pladmed copy`: everything arrives, whatever cuts it off, and a hub goes on where the other one stopped.

use tests::Trial;

pub(crate) mod bench;
mod changed;
mod refused;
mod whole;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [changed::trials(), refused::trials(), whole::trials()];
    trials.into_iter().flatten().collect()
}

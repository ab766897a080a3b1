//! The old paths, fact by fact: what the frontend of the system that this one replaces sends and reads, through a real
//! hub. One module a subject.

use tests::Trial;

mod accounts;
pub(crate) mod bench;
mod bodies;
mod cors;
mod credits;
mod destinations;
mod general;
mod lists;
mod orders;
mod parameters;
mod prices;
mod probes;
mod reading;
mod schedules;

pub(crate) fn trials() -> Vec<Trial> {
    [
        accounts::trials(),
        bodies::trials(),
        credits::trials(),
        cors::trials(),
        destinations::trials(),
        general::trials(),
        lists::trials(),
        orders::trials(),
        parameters::trials(),
        prices::trials(),
        probes::trials(),
        reading::trials(),
        schedules::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

//! Several hubs on one MongoDB and one Redis, as users and probes see them.

use tests::Trial;

mod away;
mod delivery;
mod limits;
mod presence;
mod servers;
mod starting;
mod stopping;
mod streams;

pub(crate) fn trials() -> Vec<Trial> {
    [
        away::trials(),
        delivery::trials(),
        limits::trials(),
        presence::trials(),
        servers::trials(),
        starting::trials(),
        stopping::trials(),
        streams::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Trials of this module's functions that need MongoDB and Redis.
macro_rules! on_a_platform {
    ($($test:ident),+ $(,)?) => {
        tests::trials![|it| it.unless(tests::Platform::missing()); $($test),+]
    };
}
use on_a_platform;

//! Hubs on a real MongoDB that is killed, frozen, voted out and crowded, and several hubs that want the same documents.

use tests::Trial;

mod crowded;
mod frozen;
mod killed;
mod replica_set;
mod three_hubs;

pub(crate) fn trials() -> Vec<Trial> {
    [
        crowded::trials(),
        frozen::trials(),
        killed::trials(),
        replica_set::trials(),
        three_hubs::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

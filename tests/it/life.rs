//! The life of a database: whose it is, how it begins, is brought up to date, cloned, kept, taken back and emptied.

use tests::Trial;

mod backing_up;
mod bench;
mod cloning;
mod environments;
mod migrating;
mod restoring;
mod seeding;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        backing_up::trials(),
        cloning::trials(),
        environments::trials(),
        migrating::trials(),
        restoring::trials(),
        seeding::trials(),
    ];
    trials.into_iter().flatten().collect()
}

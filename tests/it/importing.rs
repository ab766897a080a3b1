//! `pladmed import`: the database of the replaced system, from a dump and from a server, through the real program.

use std::time::Duration;

use services::mongod;
use tests::{Case, Trial};

mod again;
mod bench;
mod life;
mod server;
mod whole;
mod wrong;

/// Longest the test of kills may take: it imports thousands of operations several times.
const MANY_OPERATIONS: Duration = Duration::from_secs(240);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    macro_rules! add {
        ($missing:expr; $($module:ident::$test:ident),+ $(,)?) => {
            $(trials.push(
                Case::new(concat!("it::importing::", stringify!($test)))
                    .unless($missing)
                    .run($module::$test),
            );)+
        };
    }
    add![None;
        whole::everything_is_taken,
        whole::the_largest_operation_is_taken,
        whole::a_rehearsal_writes_nothing,
        whole::notes_of_a_sort_are_counted,
        again::what_is_there_is_left_alone,
        again::addresses_in_the_store_stay,
        again::other_moves_wait,
        life::users_and_probes_go_on,
        life::the_old_paths_show_what_they_showed,
        wrong::what_is_no_old_database_is_refused,
        wrong::a_server_that_is_too_old_is_named,
        wrong::a_dump_that_was_cut_is_taken_up_again,
    ];
    add![mongod::missing();
        server::a_server_is_read_by_who_may_only_read,
        server::a_server_with_other_things_is_refused,
        server::mongodb_takes_it_too,
        server::nobody_waits_for_a_server_that_is_not_there,
    ];
    trials.push(
        Case::new("it::importing::a_kill_leaves_nothing_twice_and_nothing_out")
            .within(MANY_OPERATIONS)
            .run(again::a_kill_leaves_nothing_twice_and_nothing_out),
    );
    trials
}

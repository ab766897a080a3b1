//! The holes of the system that this one replaces, one test each: through the old paths they stay closed.

use std::time::Duration;

use tests::{Case, Trial};

mod agents;
mod doors;
mod input;
pub(crate) mod secrets;

/// Longest the test of dangerous texts may take: it sends some hundreds of requests.
const MANY_REQUESTS: Duration = Duration::from_secs(180);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Case::new("it::holes::s1_no_string_of_a_user_reaches_a_shell")
            .within(MANY_REQUESTS)
            .run(input::s1_no_string_of_a_user_reaches_a_shell),
    ];
    macro_rules! add {
        ($($module:ident::$test:ident),+ $(,)?) => {
            $(trials.push(Case::new(concat!("it::holes::", stringify!($test))).run($module::$test));)+
        };
    }
    add![
        input::s2_no_times_per_minute_mint_credits,
        doors::s3_nobody_deletes_everything_in_production,
        input::s4_no_operator_takes_the_place_of_a_text,
        doors::s5_only_assigned_probes_are_heard_and_paid,
        doors::s6_what_is_one_s_own_stays_one_s_own,
        secrets::s7_tokens_end_or_rotate,
        input::s8_what_is_decompressed_is_bounded,
        secrets::s9_no_secret_reaches_a_log,
        doors::s10_guessing_is_slow,
        input::s11_no_coordinate_breaks_the_map,
    ];
    trials
}

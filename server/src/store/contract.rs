//! What every store must do, said once: each adapter's tests call [`run`] with a way to make an empty store. The
//! subjects know the port only; what they expect of money and time is the design's, not an adapter's.

use std::sync::Arc;

use super::Store;
use fixture::Hub;

mod auditing;
mod claiming;
mod closing;
mod ending;
mod fixture;
mod forgetting;
mod keys;
mod leasing;
mod money;
mod moving;
mod opening;
mod paging;
mod probes;
mod reading;
mod recording;
mod refusing;
mod results;
mod settling;
mod sharing;
mod stamping;
mod users;
mod wiping;
mod worth;

/// Calls each subject with a store of its own; its name is printed, so that a failure says whose it is.
macro_rules! subjects {
    ($make:ident: $($module:ident: $($subject:ident),+;)+) => {
        $($(
            eprintln!(concat!("contract: ", stringify!($module), "::", stringify!($subject)));
            Box::pin($module::$subject(Hub::over($make().await))).await;
        )+)+
    };
}

/// The same for subjects of two stores.
macro_rules! subjects_of_two {
    ($make:ident: $($module:ident: $($subject:ident),+;)+) => {
        $($(
            eprintln!(concat!("contract: ", stringify!($module), "::", stringify!($subject)));
            let (one, two) = (Hub::over($make().await), Hub::over($make().await));
            Box::pin($module::$subject(one, two)).await;
        )+)+
    };
}

/// The same for subjects of two hubs that share a store.
macro_rules! subjects_of_hubs {
    ($make:ident: $($module:ident: $($subject:ident),+;)+) => {
        $($(
            eprintln!(concat!("contract: ", stringify!($module), "::", stringify!($subject)));
            let [one, two] = $make().await.map(Hub::over);
            Box::pin($module::$subject(one, two)).await;
        )+)+
    };
}

/// Holds a kind of store to the whole contract.
pub(crate) async fn run(make: impl AsyncFn() -> Arc<dyn Store>) {
    subjects! { make:
        users: register_and_are_found, keep_their_address_to_themselves, change_their_password,
            get_grants_with_an_entry, cannot_get_more_than_a_balance_holds, read_their_ledger_in_pages;
        probes: register_and_are_found, are_found_together, change_what_is_given, rotate_their_token,
            disappear_when_deleted, give_back_what_was_open_when_deleted;
        keys: make_a_probe_once, open_an_operation_once, grant_once, belong_to_one_request, leave_refusals_alone,
            are_forgotten;
        opening: charges_and_assigns, leaves_out_who_cannot, refuses_when_nobody_is_left,
            refuses_what_is_not_paid_for, takes_thousands_of_probes, sells_no_credit_twice;
        recording: follows_the_states, accepts_what_lies_ahead, gives_back_what_is_refused,
            finishes_what_ends, notes_what_does_not_fit, delivers_again_after_a_loss;
        results: are_stored_once_and_numbered, come_back_as_they_were, count_only_where_assigned,
            stop_at_the_plan, stop_after_the_stop_time, accept_by_themselves, reward_only_what_measured,
            count_when_begun_before_a_cancel, are_read_in_bounds, of_one_batch_are_one, come_back_however_long;
        settling: keeps_what_a_probe_says, numbers_its_sessions, accepts_what_it_holds, offers_again_what_it_lost, ends_what_is_too_late,
            cancels_what_is_not_wanted, offers_the_oldest_first, refuses_a_deleted_probe,
            does_nothing_for_an_old_token, keeps_apart_who_comes_together;
        ending: cancels_and_gives_back, keeps_paid_what_may_have_run, cancels_once, leaves_alone_what_has_ended,
            expires_what_nobody_took, finishes_what_ran_its_time, ends_a_few_at_a_time;
        reading: finds_what_is_pending, gives_briefs, tells_how_far_operations_are, tells_which_sessions_are_good,
            tells_of_thousands, shows_an_operation_whole, shows_results_with_their_operation, knows_who_is_seen, answers;
        paging: lists_probes_both_ways, lists_operations_both_ways, goes_on_from_any_edge;
        claiming: is_granted_once, is_granted_once_in_a_batch, is_granted_to_one_of_many,
            is_not_granted_of_what_is_not_pending, is_not_granted_too_late, is_granted_anew_after_a_loss,
            is_granted_to_the_newest_session, is_not_granted_beside_a_hello;
        worth: of_nothing_offers_all_again, of_all_accepts_all, of_something_leaves_all_as_it_is,
            of_the_newer_does_not_offer_it_again, of_what_it_runs_offers_the_newer_again, of_less_offers_the_dearer_again, accepts_nothing_that_has_not_left,
            ends_what_is_too_late, said_before_it_left_tells_nothing, of_a_deleted_probe_is_nothing;
        refusing: counts_every_rejection, counts_what_is_unusable, counts_nothing_else, counts_each_of_a_batch;
        closing: keeps_when_a_plan_closes_and_what_was_sent, counts_runs_until_it_closes,
            ends_what_runs_when_it_closes, gives_no_grace_to_what_never_left, counts_a_single_run_at_any_time;
        wiping: leaves_nothing, leaves_the_rules;
        stamping: is_made_once, outlives_everything_else;
        auditing: tells_what_is_there, goes_on_behind_every_page, names_what_is_absent, sees_one_moment,
            repairs_nothing_that_is_right, keeps_the_newest_report;
        leasing: is_renewed, is_given_up, is_for_one_work;
        moving: reads_what_is_there, reads_in_bounds, adds_all_or_nothing, marks_what_has_not_finished;
    }
    subjects_of_two! { make:
        moving: carries_everything, goes_on_where_it_was, adds_what_is_missing, leaves_alone_what_is_there,
            counts_loads_anew;
    }
    eprintln!("contract: money::never_goes_astray");
    Box::pin(money::never_goes_astray(make)).await;
}

/// Holds a kind of store that forgets results when it is told to, and not by itself, to what that means.
pub(crate) async fn run_forgetting(make: impl AsyncFn() -> Arc<dyn Store>) {
    subjects! { make:
        forgetting: takes_the_oldest_first, leaves_the_rest_as_it_was;
    }
}

/// Holds a kind of store that several hubs share to what that means.
pub(crate) async fn run_sharing(make: impl AsyncFn() -> [Arc<dyn Store>; 2]) {
    subjects_of_hubs! { make:
        stamping: is_made_by_one_of_many;
        sharing: gives_a_lease_to_one, takes_a_lease_from_who_is_silent, refuses_the_former_holder,
            hands_over_what_is_given_up, grants_a_lease_to_one_of_many;
    }
}

//! The ways of assignments: settling, holding, paying.

mod holding;

use chrono::TimeZone;
use probe_protocol::{OperationId, Whole};
use proptest::prelude::*;

use super::*;
use crate::domain::tests::assignment;
use AssignmentState::{Accepted, Cancelled, Delivered, Expired, Finished, Pending, Refused};

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

/// Every minute until 12:10.
fn schedule() -> Schedule {
    Schedule {
        cron: "* * * * *".parse().unwrap(),
        times_per_minute: Whole::new(1).unwrap(),
        stop_time: noon() + TimeDelta::minutes(10),
    }
}

#[test]
fn waits_longest_for_what_a_probe_may_hold() {
    let closes_at = noon() + TimeDelta::minutes(3);
    let until = |state| open_until(state, noon(), closes_at);
    assert_eq!(until(Pending), noon());
    assert_eq!(until(Delivered), noon() + TimeDelta::days(7));
    assert_eq!(until(Accepted), closes_at);
    let never = DateTime::<Utc>::MAX_UTC;
    assert_eq!(open_until(Delivered, never, never), never);
    assert_eq!(overdue(Pending), Expired);
    assert_eq!(overdue(Delivered), Expired);
    assert_eq!(overdue(Accepted), Finished);
}

#[test]
fn settles_what_a_hello_says() {
    let before = noon() - TimeDelta::seconds(1);
    let settle =
        |state, results, holds, now| settled(&assignment(state, 5, results), holds, noon(), now);
    assert_eq!(settle(Pending, 0, true, before), Some(Accepted));
    assert_eq!(settle(Delivered, 0, true, noon()), Some(Accepted));
    assert_eq!(settle(Accepted, 0, true, noon()), None);
    assert_eq!(settle(Pending, 0, false, noon()), None);
    assert_eq!(settle(Delivered, 0, false, before), Some(Pending));
    assert_eq!(settle(Accepted, 4, false, before), Some(Pending));
    assert_eq!(settle(Accepted, 5, false, before), Some(Finished));
    assert_eq!(settle(Delivered, 0, false, noon()), Some(Expired));
    assert_eq!(settle(Accepted, 4, false, noon()), Some(Finished));
    for ended in [Finished, Refused, Cancelled, Expired] {
        assert_eq!(settle(ended, 0, true, before), None);
        assert_eq!(settle(ended, 0, false, before), None);
    }
}

#[test]
fn accepting_pays_for_what_lies_ahead_of_the_delivery() {
    let schedule = schedule();
    let mut late = assignment(Delivered, 9, 0);
    assert_eq!(paid_when_accepted(&late, Some(&schedule)), 9);
    late.delivered_at = Some(noon() + TimeDelta::minutes(4));
    assert_eq!(paid_when_accepted(&late, Some(&schedule)), 5);
    late.results = 2;
    assert_eq!(paid_when_accepted(&late, Some(&schedule)), 7);
    late.delivered_at = Some(schedule.stop_time);
    assert_eq!(paid_when_accepted(&late, Some(&schedule)), 2);
    late.results = 0;
    assert_eq!(paid_when_accepted(&late, Some(&schedule)), 1);
    assert_eq!(paid_when_accepted(&late, None), 9);
}

#[test]
fn cancelling_pays_for_what_may_have_run() {
    assert_eq!(paid_when_cancelled(&assignment(Pending, 9, 0), Some(3)), 0);
    assert_eq!(
        paid_when_cancelled(&assignment(Delivered, 9, 2), Some(3)),
        2
    );
    assert_eq!(paid_when_cancelled(&assignment(Accepted, 9, 2), Some(3)), 6);
    assert_eq!(paid_when_cancelled(&assignment(Accepted, 9, 8), Some(3)), 8);
    assert_eq!(
        paid_when_cancelled(&assignment(Accepted, 9, 2), Some(99)),
        2
    );
    assert_eq!(paid_when_cancelled(&assignment(Accepted, 1, 0), None), 1);
    assert_eq!(paid_when_cancelled(&assignment(Delivered, 1, 0), None), 0);
}

#[test]
fn reasons_are_cut_between_characters() {
    assert_eq!(short_reason("no"), "no");
    assert_eq!(short_reason(&"é".repeat(300)).len(), LONGEST_REASON);
    assert_eq!(short_reason(&"漢".repeat(300)).chars().count(), 166);
}

proptest! {
    #[test]
    fn never_pays_for_more_than_planned_nor_less_than_results(
        planned in 1_u32.., share in 0.0..=1.0, ahead: u32, minutes in -20_i64..20, open in 0_usize..3,
    ) {
        let results = (f64::from(planned) * share) as u32;
        let mut it = assignment([Pending, Delivered, Accepted][open], planned, results);
        it.delivered_at = Some(noon() + TimeDelta::minutes(minutes));
        let schedule = schedule();
        for paid in [
            paid_when_accepted(&it, Some(&schedule)),
            paid_when_accepted(&it, None),
            paid_when_cancelled(&it, Some(ahead)),
            paid_when_cancelled(&it, None),
            paid_when_not_run(&it),
        ] {
            prop_assert!((results..=planned).contains(&paid));
        }
    }
}

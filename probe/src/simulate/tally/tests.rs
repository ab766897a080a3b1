//! What is counted is what happened.

use super::*;

#[test]
fn quantiles_are_those_of_what_was_measured() {
    let tally = Tally::new().unwrap();
    let now = Instant::now();
    for ms in 1..=100 {
        tally.acked(now - Duration::from_millis(ms), None);
    }
    let (half, most) = tally.look();
    assert!((50_000..53_000).contains(&half), "{half}");
    assert!((99_000..102_000).contains(&most), "{most}");
    assert_eq!(tally.look(), (0, 0));
    assert_eq!(tally.times().ack.len(), 100);
    assert_eq!(tally.counters.acked.load(Relaxed), 100);
    // What takes longer than the longest is not lost.
    tally.times().ready.saturating_record(u64::MAX);
    assert!(tally.times().ready.max() >= LONGEST_US);
}

#[test]
fn an_operation_is_told_from_the_first_to_the_last_probe() {
    let tally = Tally::new().unwrap();
    let (now, id) = (Instant::now(), OperationId::new());
    let later = now + Duration::from_millis(7);
    tally.assigned(id, later, false);
    tally.assigned(id, now, false);
    tally.assigned(id, later + Duration::from_secs(1), true);
    let dispatched = tally.book().operations[&id];
    assert_eq!((dispatched.probes, dispatched.again), (2, 1));
    assert_eq!(dispatched.last - dispatched.first, Duration::from_millis(7));
    for _ in 0..MOST_OPERATIONS {
        tally.assigned(OperationId::new(), now, false);
    }
    assert_eq!(tally.book().more_operations, 1);
}

#[test]
fn refusals_of_lies_are_no_trouble() {
    let tally = Tally::new().unwrap();
    let id = OperationId::new();
    tally.refused(id, Rejection::UnknownOperation, Some(Lie::Forged));
    tally.refused(id, Rejection::AfterStop, Some(Lie::Late));
    tally.refused(id, Rejection::Cancelled, None);
    assert!(tally.book().troubles.is_empty());
    assert_eq!(tally.counters.refused.load(Relaxed), 1);
    tally.refused(id, Rejection::AfterStop, None);
    tally.refused(id, Rejection::AfterStop, Some(Lie::Duplicate));
    tally.refused(id, Rejection::OverPlan, Some(Lie::Forged));
    let book = tally.book();
    assert_eq!(book.troubles[&Trouble::Refused].count, 3);
    assert_eq!(book.lies[&Lie::Duplicate].unexpected, 1);
    assert_eq!(book.refused["after_stop"], 1);
}

#[test]
fn over_the_plan_is_right_where_somebody_cancelled() {
    let tally = Tally::new().unwrap();
    let (cancelled, wrong) = (OperationId::new(), OperationId::new());
    tally.refused(cancelled, Rejection::OverPlan, None);
    tally.cancelled(cancelled);
    tally.settle();
    assert!(tally.book().troubles.is_empty());
    tally.refused(wrong, Rejection::OverPlan, None);
    tally.settle();
    assert_eq!(tally.book().troubles[&Trouble::Refused].count, 1);
}

//! What a probe's words tell of what it holds.

use super::*;

/// An assignment that last moved a minute before noon, when the probe speaks.
fn share(state: AssignmentState, run_price: u32) -> Share {
    Share {
        operation: OperationId::new(),
        state,
        moved_at: (state != Pending).then(|| noon() - TimeDelta::minutes(1)),
        runs_until: None,
        run_price,
    }
}

fn by_worth(credits: u32, open: &[Share]) -> Vec<Option<bool>> {
    let said_at = noon();
    holds(&Holdings::Worth { credits, said_at }, open)
}

#[test]
fn names_tell_of_each() {
    let open = [
        share(Pending, 1),
        share(Pending, 1),
        share(Delivered, 1),
        share(Delivered, 1),
        share(Accepted, 1),
        share(Accepted, 1),
    ];
    let named = [1, 3, 5].map(|index: usize| open[index].operation);
    let mut named = named.to_vec();
    named.push(OperationId::new());
    let found = holds(&Holdings::Exactly(named), &open);
    let expected = [false, true, false, true, false, true];
    assert_eq!(found, expected.map(Some));
    let none = holds(&Holdings::Exactly(vec![]), &open);
    assert_eq!(none, [Some(false); 6]);
    assert_eq!(holds(&Holdings::Exactly(vec![]), &[]), []);
}

#[test]
fn who_names_what_it_holds_may_be_offered_it_again() {
    let late = Share {
        moved_at: Some(noon() + TimeDelta::minutes(1)),
        ..share(Accepted, 1)
    };
    let found = holds(&Holdings::Exactly(vec![]), &[late]);
    assert_eq!(found, [Some(false)]);
}

#[test]
fn a_sum_tells_of_what_is_dearer() {
    let open = [share(Pending, 1), share(Delivered, 5), share(Accepted, 3)];
    let table = [
        (0, [Some(false), Some(false), Some(false)]),
        (2, [Some(false), Some(false), Some(false)]),
        (3, [Some(false), Some(false), None]),
        (4, [Some(false), Some(false), None]),
        (5, [Some(false), None, None]),
        (7, [Some(false), None, None]),
        (8, [Some(false), Some(true), Some(true)]),
        (9, [Some(false), None, None]),
        (u32::MAX, [Some(false), None, None]),
    ];
    for (credits, expected) in table {
        assert_eq!(by_worth(credits, &open), expected, "{credits}");
    }
    assert_eq!(by_worth(7, &[]), []);
    // What has not left is not part of the sum.
    assert_eq!(by_worth(1, &[share(Pending, 1)]), [Some(false)]);
}

/// The hub ends an accepted assignment some minutes after the agent did, one that runs once only after a day. What the
/// agent counts then is not that one but what arrived since.
#[test]
fn what_ended_at_the_agent_first_hides_nothing() {
    let open = [share(Accepted, 2), share(Delivered, 2)];
    assert_eq!(by_worth(2, &open), [None, None]);
    let open = [share(Accepted, 30), share(Delivered, 15)];
    assert_eq!(by_worth(15, &open), [Some(false), None]);
}

/// What an agent accepted and still has to run, it has not dropped: so what it counts is that.
#[test]
fn what_still_runs_is_counted_first() {
    let accepted = |minutes| Share {
        runs_until: Some(noon() + TimeDelta::minutes(minutes)),
        ..share(Accepted, 2)
    };
    let open = [accepted(3), share(Delivered, 2), share(Delivered, 1)];
    assert_eq!(by_worth(2, &open), [None, Some(false), Some(false)]);
    assert_eq!(by_worth(3, &open), [None, Some(false), None]);
    assert_eq!(by_worth(4, &open), [None, None, None]);
    assert_eq!(by_worth(5, &open), [Some(true); 3]);
    // It lost something: then nothing is certain but what is dearer.
    assert_eq!(by_worth(1, &open), [Some(false), Some(false), None]);
    // Clocks differ: it may have stopped already.
    let open = [accepted(2), share(Delivered, 2)];
    assert_eq!(by_worth(2, &open), [None, None]);
}

#[test]
fn what_moved_since_is_not_told_of() {
    let open = |moved_at| {
        [Delivered, Accepted].map(|state| Share {
            moved_at: Some(moved_at),
            ..share(state, 1)
        })
    };
    assert_eq!(by_worth(0, &open(noon())), [None, None]);
    let just_before = noon() - TimeDelta::milliseconds(1);
    assert_eq!(by_worth(0, &open(just_before)), [Some(false); 2]);
    // Nor is it part of the sum.
    let [late, _] = open(noon());
    let both = [late, share(Delivered, 4)];
    assert_eq!(by_worth(4, &both), [None, Some(true)]);
    assert_eq!(by_worth(5, &both), [None, None]);
}

fn any_share() -> impl Strategy<Value = Share> {
    let state = prop::sample::select(vec![Pending, Delivered, Accepted]);
    (state, 1_u32..20).prop_map(|(state, run_price)| share(state, run_price))
}

fn worth<'a>(shares: impl IntoIterator<Item = &'a Share>) -> u32 {
    shares.into_iter().map(|share| share.run_price).sum()
}

proptest! {
    /// The one thing that must not happen: whatever an agent has, and whatever else it counts, none of what it has is
    /// taken as missing.
    #[test]
    fn what_is_held_never_counts_as_missing(
        open in prop::collection::vec((any_share(), any::<bool>(), any::<bool>()), 0..8),
        ended_long_ago in prop_oneof![Just(0_u32), 0_u32..40],
    ) {
        let open: Vec<(Share, bool)> = open
            .into_iter()
            .map(|(mut share, is_held, moved_since)| {
                if moved_since && share.state != Pending {
                    share.moved_at = Some(noon());
                }
                let is_held = is_held && share.state != Pending;
                if is_held && share.run_price % 2 == 0 {
                    share.runs_until = Some(noon() + TimeDelta::hours(1));
                }
                (share, is_held)
            })
            .collect();
        let shares: Vec<Share> = open.iter().map(|(share, _)| *share).collect();
        let counted = open.iter().filter(|(share, is_held)| *is_held && share.moved_at < Some(noon()));
        let counted = worth(counted.map(|(share, _)| share)) + ended_long_ago;
        let told = by_worth(counted, &shares);
        for ((share, is_held), told) in open.iter().zip(told) {
            prop_assert!(!is_held || told != Some(false), "{counted} {share:?}");
        }
    }

    #[test]
    fn a_sum_tells_no_more_than_it_can(
        open in prop::collection::vec(any_share(), 0..8),
        credits in 0_u32..60,
    ) {
        let told = by_worth(credits, &open);
        prop_assert_eq!(told.len(), open.len());
        for (share, told) in open.iter().zip(told) {
            prop_assert!(share.state != Pending || told == Some(false));
            prop_assert!(share.run_price <= credits || told == Some(false), "{:?}", share);
        }
        prop_assert!(by_worth(0, &open).iter().all(|told| *told == Some(false)));
        let left: Vec<Share> = open.iter().filter(|it| it.state != Pending).copied().collect();
        for (share, told) in open.iter().zip(by_worth(worth(&left), &open)) {
            prop_assert_eq!(told, Some(share.state != Pending));
        }
    }
}

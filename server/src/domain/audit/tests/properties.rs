//! What holds of any world.

use proptest::prelude::*;

use super::*;

fn worlds() -> impl Strategy<Value = World> {
    let plan = (1_u32..6, 0_usize..STATES.len(), 0_u32..6);
    let plans = prop::collection::vec(plan, 1..5);
    (1_u32..20, any::<bool>(), plans)
        .prop_map(|(price, is_repeated, plans)| World::of(price, is_repeated, &plans))
}

proptest! {
    #[test]
    fn a_sound_world_gives_no_finding(world in worlds()) {
        prop_assert_eq!(world.findings_where(false), []);
        prop_assert_eq!(account(&world.user()), []);
    }

    #[test]
    fn forgotten_results_are_no_finding(world in worlds(), kept in any::<u32>()) {
        let mut world = world;
        let mut place = 0;
        world.results.retain(|_| { place += 1; kept & (1 << (place % 32)) != 0 });
        prop_assert_eq!(world.findings_where(true), []);
    }

    #[test]
    fn a_lost_result_is_found(world in worlds(), which in any::<prop::sample::Index>()) {
        let mut world = world;
        prop_assume!(!world.results.is_empty());
        let lost = world.results.remove(which.index(world.results.len()));
        let rules = world.rules();
        prop_assert!(rules.contains(&Rule::ResultNumbers));
        prop_assert!(rules.contains(&Rule::AssignmentResults));
        prop_assert_eq!(rules.contains(&Rule::LedgerReward), lost.rewarded);
        // Nobody makes it up.
        let found = world.findings_where(false);
        prop_assert!(found.iter().all(|finding| finding.repair.is_none()));
    }

    #[test]
    fn a_changed_entry_is_found(world in worlds(), which in any::<prop::sample::Index>(), by in 1_i64..1000) {
        let mut world = world;
        let place = which.index(world.entries.len());
        world.entries[place].amount += by;
        let mut rules = world.rules();
        rules.retain(|rule| *rule == Rule::LedgerBreak);
        prop_assert_eq!(rules, [Rule::LedgerBreak]);
    }

    #[test]
    fn a_lost_entry_is_found(world in worlds(), which in any::<prop::sample::Index>()) {
        let mut world = world;
        let user = world.user();
        let lost = world.entries.remove(which.index(world.entries.len()));
        if lost.number == user.entries.unwrap() {
            let newest = world.entries.last().map(|entry| (entry.number, entry.balance));
            let found = account(&UserFacts { newest, ..user });
            prop_assert_eq!(found.len(), 1);
        } else {
            prop_assert!(world.rules().contains(&Rule::LedgerNumbers));
        }
    }
}

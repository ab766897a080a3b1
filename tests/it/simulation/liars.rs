//! Fleets that lie: what is false is refused, what is honest is stored, and no promise breaks.

use serde_json::Value;
use tests::{Simulated, Trial, orders, simulated::Told, trials};

use super::{Site, once};

pub(super) fn trials() -> Vec<Trial> {
    trials![
        what_is_forged_is_refused,
        what_is_doubled_is_stored_once,
        what_is_late_is_refused,
        what_is_garbled_is_stored_as_it_came,
        what_is_too_long_ends_the_session,
        liars_of_all_kinds_disturb_nobody,
    ]
}

/// Probes of a small fleet.
const PROBES: usize = 4;

fn liars(site: &Site, lie: &str) -> Simulated {
    site.simulate(&["--liars", "1", "--lies", lie])
}

/// What became of the lies of a kind.
fn lied<'a>(told: &'a Told, lie: &str) -> &'a Value {
    &told.summary["lies"][lie]
}

/// Runs one operation once on liars of a kind; all its honest results, and nothing else, must be there then.
async fn one_operation(lie: &str) -> (Site, Told) {
    let site = Site::new(PROBES).await;
    let operation = site.user.launch(&once("ping", &site.ids())).await;
    let fleet = liars(&site, lie);
    site.stored(PROBES as i64).await;
    let told = fleet.terminate().await.well();
    assert_eq!(site.brought(operation).await.len(), PROBES);
    assert_eq!(site.count().await, PROBES as i64);
    site.hub.check().await;
    (site, told)
}

async fn what_is_forged_is_refused() {
    let (_, told) = one_operation("forged").await;
    let forged = lied(&told, "forged");
    assert_eq!((&forged["sent"], &forged["stored"]), (&4.into(), &0.into()));
    assert_eq!(forged["refused"]["unknown_operation"], 4, "{forged}");
    // They are counted apart.
    assert_eq!(told.number("/results/made"), 4.0);
    assert!(
        told.summary["refused"]
            .as_object()
            .expect("reasons")
            .is_empty()
    );
}

async fn what_is_doubled_is_stored_once() {
    let (_, told) = one_operation("duplicate").await;
    let doubled = lied(&told, "duplicate");
    assert_eq!(
        (&doubled["sent"], &doubled["stored"]),
        (&4.into(), &4.into())
    );
    assert_eq!(told.number("/results/acked"), 8.0);
}

async fn what_is_late_is_refused() {
    let (site, told) = one_operation("late").await;
    // What runs once is over the plan.
    assert_eq!(lied(&told, "late")["refused"]["over_plan"], 4);
    let order = orders::endless(once("ping", &site.ids()));
    site.user.launch(&order).await;
    let fleet = site.simulate(&[
        "--liars", "1", "--lies", "late", "--pace", "flat-out", "--window", "2",
    ]);
    site.stored(100).await;
    let told = fleet.terminate().await.well();
    let late = lied(&told, "late");
    assert!(late["refused"]["after_stop"].as_u64() > Some(90), "{late}");
    assert_eq!(late["stored"], 0, "{late}");
    site.hub.check().await;
}

async fn what_is_garbled_is_stored_as_it_came() {
    let (site, told) = one_operation("garbled").await;
    assert_eq!(lied(&told, "garbled")["stored"], 4);
    let rewarded = "select count(*) from results where rewarded";
    assert_eq!(site.hub.number(rewarded).await, 0);
}

async fn what_is_too_long_ends_the_session() {
    let (_, told) = one_operation("oversized").await;
    let told_too_much = lied(&told, "oversized");
    assert_eq!(told_too_much["sent"], 4, "{told_too_much}");
    assert_eq!(told_too_much["closed"]["1009"], 4, "{told_too_much}");
    assert_eq!(told.summary["closes"]["1009"], 4);
}

async fn liars_of_all_kinds_disturb_nobody() {
    for old in ["0", "1"] {
        let site = Site::new(10).await;
        let operation = site.user.launch(&once("ping", &site.ids())).await;
        let fleet = site.simulate(&["--liars", "0.5", "--old", old, "--pace", "flat-out"]);
        site.stored(10).await;
        let told = fleet.terminate().await.well();
        assert_eq!(site.brought(operation).await.len(), 10);
        assert_eq!(site.count().await, 10);
        let kinds = told.summary["lies"].as_object().expect("lies");
        assert_eq!(kinds.len(), 5, "{kinds:?}");
        for (kind, lied) in kinds {
            assert_eq!(
                (&lied["sent"], &lied["unexpected"]),
                (&1.into(), &0.into()),
                "{kind}"
            );
        }
        site.hub.check().await;
    }
}
